// The instruction set this translation unit is compiled for. CMake gives SCF_ISA_NAMESPACE (the set's name) and
// SCF_ISA_HEADER (its wrapper in simd/); every kernel source is compiled once per set, in the set's own namespace.
//
// Rule for files that include this: nothing from outside the namespace may be left to the linker (no std:: templates,
// no SDK functions): the linker keeps one copy of an inline function, and it could keep the one with instructions that
// this machine lacks. So: plain pointers and counts in, no containers.
#pragma once

#include SCF_ISA_HEADER

#include "isa.hpp"
#include "kernels/own_product.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

SCF_INLINE F zero() { return set1(0.0f); }
template <class T> SCF_INLINE T lesser(T a, T b) { return a < b ? a : b; }
template <class T> SCF_INLINE T greater(T a, T b) { return a < b ? b : a; }

/// A whole vector, or its first `n` elements.
struct Whole {};
struct Part {
  int n;
};
SCF_INLINE F load(const float* p, Whole) { return load(p); }
SCF_INLINE F load(const float* p, Part part) {
  float v[k_lanes] = {};
  for (int i = 0; i < part.n; ++i) v[i] = p[i];
  return load(v);
}
SCF_INLINE void store(float* p, F v, Whole) { store(p, v); }
SCF_INLINE void store(float* p, F v, Part part) {
  float out[k_lanes];
  store(out, v);
  for (int i = 0; i < part.n; ++i) p[i] = out[i];
}
/// body(index, Whole or Part) over [0, n) in steps of a vector.
template <class Body> SCF_INLINE void each(std::int64_t n, Body body) {
  std::int64_t i = 0;
  for (; i + k_lanes <= n; i += k_lanes) body(i, Whole{});
  if (i < n) body(i, Part{static_cast<int>(n - i)});
}

/// tile(Size, first) so that [0, n) is covered by pieces of MOST, the rest by smaller ones.
template <int N> struct Size { static constexpr int value = N; };
template <int MOST, class Tile> SCF_INLINE void cover_by(std::int64_t n, Tile tile) {
  std::int64_t i = 0;
  for (; i + MOST <= n; i += MOST) tile(Size<MOST>{}, i);
  if constexpr (MOST > 4)
    for (; i + 4 <= n; i += 4) tile(Size<4>{}, i);
  if constexpr (MOST > 2)
    for (; i + 2 <= n; i += 2) tile(Size<2>{}, i);
  for (; i < n; ++i) tile(Size<1>{}, i);
}

/// e^x to 2 units in the last place; below -87.3 the smallest normal number, above 88.3 about 2e38. NaN stays.
SCF_INLINE F exp(F x) {
  x = min(set1(88.3f), max(set1(-87.3f), x));
  const F n = round(x * set1(1.44269504f));
  F r = fma(n, set1(-0.693359375f), x);
  r = fma(n, set1(2.12194440e-4f), r);
  F p = set1(1.0f / 5040);
  p = fma(p, r, set1(1.0f / 720));
  p = fma(p, r, set1(1.0f / 120));
  p = fma(p, r, set1(1.0f / 24));
  p = fma(p, r, set1(1.0f / 6));
  p = fma(p, r, set1(0.5f));
  p = fma(p, r, set1(1.0f));
  p = fma(p, r, set1(1.0f));
  return p * pow2(n);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
