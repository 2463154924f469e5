// What a pair of IQ2_XXS super-blocks (512 weights, 64 groups of eight) holds, a byte per group or a dword per
// sub-block of 32, by VBMI and GFNI.
#pragma once

#include "kernels/formats.hpp"
#include "kernels/vnni/z_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// The digits of the grid's entries, elements 0-3 in the first plane and 4-7 in the second, lowest two bits first.
struct Planes {
  std::uint8_t digits[2][256];
};
constexpr Planes grid_planes() {
  Planes planes{};
  for (unsigned i = 0; i < 256; ++i)
    for (unsigned j = 0; j < 8; ++j) {
      const unsigned magnitude = blocks::iq2xxs_grid[i] >> 8 * j & 255, digit = magnitude / 17; // 8, 25, 43
      planes.digits[j / 4][i] = static_cast<std::uint8_t>(planes.digits[j / 4][i] | digit << 2 * (j % 4));
    }
  return planes;
}
alignas(64) constexpr Planes k_planes = grid_planes();

/// An affine map of the bits of a byte: bit i of the result is the parity of from[i] & the byte. As the instruction
/// wants it: the row for bit 0 in the highest byte.
struct BitMap {
  std::uint8_t from[8];
  constexpr std::uint64_t matrix() const {
    std::uint64_t m = 0;
    for (unsigned i = 0; i < 8; ++i) m |= std::uint64_t{from[i]} << 8 * (7 - i);
    return m;
  }
};

template <int CONSTANT> SCF_INLINE Z map_bits(Z bits, std::uint64_t matrix) {
  return _mm512_gf2p8affine_epi64_epi8(bits, u64_everywhere(matrix), CONSTANT);
}

struct GroupBits {
  Z index;              // of the grid's entry
  __mmask64 seven, six; // these bits of it
  Z signs;              // seven bits; the one above is garbage
  Z scales;             // 0 to 15, per sub-block
  F d;
};
/// The second block is taken as zeros where there is none.
template <bool WHOLE> SCF_INLINE GroupBits group_bits(const blocks::IQ2_XXS* b) {
  const auto* p = reinterpret_cast<const std::byte*>(b);
  constexpr std::int64_t next = sizeof(blocks::IQ2_XXS);
  const Z first = load_z(p + 2), second = WHOLE ? load_z(p + next + 2) : _mm512_setzero_si512();
  const Z even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const Z odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  GroupBits bits;
  bits.index = _mm512_permutex2var_epi32(first, even, second);
  const Z words = _mm512_permutex2var_epi32(first, odd, second); // four times seven signs, then a scale
  bits.seven = _mm512_movepi8_mask(bits.index);
  bits.six = _mm512_test_epi8_mask(bits.index, _mm512_set1_epi8(64));
  bits.signs = _mm512_multishift_epi64_epi8(u64_everywhere(0x352e2720150e0700u), words);
  bits.scales = _mm512_srli_epi32(words, 28);
  __m256i d = _mm256_set1_epi32(static_cast<int>(load_u32(p)));
  d = _mm256_mask_set1_epi32(d, 0xf0, WHOLE ? static_cast<int>(load_u32(p + next)) : 0);
  bits.d = _mm512_moveldup_ps(_mm512_cvtph_ps(d));
  return bits;
}

/// The groups' entries in a plane.
SCF_INLINE Z look_up(const std::uint8_t (&plane)[256], const GroupBits& bits) {
  const Z index = bits.index;
  Z low = _mm512_permutexvar_epi8(index, load_z(plane)), high = _mm512_permutexvar_epi8(index, load_z(plane + 128));
  low = _mm512_mask_permutexvar_epi8(low, bits.six, index, load_z(plane + 64));
  high = _mm512_mask_permutexvar_epi8(high, bits.six, index, load_z(plane + 192));
  return _mm512_mask_blend_epi8(bits.seven, low, high);
}

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
