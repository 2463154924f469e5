// The sum of p·row. A workgroup has one head of one token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: probs[T,H,N], rows[T,N,D], count[T], o[T,H,D].
void main() {
  const uint n = number(0), most = number(1), heads = number(2), t = gl_WorkGroupID.y;
  const uint64_t pair = uint64_t(t) * heads + gl_WorkGroupID.x;
  InFloats probs = InFloats(floats(at(0), pair * most)), rows = InFloats(floats(at(1), uint64_t(t) * most * n));
  Floats o = Floats(floats(at(3), pair * n));
  const uint seen = uint(InInts(at(2)).v[t]);
  for (uint d = THREAD; d < n; d += THREADS) {
    float sum = 0.0;
    for (uint i = 0; i < seen; ++i) sum += probs.v[i] * rows.v[i * n + d];
    o.v[d] = sum;
  }
}
