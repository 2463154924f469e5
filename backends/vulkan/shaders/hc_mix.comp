// What hc_dots.comp has summed becomes gates, and the gated streams of a token become one. The second workgroup of a
// token makes what goes on to hc_post instead; HEAD has no such thing.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "hyper.glsl"

layout(constant_id = 1) const bool HEAD = false;

// at: sums[T,J+1], base[J], scale[3 or 1], s[T,n,E], x[T,E], post[T,n], comb[T,n,n].
void main() {
  const uint n = number(0), width = number(1), iters = number(2);
  const float eps = real(3), rms_eps = real(4);
  const uint rows = HEAD ? n : 2u * n + n * n, t = gl_WorkGroupID.y;
  InFloats sums = InFloats(floats(at(0), uint64_t(t) * (rows + 1u)));
  InFloats base = InFloats(at(1)), scale = InFloats(at(2));
  const bool makes_x = gl_WorkGroupID.x == 0;

  const float norm = 1.0 / sqrt(sums.v[rows] / float(n * width) + rms_eps);
  for (uint j = THREAD; j < (makes_x ? n : rows); j += THREADS)
    hc_m[j] = sums.v[j] * norm * scale.v[min(j / n, 2u)] + base.v[j];
  barrier();
  if (makes_x) {
    InFloats s = InFloats(floats(at(3), uint64_t(t) * n * width));
    Floats x = Floats(floats(at(4), uint64_t(t) * width));
    float gates[k_most_streams];
    for (uint r = 0; r < n; ++r) gates[r] = sigmoid(hc_m[r]) + eps;
    for (uint e = THREAD; e < width; e += THREADS) {
      float sum = 0.0;
      for (uint r = 0; r < n; ++r) sum += gates[r] * s.v[r * width + e];
      x.v[e] = sum;
    }
    return;
  }
  sinkhorn(n, iters, eps);
  if (THREAD < n) Floats(at(5)).v[t * n + THREAD] = 2.0 * sigmoid(hc_m[n + THREAD]);
  if (THREAD < n * n) Floats(at(6)).v[t * n * n + THREAD] = hc_m[2u * n + THREAD];
}
