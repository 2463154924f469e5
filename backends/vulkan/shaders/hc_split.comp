// The numbers of a token become gates: sigmoids, not wanted everywhere, and Sinkhorn's weights. A workgroup has one token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "hyper.glsl"

// at: m[T,2n+n²], base, scale[3], pre[T,n] or none, post[T,n], comb[T,n,n].
void main() {
  const uint n = number(0), all = 2u * n + n * n, tokens = count(1), iters = number(2);
  const float eps = real(3);
  InFloats base = InFloats(at(1)), scale = InFloats(at(2));
  for (uint t = gl_WorkGroupID.x; t < tokens; t += gl_NumWorkGroups.x) {
    InFloats m = InFloats(floats(at(0), uint64_t(t) * all));
    for (uint i = THREAD; i < all; i += THREADS) hc_m[i] = m.v[i] * scale.v[min(i / n, 2u)] + base.v[i];
    barrier();
    sinkhorn(n, iters, eps);
    if (THREAD < n) {
      if (has(3)) Floats(at(3)).v[t * n + THREAD] = sigmoid(hc_m[THREAD]) + eps;
      Floats(at(4)).v[t * n + THREAD] = 2.0 * sigmoid(hc_m[n + THREAD]);
    }
    if (THREAD < n * n) Floats(at(5)).v[t * n * n + THREAD] = hc_m[2u * n + THREAD];
    barrier();
  }
}
