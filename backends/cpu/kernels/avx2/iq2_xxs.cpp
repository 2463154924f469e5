// IQ2_XXS by AVX2: magnitudes from the grid, their signs put on the activations.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

struct FormIQ2_XXS : SignedForm<FormIQ2_XXS> {
  using Block = blocks::IQ2_XXS;
  static constexpr int blocks = 1;
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
      out.magnitude[g] = (Y)pick4(grid, at(0), at(1), at(2), at(3));
      const Y bytes = _mm256_shuffle_epi8(everywhere(static_cast<std::int32_t>(signs[g])), spread);
      const Y negative = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
      out.sign[g] = _mm256_or_si256(negative, _mm256_set1_epi8(1));
    }
  }
};

} // namespace

void few_iq2_xxs(const GemmArgs& args) { multiply_few<FormIQ2_XXS>(args); }
void many_iq2_xxs(const GemmArgs& args) { multiply_many<FormIQ2_XXS>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
