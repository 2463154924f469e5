// IQ2_XXS with 1 to 8 quantised tokens by VNNI: the grid by gathers, signs by shifts and masks.
#include "kernels/vnni/iq2_xxs.hpp"

#include "kernels/vnni/wide.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// The grid with 128 added to every magnitude.
struct BiasedGrid {
  std::uint64_t entry[256];
};
constexpr BiasedGrid biased_grid() {
  BiasedGrid grid{};
  for (std::size_t i = 0; i < 256; ++i) grid.entry[i] = blocks::iq2xxs_grid[i] ^ 0x8080808080808080u;
  return grid;
}
alignas(64) constexpr BiasedGrid k_biased_grid = biased_grid();

/// Register j holds the j-th eight elements of all eight groups, so that a group and its scale keep to a 64-bit lane.
struct WideIQ2_XXS {
  using Block = blocks::IQ2_XXS;
  using Opposite = Opposite256;
  static constexpr bool has_min = false;
  static constexpr std::size_t units_at = offsetof(Block, d);
  static constexpr float unit = 0.125f;

  /// Sign bits of all groups in the upper half of each 64-bit lane, see FormatIQ2_XXS::sign_bits.
  SCF_INLINE Z sign_bits(Z w) {
    const auto field = [](Z v, int mask, Z rest) { // (v & mask) | rest
      return _mm512_ternarylogic_epi32(v, _mm512_set1_epi32(mask), rest, 0xea);
    };
    Z seven = _mm512_and_si512(w, _mm512_set1_epi32(0x7f));
    seven = field(_mm512_slli_epi32(w, 1), 0x7f00, seven);
    seven = field(_mm512_slli_epi32(w, 2), 0x7f0000, seven);
    seven = field(_mm512_slli_epi32(w, 3), 0x7f000000, seven);
    Z odd = _mm512_xor_si512(seven, _mm512_srli_epi32(seven, 4));
    odd = _mm512_xor_si512(odd, _mm512_srli_epi32(odd, 2));
    odd = _mm512_xor_si512(_mm512_slli_epi32(odd, 7), _mm512_slli_epi32(odd, 6));
    return field(odd, static_cast<int>(0x80808080u), seven);
  }
  SCF_INLINE void unpack(const Block& b, Codes& out) {
    // Per group of 32: four indices, then four signs and the scale.
    const Z raw = load_z(reinterpret_cast<const std::byte*>(&b) + 2), byte = _mm512_set1_epi64(255);
    const Z signs = sign_bits(raw), bits = u64_everywhere(0x8040201008040201u);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Z index = _mm512_and_si512(_mm512_srli_epi64(raw, static_cast<unsigned>(8 * j)), byte);
      const Z grid = _mm512_i64gather_epi64(index, k_biased_grid.entry, 8);
      const long long first = 0x0404040404040404 + 0x0101010101010101 * j, second = first + 0x0808080808080808;
      const Z spread = _mm512_setr_epi64(first, second, first, second, first, second, first, second);
      const __mmask64 negative = _mm512_test_epi8_mask(_mm512_shuffle_epi8(signs, spread), bits);
      // 0 - (grid + 128) is 128 - grid in a byte.
      out.c[j] = _mm512_mask_sub_epi8(grid, negative, _mm512_setzero_si512(), grid);
    }
    const Z high = _mm512_srli_epi32(_mm512_shuffle_epi32(raw, _MM_PERM_DDBB), 27);
    out.s[0] = _mm512_ternarylogic_epi32(high, _mm512_set1_epi32(0x1e), _mm512_set1_epi32(1), 0xea); // 2 * code + 1
  }
  SCF_INLINE void opposite(const std::byte* x, Opposite& out) {
    const Z x0 = load_z(x), x1 = load_z(x + 64), x2 = load_z(x + 128), x3 = load_z(x + 192);
    const Z even = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13), odd = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    const Z a = _mm512_permutex2var_epi64(x0, even, x1), b = _mm512_permutex2var_epi64(x2, even, x3);
    const Z c = _mm512_permutex2var_epi64(x0, odd, x1), d = _mm512_permutex2var_epi64(x2, odd, x3);
    out.x[0] = _mm512_shuffle_i64x2(a, b, 0x44);
    out.x[1] = _mm512_shuffle_i64x2(a, b, 0xee);
    out.x[2] = _mm512_shuffle_i64x2(c, d, 0x44);
    out.x[3] = _mm512_shuffle_i64x2(c, d, 0xee);
    Z sum = _mm512_setzero_si512();
    for (const Z& v : out.x) sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), v);
    out.start = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
  }
  SCF_INLINE Z multiply(const Codes& w, const Opposite& x) {
    Z sum = x.start;
    for (int j = 0; j < 4; ++j) sum = _mm512_dpbusd_epi32(sum, w.c[j], x.x[j]);
    return _mm512_mullo_epi32(sum, w.s[0]);
  }
};

} // namespace

void few_iq2_xxs(const GemmArgs& args) { few<WideProduct<WideIQ2_XXS>>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
