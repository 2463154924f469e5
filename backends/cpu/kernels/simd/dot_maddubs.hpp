// Integer dot products of AVX2 machines: u8 x s8 pairs to 16 bits, pairs of those to 32.
#pragma once

#include "kernels/simd/lanes8_x86.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// Sums of the products of four neighbours; u * 127 * 2 must fit in 16 bits (u <= 128).
SCF_INLINE I8 dot_u8(B u, B x) {
  return (I8)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)u, (__m256i)x), _mm256_set1_epi16(1));
}
struct Fix {};
SCF_INLINE Fix fix_for(B) { return {}; }
SCF_INLINE I8 dot_s8(B w, B x, Fix) {
  const __m256i a = _mm256_sign_epi8((__m256i)w, (__m256i)w);
  return dot_u8((B)a, (B)_mm256_sign_epi8((__m256i)x, (__m256i)w));
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
