// From logits, or probabilities, and ids to the experts of a token and their weights. A workgroup has one token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "choose.glsl"

layout(constant_id = 1) const uint FROM = 0; // ids: 0 the largest, 1 of a table by token, 2 given, with probabilities

shared float probs[k_most_choices];

// at: logits[T,X], bias[X] or none, table[V,K], tokens[T], ids[T,K], weights[T,K].
void main() {
  const uint n = number(0), k = number(1), entries = number(3), t = gl_WorkGroupID.x;
  InFloats x = InFloats(floats(at(0), uint64_t(t) * n));
  Ints ids = Ints(floats(at(4), uint64_t(t) * k));
  const uint64_t bias = at(1);
  for (uint i = THREAD; i < n; i += THREADS) {
    probs[i] = FROM == 2 ? x.v[i] : sqrt(softplus(x.v[i]));
    if (FROM == 0) choices[i] = probs[i] + (bias != 0UL ? InFloats(bias).v[i] : 0.0);
  }
  barrier();
  if (FROM == 0) {
    choose(n, k);
  } else if (THREAD < k) {
    if (FROM == 1) {
      const int token = InInts(at(3)).v[t];
      const bool known = token >= 0 && uint(token) < entries;
      chosen[THREAD] = known ? InInts(floats(at(2), uint64_t(known ? token : 0) * k)).v[THREAD] : 0;
    } else {
      chosen[THREAD] = ids.v[THREAD];
    }
  }
  barrier();
  float sum = 0.0;
  for (uint i = 0; i < k; ++i)
    if (chosen[i] >= 0 && uint(chosen[i]) < n) sum += probs[chosen[i]];
  const float gain = real(2) / max(sum, 6.103515625e-5);
  for (uint i = THREAD; i < k; i += THREADS) {
    const bool known = chosen[i] >= 0 && uint(chosen[i]) < n;
    Floats(floats(at(5), uint64_t(t) * k)).v[i] = known ? probs[chosen[i]] * gain : 0.0;
    if (FROM != 2) ids.v[i] = chosen[i];
  }
}
