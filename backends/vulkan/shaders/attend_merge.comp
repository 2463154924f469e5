// What attend.comp has summed over parts of the rows, and the sink, become the result of a head, turned back where that
// is wanted. A workgroup has one head; the last one of a token writes the window, which all have read by now.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "rows.glsl"
#include "states.glsl"

layout(constant_id = 1) const bool ROPE = false;
layout(constant_id = 2) const bool INVERSE = false;
layout(constant_id = 3) const bool HALF_WINDOW = false;

// at: sums[T,H,parts,D+2], sinks[H], o[T,H,D], k[T,D], window, pos, seq, frequencies.
void main() {
  const uint n = number(0), parts = number(1), heads = number(2), pairs = number(4);
  const uint head = gl_WorkGroupID.x, t = gl_WorkGroupID.y;
  if (head == heads) {
    const int ring = int(number(3));
    const Token token = token_of(at(5), at(6), t);
    if (token.last - int(t) >= ring) return;
    InFloats k = InFloats(floats(at(3), uint64_t(t) * n));
    FOR_ROW(i, n) put_state(HALF_WINDOW, at(4), uint64_t(token.slot * ring + token.pos % ring), n, i, k.v[i]);
    return;
  }
  const uint64_t pair = uint64_t(t) * heads + head;
  InFloats sums = InFloats(floats(at(0), pair * parts * (n + 2u)));
  const float sink = InFloats(at(1)).v[head];
  float most = sink;
  for (uint p = 0; p < parts; ++p) most = max(most, sums.v[p * (n + 2u) + n]);
  float total = exp(sink - most);
  for (uint p = 0; p < parts; ++p) total += sums.v[p * (n + 2u) + n + 1u] * exp(sums.v[p * (n + 2u) + n] - most);
  FOR_ROW(d, n) {
    float mixed = 0.0;
    for (uint p = 0; p < parts; ++p) mixed += sums.v[p * (n + 2u) + d] * exp(sums.v[p * (n + 2u) + n] - most);
    row_of_group[d] = mixed / total;
  }
  barrier();
  if (ROPE) row_rope(n, pairs, InInts(at(5)).v[t] + int(number(5)), at(7), INVERSE);
  Floats o = Floats(floats(at(2), pair * n));
  FOR_ROW(d, n) o.v[d] = row_of_group[d];
}
