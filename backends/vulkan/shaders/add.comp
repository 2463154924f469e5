// a + b
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: a, b, out.
void main() {
  const uint n = count(0);
  InFloats a = InFloats(at(0)), b = InFloats(at(1));
  Floats sum = Floats(at(2));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS) sum.v[i] = a.v[i] + b.v[i];
}
