// Indices of the k largest x+bias, descending. A workgroup has one token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "choose.glsl"

// at: x[T,X], bias[X] or none, ids[T,K].
void main() {
  const uint n = number(0), k = number(1), t = gl_WorkGroupID.x;
  InFloats x = InFloats(floats(at(0), uint64_t(t) * n));
  const uint64_t bias = at(1);
  for (uint i = THREAD; i < n; i += THREADS) offer(i, x.v[i] + (bias != 0UL ? InFloats(bias).v[i] : 0.0));
  barrier();
  choose(n, k);
  for (uint i = THREAD; i < k; i += THREADS) Ints(floats(at(2), uint64_t(t) * k)).v[i] = chosen[i];
}
