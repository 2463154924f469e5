// Vectors of 64 bytes for kernels written with AVX-512 itself.
#pragma once

#include "kernels/simd.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

typedef __m512i Z; // 64 codes or 16 sums

SCF_INLINE Z load_z(const void* p) { return _mm512_loadu_si512(p); }
SCF_INLINE Z join_z(const void* low, const void* high) {
  const Z z = _mm512_castsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(low)));
  return _mm512_inserti64x4(z, _mm256_loadu_si256(static_cast<const __m256i*>(high)), 1);
}
SCF_INLINE Z u64_everywhere(std::uint64_t v) { return _mm512_set1_epi64(static_cast<long long>(v)); }

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
