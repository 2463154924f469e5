// AVX2 + FMA + F16C.
#pragma once

#include "kernels/avx2/products.hpp"
#include "kernels/simd/dot_maddubs.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

typedef __m256 F;
typedef __m256i FI;
inline constexpr int k_lanes = 8;
inline constexpr int k_tile_tokens = 3;

SCF_INLINE F set1(float v) { return _mm256_set1_ps(v); }
SCF_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
SCF_INLINE void store(float* p, F v) { _mm256_storeu_ps(p, v); }
SCF_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
SCF_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); } // NaN in either gives b
SCF_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
SCF_INLINE float sum(F v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
/// p[0..4) = the sums of a, b, c, d.
SCF_INLINE void store_sums(float* p, F a, F b, F c, F d) {
  const __m256d ab = _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)));
  const __m256d cd = _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)));
  const __m256 s =
      _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)), _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
  _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}
SCF_INLINE float top(F v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
SCF_INLINE F round(F v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SCF_INLINE FI to_int(F v) { return _mm256_cvtps_epi32(v); } // of whole numbers
SCF_INLINE F as_float(FI v) { return _mm256_castsi256_ps(v); }
SCF_INLINE F pow2(F n) { // -126 <= n <= 127
  return as_float(_mm256_slli_epi32(_mm256_add_epi32(to_int(n), _mm256_set1_epi32(127)), 23));
}
SCF_INLINE F load_f16(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
SCF_INLINE void store_f16(std::byte* p, F v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
SCF_INLINE F load_bf16(const std::byte* p) {
  const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return as_float(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
/// -v[i] where bit i is set.
SCF_INLINE B negate_where(std::uint32_t bits, B v) {
  const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), spread);
  const __m256i mask = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
  return (B)_mm256_sub_epi8(_mm256_xor_si256((__m256i)v, mask), mask);
}
/// k_lanes codes, rounded to nearest even; |v| <= 127.
SCF_INLINE void store_i8(std::byte* p, F v) {
  const __m256i i = _mm256_cvtps_epi32(v);
  const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(h, h));
}
SCF_INLINE float half_to_float(std::uint16_t h) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h))); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
