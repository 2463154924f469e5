// sigmoid(m·scale+base)+eps
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: m[T,n], base[n], scale[1], out[T,n].
void main() {
  const uint n = count(0), width = number(1);
  InFloats m = InFloats(at(0)), base = InFloats(at(1));
  const float scale = InFloats(at(2)).v[0];
  Floats y = Floats(at(3));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS)
    y.v[i] = sigmoid(m.v[i] * scale + base.v[i % width]) + real(2);
}
