// Bytes and floats of eight lanes: AVX2 and above.
#pragma once

#include "kernels/simd/vector_types.hpp"

#include <immintrin.h>

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

SCF_INLINE F8 fma8(F8 a, F8 b, F8 c) { return (F8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
SCF_INLINE F8 to_f8(I8 v) { return (F8)_mm256_cvtepi32_ps((__m256i)v); }
/// table[v[i]] for v[i] < 16.
SCF_INLINE B lookup16(const std::int8_t* table, B v) {
  const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return (B)_mm256_shuffle_epi8(t, (__m256i)v);
}
SCF_INLINE B join(H low, H high) { return (B)_mm256_set_m128i((__m128i)high, (__m128i)low); }
/// Four entries of a table of 8 bytes each.
SCF_INLINE B pick4(const std::uint64_t* t, std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  const auto pair = [t](std::uint32_t i, std::uint32_t j) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(t + i));
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(t + j)));
  };
  return (B)_mm256_set_m128i(pair(c, d), pair(a, b));
}
/// The 8 bytes of `v`, lowest first, as floats.
SCF_INLINE F8 u8_to_f8(std::uint64_t v) {
  return (F8)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(v))));
}
SCF_INLINE F8 s8_to_f8(std::uint64_t v) {
  return (F8)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(static_cast<long long>(v))));
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
