// 256 weights of any format as products of many tokens begin with them: eight vectors of codes, and scale and minimum
// of each sub-block.
#pragma once

#include "kernels/formats.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

SCF_INLINE F8 choose8(I8 mask, F8 a, F8 b) { return (F8)(((I8)a & mask) | ((I8)b & ~mask)); }
SCF_INLINE F8 max8(F8 a, F8 b) { return choose8(a > b, a, b); }
SCF_INLINE float top8(F8 v) {
  v = max8(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
  v = max8(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
  return greater(v[0], v[1]);
}
SCF_INLINE F8 abs8(F8 a) { return (F8)((I8)a & 0x7fffffff); }
SCF_INLINE I8 round8(F8 a) { return __builtin_convertvector(a + choose8(a < 0, set8(-0.5f), set8(0.5f)), I8); }

/// Weights are scale * code - min, per sub-block of Out::sub.
template <class Out> struct Unit {
  static constexpr int subs = 256 / Out::sub; // 8 or 16
  B codes[8];
  alignas(32) float scale[subs], min[subs];
};
/// The first n elements (256 at most) of the unit at `block`; the rest is zeros.
template <class Fmt>
SCF_INLINE void unpack_unit(const typename Fmt::Block* block, int n, Unit<typename Fmt::Out>& out) {
  using Out = typename Fmt::Out;
  constexpr int blocks = 8 / Out::vectors;
  __builtin_memset(out.scale, 0, sizeof out.scale);
  __builtin_memset(out.min, 0, sizeof out.min);
#pragma GCC unroll 8
  for (int i = 0; i < blocks; ++i) {
    if (blocks > 1 && 32 * i >= n) {
      out.codes[i] = B{};
      continue;
    }
    Out u;
    Fmt::unpack(block[i], u);
#pragma GCC unroll 8
    for (int j = 0; j < Out::vectors; ++j) out.codes[i * Out::vectors + j] = u.c[j];
    __builtin_memcpy(out.scale + i * Out::subs, u.s, sizeof u.s);
    if constexpr (Out::has_min)
      for (int m = 0; m < Out::min_vectors; ++m) store8(out.min + 8 * m, u.m[m]);
  }
}

/// The largest |scale * code - min| of codes up to `top`, and zero, or NaN if a scale or minimum is no number.
struct Extent {
  float largest, poison;
};
template <class Out> SCF_INLINE Extent extent_of(const float* scale, const float* min, float top) {
  F8 largest{}, poison{};
  for (int i = 0; i < Unit<Out>::subs; i += 8) {
    const F8 s = load8(scale + i) * set8(top), m = Out::has_min ? load8(min + i) : F8{};
    largest = max8(largest, max8(abs8(s - m), abs8(m)));
    poison = poison + (s - m) * 0.0f;
  }
  return {top8(largest), sum8(poison)};
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
