// What attend.comp has summed over parts of the rows, and the sink, become the result of a head.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: sums[T,H,parts,D+2], sinks[H], o[T,H,D].
void main() {
  const uint n = number(0), parts = number(1), heads = number(2), head = gl_WorkGroupID.x;
  const uint64_t pair = uint64_t(gl_WorkGroupID.y) * heads + head;
  InFloats sums = InFloats(floats(at(0), pair * parts * (n + 2u)));
  const float sink = InFloats(at(1)).v[head];
  float most = sink;
  for (uint p = 0; p < parts; ++p) most = max(most, sums.v[p * (n + 2u) + n]);
  float total = exp(sink - most);
  for (uint p = 0; p < parts; ++p) total += sums.v[p * (n + 2u) + n + 1u] * exp(sums.v[p * (n + 2u) + n] - most);
  Floats o = Floats(floats(at(2), pair * n));
  for (uint d = THREAD; d < n; d += THREADS) {
    float mixed = 0.0;
    for (uint p = 0; p < parts; ++p) mixed += sums.v[p * (n + 2u) + d] * exp(sums.v[p * (n + 2u) + n] - most);
    o.v[d] = mixed / total;
  }
}
