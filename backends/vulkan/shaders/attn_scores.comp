// q·row·scale; -inf past count. A workgroup has one head of one token, a subgroup one row at a time.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: q[T,H,D], rows[T,N,D], count[T], scores[T,H,N].
void main() {
  const uint n = number(0), most = number(1), heads = number(2), t = gl_WorkGroupID.y;
  const uint64_t pair = uint64_t(t) * heads + gl_WorkGroupID.x;
  InFloats q = InFloats(floats(at(0), pair * n));
  Floats scores = Floats(floats(at(3), pair * most));
  const uint seen = uint(InInts(at(2)).v[t]);
  for (uint i = gl_SubgroupID; i < most; i += gl_NumSubgroups) {
    InFloats row = InFloats(floats(at(1), (uint64_t(t) * most + i) * n));
    float sum = 0.0;
    if (i < seen)
      for (uint d = gl_SubgroupInvocationID; d < n; d += gl_SubgroupSize) sum += q.v[d] * row.v[d];
    sum = subgroupAdd(sum);
    if (gl_SubgroupInvocationID == 0) scores.v[i] = i < seen ? sum * real(3) : -INFINITE;
  }
}
