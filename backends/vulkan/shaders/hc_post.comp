// post[c]·y + sum over r of comb[r][c]·s[r]: what a layer gives, back into the streams.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: s[T,n,E], y[T,E], post[T,n], comb[T,n,n], out[T,n,E], more[T,E] or none, to be added to y.
void main() {
  const uint n = count(0), width = number(1), streams = number(2);
  InFloats s = InFloats(at(0)), y = InFloats(at(1)), post = InFloats(at(2)), comb = InFloats(at(3));
  Floats mixed = Floats(at(4));
  const uint64_t more = at(5);
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS) { // one element of all streams
    const uint e = i % width, t = i / width;
    const float added = more != 0UL ? y.v[i] + InFloats(more).v[i] : y.v[i];
    for (uint c = 0; c < streams; ++c) {
      float sum = post.v[t * streams + c] * added;
      for (uint r = 0; r < streams; ++r)
        sum += comb.v[(t * streams + r) * streams + c] * s.v[(t * streams + r) * width + e];
      mixed.v[(t * streams + c) * width + e] = sum;
    }
  }
}
