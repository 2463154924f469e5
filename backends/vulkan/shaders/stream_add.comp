// s[c] + post[c]·y
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: s[T,n,E], y[T,E], post[T,n], out[T,n,E].
void main() {
  const uint n = count(0), width = number(1), streams = number(2);
  InFloats s = InFloats(at(0)), y = InFloats(at(1)), post = InFloats(at(2));
  Floats sum = Floats(at(3));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS)
    sum.v[i] = s.v[i] + post.v[i / width] * y.v[i / (width * streams) * width + i % width];
}
