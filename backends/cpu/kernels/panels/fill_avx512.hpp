// Panels from Q8_0, Q2_K and Q4_K with AVX-512. Q8_0's codes are multiplied by their block's share of the largest
// scale; the others' codes pick from a table that each sub-block makes of its scale and minimum.
#pragma once

#include "kernels/panels/panels.hpp"
#include "kernels/vnni/z_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

SCF_INLINE float largest_of(__m256 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
SCF_INLINE __m256 abs_ps(__m256 v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
/// Of the scale that makes `largest` 127: it, and what values are multiplied with. NaN where a factor `d` is none.
struct Unit {
  float scale, inverse;
};
SCF_INLINE Unit unit_for(float largest, float d) {
  return {largest / 127.0f + 0.0f * d, largest > 0 ? 127.0f / largest : 0.0f};
}
/// (a & mask) | b
SCF_INLINE Z masked_or(Z a, Z mask, Z b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xea); }
SCF_INLINE Z flipped(Z v, std::uint32_t flip) { return _mm512_xor_si512(v, _mm512_set1_epi32(static_cast<int>(flip))); }

template <> struct OwnFill<FormatQ8_0> {
  static constexpr bool exists = true;
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q8_0* block, int n, std::uint32_t flip) {
    const __m256i at = _mm256_setr_epi32(0, 34, 68, 102, 136, 170, 204, 238);
    const Z pair = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(1), 1); // words 0-15 and 16-31
    const Z half = _mm512_set1_epi16(128);
    for (int u = 0; u < n / 256; ++u, block += 8) {
      const __m256i halves = _mm256_i32gather_epi32(reinterpret_cast<const int*>(block), at, 1);
      const __m256 d = _mm256_cvtph_ps(_mm256_cvtepi32_epi16(halves));
      const float largest = largest_of(abs_ps(d));
      const __m256 share = _mm256_mul_ps(d, _mm256_set1_ps(largest > 0 ? 256.0f / largest : 0.0f));
      const Z factors = _mm512_castsi128_si512(_mm256_cvtepi32_epi16(_mm256_cvtps_epi32(share)));
      panel.scale[u][r] = largest + 0.0f * sum8((F8)d);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Z factor =
            _mm512_permutexvar_epi16(_mm512_add_epi16(pair, _mm512_set1_epi16(static_cast<short>(2 * i))), factors);
        const Z codes = join_z(block[2 * i].q, block[2 * i + 1].q);
        const Z even = _mm512_srai_epi16(_mm512_slli_epi16(codes, 8), 8), odd = _mm512_srai_epi16(codes, 8);
        const Z low = _mm512_srli_epi16(_mm512_add_epi16(_mm512_mullo_epi16(even, factor), half), 8);
        const Z high = _mm512_add_epi16(_mm512_mullo_epi16(odd, factor), half);
        _mm512_store_si512(panel.codes[4 * u + i][r], flipped(masked_or(high, _mm512_set1_epi16(-256), low), flip));
      }
    }
  }
};

template <> struct OwnFill<FormatQ2_K> {
  static constexpr bool exists = true;
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q2_K* block, int n, std::uint32_t flip) {
    for (int u = 0; u < n / 256; ++u, ++block) {
      const float d = half_to_float(block->d), dmin = half_to_float(block->dmin);
      const __m128i sc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block->sc)), low = _mm_set1_epi8(15);
      F s = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_and_si128(sc, low))) * set1(d);
      F m = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(sc, 4), low))) * set1(dmin);
      const F most = _mm512_max_ps(_mm512_abs_ps(fma(s, set1(3.0f), zero() - m)), _mm512_abs_ps(m));
      const Unit unit = unit_for(_mm512_reduce_max_ps(most), d + dmin);
      panel.scale[u][r] = unit.scale;
      s = s * set1(unit.inverse);
      m = m * set1(unit.inverse);
      const Z tables = four_levels(zero() - m, s);
      const Z q = _mm512_loadu_si512(block->q);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) { // 32 elements of each half: sub-blocks 2i, 2i+1, 8+2i, 9+2i
        const Z lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 8, 8, 8, 8, 9, 9, 9, 9);
        const Z table = _mm512_permutexvar_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(2 * i)), tables);
        const Z codes = _mm512_and_si512(_mm512_srli_epi16(q, static_cast<unsigned>(2 * i)), _mm512_set1_epi8(3));
        const Z v = flipped(_mm512_shuffle_epi8(table, codes), flip);
        const auto put = [&](int piece, __m256i half) {
          _mm256_store_si256(reinterpret_cast<__m256i*>(panel.codes[4 * u + piece][r] + 32 * (i % 2)), half);
        };
        put(i / 2, _mm512_castsi512_si256(v));
        put(2 + i / 2, _mm512_extracti64x4_epi64(v, 1));
      }
    }
  }

private:
  /// first, first + step, ... as the four bytes of each lane.
  SCF_INLINE Z four_levels(F first, F step) {
    const Z a = _mm512_cvtps_epi32(first), b = _mm512_cvtps_epi32(first + step);
    const Z c = _mm512_cvtps_epi32(fma(step, set1(2.0f), first)), e = _mm512_cvtps_epi32(fma(step, set1(3.0f), first));
    const Z two =
        masked_or(_mm512_slli_epi32(b, 8), _mm512_set1_epi32(0xff00), _mm512_and_si512(a, _mm512_set1_epi32(255)));
    return masked_or(_mm512_slli_epi32(c, 16), _mm512_set1_epi32(0xff0000),
                     _mm512_or_si512(two, _mm512_slli_epi32(e, 24)));
  }
};

template <> struct OwnFill<FormatQ4_K> {
  static constexpr bool exists = true;
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q4_K* block, int n, std::uint32_t flip) {
    for (int u = 0; u < n / 256; ++u, ++block) {
      const float d = half_to_float(block->d), dmin = half_to_float(block->dmin);
      const ScaleBytes bytes = scale_bytes(*block);
      const __m256 s = _mm256_mul_ps((__m256)u8_to_f8(bytes.scale), _mm256_set1_ps(d));
      const __m256 m = _mm256_mul_ps((__m256)u8_to_f8(bytes.min), _mm256_set1_ps(dmin));
      const __m256 top = _mm256_fmsub_ps(s, _mm256_set1_ps(15.0f), m);
      const Unit unit = unit_for(largest_of(_mm256_max_ps(abs_ps(top), abs_ps(m))), d + dmin);
      panel.scale[u][r] = unit.scale;
      alignas(64) std::uint8_t tables[8][16];
      make_tables(_mm256_mul_ps(s, _mm256_set1_ps(unit.inverse)), _mm256_mul_ps(m, _mm256_set1_ps(unit.inverse)),
                  tables);
#pragma GCC unroll 2
      for (int half = 0; half < 2;
           ++half) { // 128 elements: sub-blocks 4h and 4h+2 in the low nibbles, others in the high
        const Z four = _mm512_load_si512(tables[4 * half]), q = load_z(block->q + 64 * half),
                low = _mm512_set1_epi8(15);
        const Z even = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 4, 5, 4, 5), four);
        const Z odd = _mm512_permutexvar_epi64(_mm512_setr_epi64(2, 3, 2, 3, 6, 7, 6, 7), four);
        const Z a = _mm512_shuffle_epi8(even, _mm512_and_si512(q, low));
        const Z b = _mm512_shuffle_epi8(odd, _mm512_and_si512(_mm512_srli_epi16(q, 4), low));
        _mm512_store_si512(panel.codes[4 * u + 2 * half][r], flipped(_mm512_shuffle_i64x2(a, b, 0x44), flip));
        _mm512_store_si512(panel.codes[4 * u + 2 * half + 1][r], flipped(_mm512_shuffle_i64x2(a, b, 0xee), flip));
      }
    }
  }

private:
  SCF_INLINE void make_tables(__m256 s, __m256 m, std::uint8_t (&tables)[8][16]) {
    alignas(32) float scale[8], min[8];
    _mm256_store_ps(scale, s);
    _mm256_store_ps(min, m);
    const F codes = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const Z levels = _mm512_cvtps_epi32(_mm512_fmsub_ps(codes, set1(scale[i]), set1(min[i])));
      _mm_store_si128(reinterpret_cast<__m128i*>(tables[i]), _mm512_cvtepi32_epi8(levels));
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
