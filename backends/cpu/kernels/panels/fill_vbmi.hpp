// Panels from IQ2_XXS by VBMI and GFNI: two super-blocks at a time. The j-th weights of all 64 groups are picked from
// the tables of their sub-blocks (a dword each: three levels), negated by their signs, and stored as they are: ByEight.
#pragma once

#include "kernels/panels/fill_avx512.hpp"
#include "kernels/vbmi/iq2_xxs_bits.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

namespace {

/// Bytes 0, 8, 16, ..., then 1, 9, ...
struct Eighths {
  std::uint8_t at[64];
};
constexpr Eighths eighths() {
  Eighths e{};
  for (unsigned i = 0; i < 64; ++i) e.at[i] = static_cast<std::uint8_t>(i % 8 * 8 + i / 8);
  return e;
}
alignas(64) constexpr Eighths k_eighths = eighths();

/// What 8, 25 and 43 become in a sub-block of scale s where the largest of the block is t, as bytes: 43 times the
/// largest, 2 * t + 1, is 127.
struct Levels {
  std::uint32_t of[16][16]; // [t][s]
};
constexpr std::uint32_t nearest(float v) {
  const auto whole = static_cast<std::uint32_t>(v);
  const float rest = v - static_cast<float>(whole);
  return whole + (rest > 0.5f || (rest == 0.5f && whole % 2 == 1) ? 1 : 0);
}
constexpr Levels levels() {
  Levels all{};
  for (int t = 0; t < 16; ++t)
    for (int s = 0; s <= t; ++s) {
      const float unit = static_cast<float>(2 * s + 1) * (127.0f / 43.0f / static_cast<float>(2 * t + 1));
      all.of[t][s] = nearest(unit * 8.0f) | nearest(unit * 25.0f) << 8 | nearest(unit * 43.0f) << 16;
    }
  return all;
}
alignas(64) constexpr Levels k_levels = levels();

} // namespace

/// First every eighth of 256 elements from 0 on, then every eighth from 1 on, ...
struct ByEight {
  SCF_INLINE void arrange(const std::byte* codes, int, U16 (&pieces)[4][k_tile], int t) {
    Z v[4]; // of 64 neighbours, eight by eight
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm512_permutexvar_epi8(load_z(k_eighths.at), load_z(codes + 64 * i));
    const Z a = _mm512_shuffle_i64x2(v[0], v[1], 0x44), b = _mm512_shuffle_i64x2(v[2], v[3], 0x44); // elements 0 to 3
    const Z c = _mm512_shuffle_i64x2(v[0], v[1], 0xee), d = _mm512_shuffle_i64x2(v[2], v[3], 0xee); // and 4 to 7
    const Z first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13), second = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    pieces[0][t] = (U16)_mm512_permutex2var_epi64(a, first, b);
    pieces[1][t] = (U16)_mm512_permutex2var_epi64(a, second, b);
    pieces[2][t] = (U16)_mm512_permutex2var_epi64(c, first, d);
    pieces[3][t] = (U16)_mm512_permutex2var_epi64(c, second, d);
  }
};

template <> struct OwnFill<FormatIQ2_XXS> {
  static constexpr bool exists = true;
  using Order = ByEight;
  SCF_INLINE void row(Panel& panel, int r, const blocks::IQ2_XXS* block, int n, std::uint32_t flip) {
    int u = 0;
    for (; u + 2 <= n / 256; u += 2) two<true>(panel, r, u, block + u, flip);
    if (u < n / 256) two<false>(panel, r, u, block + u, flip);
  }

private:
  static constexpr std::uint64_t parity_map() {
    BitMap map{};
    for (unsigned i = 0; i < 7; ++i) map.from[i] = static_cast<std::uint8_t>(1u << i);
    map.from[7] = 0x7f;
    return map.matrix();
  }

  template <bool WHOLE>
  SCF_INLINE void two(Panel& panel, int r, int u, const blocks::IQ2_XXS* block, std::uint32_t flip) {
    const GroupBits bits = group_bits<WHOLE>(block);
    // The largest scale of each block, everywhere in its half.
    Z top = _mm512_max_epu32(bits.scales, _mm512_rol_epi64(bits.scales, 32));
    top = _mm512_max_epu32(top, _mm512_shuffle_epi32(top, _MM_PERM_BADC));
    top = _mm512_max_epu32(top, _mm512_permutex_epi64(top, 0x4e));
    const auto row = [](__m128i at) { return load_z(k_levels.of[_mm_cvtsi128_si32(at)]); };
    Z tables = _mm512_permutexvar_epi32(bits.scales, row(_mm512_castsi512_si128(top)));
    if constexpr (WHOLE)
      tables = _mm512_mask_permutexvar_epi32(tables, 0xff00, bits.scales, row(_mm512_extracti32x4_epi32(top, 2)));
    const F odd = _mm512_setr_ps(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31); // 2 * scale + 1
    const F largest = _mm512_permutexvar_ps(top, odd);
    const F scale = largest * bits.d * set1(0.125f * 43 / 127);
    panel.scale[u][r] = _mm512_cvtss_f32(scale);
    if constexpr (WHOLE) panel.scale[u + 1][r] = _mm_cvtss_f32(_mm512_extractf32x4_ps(scale, 2));

    const Z signs = map_bits<0>(bits.signs, parity_map());
    const Z place = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    Z v[8];
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const Z digits = look_up(k_planes.digits[half], bits);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Z index = masked_or(_mm512_srli_epi16(digits, static_cast<unsigned>(2 * i)), _mm512_set1_epi8(3), place);
        const Z level = _mm512_shuffle_epi8(tables, index);
        const int bit = 4 * half + i;
        const __mmask64 negative = bit == 7
                                       ? _mm512_movepi8_mask(signs)
                                       : _mm512_test_epi8_mask(signs, _mm512_set1_epi8(static_cast<char>(1 << bit)));
        v[4 * half + i] = _mm512_mask_sub_epi8(level, negative, _mm512_setzero_si512(), level);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) { // half of a piece for each of the blocks
      const auto put = [&](int block_of_two, __m256i half) {
        std::uint8_t* piece = panel.codes[4 * (u + block_of_two) + j / 2][r];
        _mm256_store_si256(reinterpret_cast<__m256i*>(piece + 32 * (j % 2)), half);
      };
      const Z out = flipped(v[j], flip);
      put(0, _mm512_castsi512_si256(out));
      if constexpr (WHOLE) put(1, _mm512_extracti64x4_epi64(out, 1));
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
