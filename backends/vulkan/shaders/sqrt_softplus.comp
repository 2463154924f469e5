// sqrt(softplus(x))
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: x, out.
void main() {
  const uint n = count(0);
  InFloats x = InFloats(at(0));
  Floats y = Floats(at(1));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS) y.v[i] = sqrt(softplus(x.v[i]));
}
