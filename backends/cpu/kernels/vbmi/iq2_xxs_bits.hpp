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
};
/// From the dwords of 16 sub-blocks: four indices, and four times seven signs below the scale.
SCF_INLINE GroupBits group_bits(Z index, Z words) {
  GroupBits bits;
  bits.index = index;
  bits.seven = _mm512_movepi8_mask(index);
  bits.six = _mm512_test_epi8_mask(index, _mm512_set1_epi8(64));
  bits.signs = _mm512_multishift_epi64_epi8(u64_everywhere(0x352e2720150e0700u), words);
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
