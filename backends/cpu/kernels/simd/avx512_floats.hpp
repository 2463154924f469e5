// What the AVX-512 sets share (F, BW, VL, DQ).
#pragma once

#include "kernels/simd/vector_types.hpp"

#include <immintrin.h>

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

typedef __m512 F;
typedef __m512i FI;
inline constexpr int k_lanes = 16;
inline constexpr int k_tile_tokens = 6;

SCF_INLINE F set1(float v) { return _mm512_set1_ps(v); }
SCF_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
SCF_INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
SCF_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
SCF_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); } // NaN in either gives b
SCF_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
SCF_INLINE float sum(F v) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
/// p[0..4) = the sums of a, b, c, d.
SCF_INLINE void store_sums(float* p, F a, F b, F c, F d) {
  const __m512d ab = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
  const __m512d cd = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
  const __m512 s =
      _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
  _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
}
SCF_INLINE float top(F v) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
SCF_INLINE F round(F v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SCF_INLINE FI to_int(F v) { return _mm512_cvtps_epi32(v); } // of whole numbers
SCF_INLINE F as_float(FI v) { return _mm512_castsi512_ps(v); }
SCF_INLINE F pow2(F n) { // -126 <= n <= 127
  return as_float(_mm512_slli_epi32(_mm512_add_epi32(to_int(n), _mm512_set1_epi32(127)), 23));
}
SCF_INLINE F load_f16(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
SCF_INLINE void store_f16(std::byte* p, F v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
SCF_INLINE F load_bf16(const std::byte* p) {
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return as_float(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
/// -v[i] where bit i is set.
SCF_INLINE B negate_where(std::uint32_t bits, B v) {
  return (B)_mm256_mask_sub_epi8((__m256i)v, bits, _mm256_setzero_si256(), (__m256i)v);
}
/// k_lanes codes, rounded to nearest even; |v| <= 127.
SCF_INLINE void store_i8(std::byte* p, F v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}
SCF_INLINE float half_to_float(std::uint16_t h) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h))); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
