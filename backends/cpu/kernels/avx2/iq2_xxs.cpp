// IQ2_XXS by AVX2: magnitudes from the grid, their signs put on the activations.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

struct FormIQ2_XXS {
  using Block = blocks::IQ2_XXS;
  static constexpr int blocks = 1, act_block = 256;
  static constexpr bool has_min = false;
  struct Codes {
    Y code[k_parts], sign[k_parts];
    alignas(32) std::int32_t scale[k_parts];
    float unit;
  };
  SCF_INLINE void unpack(const Block* b, std::int64_t, Codes& out) {
    const auto* p = reinterpret_cast<const std::byte*>(b) + 2; // per group of 32: four indices, signs and scale
    const FormatIQ2_XXS::Words second = FormatIQ2_XXS::second_words(*b);
    alignas(32) std::uint32_t signs[k_parts];
    store_b(signs, (B)FormatIQ2_XXS::sign_bits(second));
    _mm256_store_si256(reinterpret_cast<Y*>(out.scale), twice((Y)(second >> 28 << 1 | 1u)));
    out.unit = half_to_float(b->d) * 0.125f;
    const Y spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const Y bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const std::uint64_t* grid = blocks::iq2xxs_grid.data();
#pragma GCC unroll 8
    for (int g = 0; g < k_parts; ++g) {
      const auto at = [&](int i) { return static_cast<std::uint32_t>(p[8 * g + i]); };
      out.code[g] = (Y)pick4(grid, at(0), at(1), at(2), at(3));
      const Y bytes = _mm256_shuffle_epi8(everywhere(static_cast<std::int32_t>(signs[g])), spread);
      const Y negative = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
      out.sign[g] = _mm256_or_si256(negative, _mm256_set1_epi8(1));
    }
  }
  template <int T> SCF_INLINE void sums(const Codes& w, const std::byte* const (&x)[T], Y (&sum)[T]) {
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Y code = w.code[j], sign = w.sign[j], scale = everywhere(w.scale[j]);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const Y pairs = products(code, _mm256_sign_epi8(load_y(x[t] + 32 * j), sign));
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(pairs, scale));
      }
    }
  }
  template <int T> SCF_INLINE void add(const Codes& w, const Row (&x)[T], std::int64_t i, F8 (&acc)[T]) {
    add_block<FormIQ2_XXS, T>(w, x, i, acc);
  }
};

} // namespace

void few_iq2_xxs(const GemmArgs& args) { multiply_few<FormIQ2_XXS>(args); }
void many_iq2_xxs(const GemmArgs& args) { multiply_many<FormIQ2_XXS>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
