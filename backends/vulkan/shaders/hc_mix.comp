// What hc_dots.comp has summed becomes gates, and the gated streams of a token become one; what goes on to hc_post becomes
// numbers for hc_split.comp.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

layout(constant_id = 1) const uint STREAMS = 1;
layout(constant_id = 2) const bool HEAD = false; // there are gates and nothing else

// at: sums[T,J+1], base[J], scale[3 or 1], s[T,n,E], x[T,E], numbers[T,J].
void main() {
  const uint width = number(0), rows = HEAD ? STREAMS : 2u * STREAMS + STREAMS * STREAMS, t = gl_WorkGroupID.x;
  InFloats sums = InFloats(floats(at(0), uint64_t(t) * (rows + 1u))), base = InFloats(at(1)), scale = InFloats(at(2));
  const float norm = 1.0 / sqrt(sums.v[rows] / float(STREAMS * width) + real(2));
  if (!HEAD && THREAD < rows) Floats(floats(at(5), t * rows)).v[THREAD] = sums.v[THREAD] * norm;
  float gates[STREAMS];
  [[unroll]] for (uint r = 0; r < STREAMS; ++r)
    gates[r] = sigmoid(sums.v[r] * norm * scale.v[0] + base.v[r]) + real(1);
  InFloats s = InFloats(floats(at(3), uint64_t(t) * STREAMS * width));
  Floats x = Floats(floats(at(4), uint64_t(t) * width));
  for (uint e = THREAD; e < width; e += THREADS) {
    float sum = 0.0;
    [[unroll]] for (uint r = 0; r < STREAMS; ++r) sum += gates[r] * s.v[r * width + e];
    x.v[e] = sum;
  }
}
