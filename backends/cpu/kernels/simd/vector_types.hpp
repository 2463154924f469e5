// What all instruction sets share: the 32-byte vectors of the integer kernels, as compiler vector types. `+ - & | ^ >>`
// work on their elements.
#pragma once

#include <cstddef>
#include <cstdint>

#define SCF_INLINE [[gnu::always_inline]] static inline

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

typedef std::uint8_t B __attribute__((vector_size(32)));  // 32 codes
typedef std::uint8_t H __attribute__((vector_size(16)));  // half of a B
typedef std::int32_t I8 __attribute__((vector_size(32))); // 8 sums
typedef float F8 __attribute__((vector_size(32)));

SCF_INLINE B load_b(const void* p) {
  B v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
SCF_INLINE H load_h(const void* p) {
  H v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
SCF_INLINE void store_b(void* p, B v) { __builtin_memcpy(p, &v, sizeof v); }
SCF_INLINE F8 load8(const float* p) {
  F8 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
SCF_INLINE F8 set8(float v) { return F8{v, v, v, v, v, v, v, v}; }
/// Lanes 0-3 = a, 4-7 = b: the scales of the two halves of a B.
SCF_INLINE F8 pair8(float a, float b) { return F8{a, a, a, a, b, b, b, b}; }
/// ((v0 + v4) + (v2 + v6)) + ((v1 + v5) + (v3 + v7)).
template <class V> SCF_INLINE auto sum8(V v) {
  const auto four = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
  const auto two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
