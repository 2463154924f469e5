// The numbers of a token become gates: sigmoids, the first of which are not wanted everywhere, and Sinkhorn's weights. A
// thread has one token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

layout(constant_id = 1) const uint STREAMS = 1;
#include "hyper.glsl"

// at: m[T,2n+n²], base, scale[3], pre[T,n] or none, post[T,n], comb[T,n,n].
void main() {
  const uint all = 2u * STREAMS + STREAMS * STREAMS, tokens = count(0), t = gl_GlobalInvocationID.x;
  const float eps = real(2);
  if (t >= tokens) return;
  InFloats m = InFloats(floats(at(0), t * all)), base = InFloats(at(1)), scale = InFloats(at(2));
  Floats pre = Floats(floats(at(3), t * STREAMS)), post = Floats(floats(at(4), t * STREAMS));
  Floats comb = Floats(floats(at(5), t * STREAMS * STREAMS));
  float a[k_most_pairs];
  [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; ++i)
    a[i] = m.v[2u * STREAMS + i] * scale.v[2] + base.v[2u * STREAMS + i];
  [[unroll]] for (uint i = 0; i < STREAMS; ++i) {
    if (has(3)) pre.v[i] = sigmoid(m.v[i] * scale.v[0] + base.v[i]) + eps;
    post.v[i] = 2.0 * sigmoid(m.v[STREAMS + i] * scale.v[1] + base.v[STREAMS + i]);
  }
  sinkhorn(a, number(1), eps);
  [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; ++i) comb.v[i] = a[i];
}
