// Panels from IQ2_XXS by VBMI and GFNI: two super-blocks at a time. The j-th weights of all 64 groups are picked from
// the tables of their sub-blocks (a dword each: three levels), negated by their signs, and brought in order at the end.
#pragma once

#include "kernels/panels/fill_avx512.hpp"
#include "kernels/vbmi/iq2_xxs_bits.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

template <> struct OwnFill<FormatIQ2_XXS> {
  static constexpr bool exists = true;
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
    Z top = _mm512_max_epu32(bits.scales, _mm512_shuffle_epi32(bits.scales, _MM_PERM_BADC));
    top = _mm512_max_epu32(top, _mm512_shuffle_epi32(top, _MM_PERM_CDAB));
    top = _mm512_max_epu32(top, _mm512_permutex_epi64(top, 0x4e));
    const F odd = _mm512_setr_ps(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31); // 2 * scale + 1
    const F largest = _mm512_permutexvar_ps(top, odd);
    const F unit = _mm512_permutexvar_ps(bits.scales, odd) * _mm512_div_ps(set1(127.0f / 43), largest);
    const Z tables = levels(unit);
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
        const __mmask64 negative =
            _mm512_test_epi8_mask(signs, _mm512_set1_epi8(static_cast<char>(1u << (4 * half + i))));
        v[4 * half + i] = _mm512_mask_sub_epi8(level, negative, _mm512_setzero_si512(), level);
      }
    }
    in_order(v);
#pragma GCC unroll 8
    for (int i = 0; i < (WHOLE ? 8 : 4); ++i) _mm512_store_si512(panel.codes[4 * u + i][r], flipped(v[i], flip));
  }
  /// 8, 25 and 43 units as bytes of each lane.
  SCF_INLINE Z levels(F unit) {
    const Z a = _mm512_cvtps_epi32(unit * set1(8.0f)), b = _mm512_cvtps_epi32(unit * set1(25.0f));
    const Z c = _mm512_cvtps_epi32(unit * set1(43.0f));
    return _mm512_ternarylogic_epi32(a, _mm512_slli_epi32(b, 8), _mm512_slli_epi32(c, 16), 0xfe);
  }
  /// From v[j] byte g = element 8g + j to 64 neighbours in a register.
  SCF_INLINE void in_order(Z (&v)[8]) {
    Z a[8], b[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) { // bytes j and j+4 ... of lane L: groups 16L to 16L+15
      a[2 * i] = _mm512_unpacklo_epi8(v[i], v[i + 4]);
      a[2 * i + 1] = _mm512_unpackhi_epi8(v[i], v[i + 4]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        b[4 * i + 2 * h] = _mm512_unpacklo_epi8(a[2 * i + h], a[2 * i + 4 + h]);
        b[4 * i + 2 * h + 1] = _mm512_unpackhi_epi8(a[2 * i + h], a[2 * i + 4 + h]);
      }
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) {
      a[2 * h] = _mm512_unpacklo_epi8(b[h], b[4 + h]);
      a[2 * h + 1] = _mm512_unpackhi_epi8(b[h], b[4 + h]);
    }
    // Lane L of a[x]: groups 16L + 2x and the next; a register wants four neighbours x of one lane.
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const Z low01 = _mm512_shuffle_i64x2(a[4 * i], a[4 * i + 1], 0x44),
              low23 = _mm512_shuffle_i64x2(a[4 * i + 2], a[4 * i + 3], 0x44);
      const Z high01 = _mm512_shuffle_i64x2(a[4 * i], a[4 * i + 1], 0xee),
              high23 = _mm512_shuffle_i64x2(a[4 * i + 2], a[4 * i + 3], 0xee);
      v[i] = _mm512_shuffle_i64x2(low01, low23, 0x88);
      v[2 + i] = _mm512_shuffle_i64x2(low01, low23, 0xdd);
      v[4 + i] = _mm512_shuffle_i64x2(high01, high23, 0x88);
      v[6 + i] = _mm512_shuffle_i64x2(high01, high23, 0xdd);
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
