// exp(s-M)/(exp(sink-M)+sum), M the largest with the sink; 0 past count. A workgroup has one head of one token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: scores[T,H,N], sinks[H], count[T], probs[T,H,N].
void main() {
  const uint most = number(0), heads = number(1), t = gl_WorkGroupID.y, head = gl_WorkGroupID.x;
  const uint64_t pair = uint64_t(t) * heads + head;
  InFloats scores = InFloats(floats(at(0), pair * most));
  Floats probs = Floats(floats(at(3), pair * most));
  const uint seen = uint(InInts(at(2)).v[t]);
  const float sink = InFloats(at(1)).v[head];
  float peak = sink, sum = 0.0;
  for (uint i = THREAD; i < seen; i += THREADS) peak = max(peak, scores.v[i]);
  peak = group_max(peak);
  for (uint i = THREAD; i < seen; i += THREADS) sum += exp(scores.v[i] - peak);
  sum = group_sum(sum) + exp(sink - peak);
  for (uint i = THREAD; i < most; i += THREADS) probs.v[i] = i < seen ? exp(scores.v[i] - peak) / sum : 0.0;
}
