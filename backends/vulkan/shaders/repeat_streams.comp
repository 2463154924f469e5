// n copies of every row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: x[T,E], out[T,n,E].
void main() {
  const uint n = count(0), width = number(1), copies = number(2);
  InFloats x = InFloats(at(0));
  Floats y = Floats(at(1));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS)
    y.v[i] = x.v[i / (width * copies) * width + i % width];
}
