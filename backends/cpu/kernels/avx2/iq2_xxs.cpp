// IQ2_XXS by AVX2: magnitudes from the grid. With one token their signs are put on the activations; with more, weights
// are made positive, and what that adds is subtracted by the activations' sums.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

using Block = blocks::IQ2_XXS;

/// What a block's eight groups of 32 weights share in making.
struct Head {
  Y signs[2]; // bits of the first and the last four groups, in both halves
  Y scales;   // of each group, as two words
  float unit;
};
SCF_INLINE Head head_of(const Block& b) {
  const FormatIQ2_XXS::Words second = FormatIQ2_XXS::second_words(b);
  const Y bits = (Y)FormatIQ2_XXS::sign_bits(second);
  return {{_mm256_permute2x128_si256(bits, bits, 0x00), _mm256_permute2x128_si256(bits, bits, 0x11)},
          twice((Y)(second >> 28 << 1 | 1u)),
          half_to_float(b.d) * 0.125f};
}
SCF_INLINE Y magnitude_of(const Block& b, int group) {
  const auto* p = reinterpret_cast<const std::byte*>(&b) + 2 + 8 * group; // four indices, signs and scale
  const auto at = [&](int i) { return static_cast<std::uint32_t>(p[i]); };
  return (Y)pick4(blocks::iq2xxs_grid.data(), at(0), at(1), at(2), at(3));
}
/// Below zero where a weight is, above elsewhere.
SCF_INLINE Y sign_of(const Head& head, int group) {
  const Y spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const Y at = _mm256_add_epi8(spread, _mm256_set1_epi8(static_cast<char>(4 * (group % 4))));
  const Y bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const Y rest = _mm256_set1_epi64x(0x01406070787c7e7f); // 128 - bit; 1 where that is none, for 0 would be no sign
  return _mm256_add_epi8(_mm256_and_si256(_mm256_shuffle_epi8(head.signs[group / 4], at), bit), rest);
}

struct FormIQ2_XXS : ScaledForm<FormIQ2_XXS> {
  using Block = cpu::SCF_ISA_NAMESPACE::Block;
  static constexpr int blocks = 1;
  SCF_INLINE void unpack(const Block* b, std::int64_t, Codes& out) {
    constexpr auto most = static_cast<char>(FormatIQ2_XXS::top);
    const Head head = head_of(*b);
    _mm256_store_si256(reinterpret_cast<Y*>(out.scale), head.scales);
    out.unit = head.unit;
    out.min = to_f8((I8)_mm256_and_si256(head.scales, everywhere(0xffff))) * set8(head.unit * most);
#pragma GCC unroll 8
    for (int g = 0; g < k_parts; ++g) {
      const Y code = _mm256_sign_epi8(magnitude_of(*b, g), sign_of(head, g));
      out.code[g] = _mm256_add_epi8(code, _mm256_set1_epi8(most));
    }
  }
};

/// All rows for one token. A block's head takes as long as half of its products: that of the next block is made before
/// them, so that nothing waits for it.
void one_token(const GemmArgs& a) {
  using Form = FormIQ2_XXS;
  const Row x = row_at(a, 0, 256);
  const std::int64_t n = groups(a);
  if (a.rows == 0) return; // more workers than rows
  Head next = head_of(*blocks_at<Form>(a, 0, 0));
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const Ahead ahead = ahead_of(rows_of(a), row, 1, 1);
    F8 acc = {};
    for (std::int64_t i = 0; i < n; ++i) {
      const Block* block = blocks_at<Form>(a, row, i);
      fetch<sizeof(Block)>(block, ahead);
      const Head head = next;
      alignas(32) std::int32_t scale[k_parts];
      _mm256_store_si256(reinterpret_cast<Y*>(scale), head.scales);
      __asm__("" : "+m"(scale)); // one load each: from a register GCC takes three instructions
      const bool ends = i + 1 == n;
      next = head_of(*blocks_at<Form>(a, row + (ends && row + 1 < a.rows), ends ? 0 : i + 1));
      Y sum = _mm256_setzero_si256();
#pragma GCC unroll 8
      for (int g = 0; g < k_parts; ++g) {
        const Y codes = _mm256_sign_epi8(load_y(x.codes + 256 * i + 32 * g), sign_of(head, g));
        const Y pairs = products(magnitude_of(*block, g), codes);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, everywhere(scale[g])));
      }
      acc = fma8(to_f8((I8)sum) * set8(head.unit), set8(x.scales[i]), acc);
    }
    out_at(a, 0)[row] = sum8(acc);
  }
}

} // namespace

void few_iq2_xxs(const GemmArgs& a) { a.tokens == 1 ? one_token(a) : multiply_few<FormIQ2_XXS>(a); }
void many_iq2_xxs(const GemmArgs& a) { multiply_many<FormIQ2_XXS>(a); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
