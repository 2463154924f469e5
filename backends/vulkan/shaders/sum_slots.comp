// Sum over the slots of a token, in order.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: x[T,S,N], out[T,N].
void main() {
  const uint n = count(0), width = number(1), slots = number(2);
  InFloats x = InFloats(at(0));
  Floats y = Floats(at(1));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS) {
    float sum = 0.0;
    for (uint s = 0; s < slots; ++s) sum += x.v[(i / width * slots + s) * width + i % width];
    y.v[i] = sum;
  }
}
