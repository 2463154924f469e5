// A group of 32 results as f16 (see Brief).
#pragma once

#include "kernels/tile_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// Numbers are stored in sixteenths, up to 2^20; what is larger becomes infinite.
inline constexpr float k_brief_unit = 16.0f;

SCF_INLINE U16 brief_of(F16 first, F16 second) {
  first *= 1 / k_brief_unit;
  second *= 1 / k_brief_unit;
#ifdef __AVX512F__
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m512i lower = _mm512_castsi256_si512(_mm512_cvtps_ph((__m512)first, nearest));
  return (U16)_mm512_inserti64x4(lower, _mm512_cvtps_ph((__m512)second, nearest), 1);
#else
  float part[k_brief];
  std::byte half[2 * k_brief];
  store_as(part, first);
  store_as(part + 16, second);
  for (int i = 0; i < k_brief; i += k_lanes) store_f16(half + 2 * i, load(part + i));
  return load_as<U16>(half);
#endif
}
/// 16 of them, not yet multiplied by the unit.
SCF_INLINE F16 from_brief(const std::uint16_t* half) {
#ifdef __AVX512F__
  return (F16)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(half)));
#else
  float part[16];
  for (int i = 0; i < 16; i += k_lanes) store(part + i, load_f16(reinterpret_cast<const std::byte*>(half + i)));
  return load_as<F16>(part);
#endif
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
