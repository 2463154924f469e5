// out[c] = sum over r of a[r][c]·s[r]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: s[T,n,E], a[T,n,m], out[T,m,E].
void main() {
  const uint n = count(0), width = number(1), from = number(2), to = number(3);
  InFloats s = InFloats(at(0)), a = InFloats(at(1));
  Floats y = Floats(at(2));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS) {
    const uint e = i % width, c = i / width % to, t = i / (width * to);
    float sum = 0.0;
    for (uint r = 0; r < from; ++r) sum += a.v[(t * from + r) * to + c] * s.v[(t * from + r) * width + e];
    y.v[i] = sum;
  }
}
