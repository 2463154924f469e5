// Integer dot products with AVX-512 VNNI (256-bit forms).
#pragma once

#include "kernels/simd/lanes8_x86.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// Sums of the products of four neighbours.
SCF_INLINE I8 dot_u8(B u, B x) { return (I8)_mm256_dpbusd_epi32(_mm256_setzero_si256(), (__m256i)u, (__m256i)x); }
/// The instruction wants an unsigned side: w + 128 is taken, and 128 times the sums of x are taken off beforehand.
struct Fix {
  __m256i minus_128_x;
};
SCF_INLINE Fix fix_for(B x) {
  const __m256i s = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(-128), (__m256i)x);
  return {_mm256_sub_epi32(_mm256_setzero_si256(), s)};
}
SCF_INLINE I8 dot_s8(B w, B x, Fix fix) {
  return (I8)_mm256_dpbusd_epi32(fix.minus_128_x, _mm256_xor_si256((__m256i)w, _mm256_set1_epi8(-128)), (__m256i)x);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
