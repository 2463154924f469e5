// From logits, or probabilities, and ids to the experts of a token and their weights. A workgroup has one token; or few
// tokens come with their products, and the last workgroup that has made logits does the rest.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "choose.glsl"
#include "last.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FROM = 0; // ids: 0 the largest, 1 of a table by token, 2 given, with probabilities
layout(constant_id = 2) const bool PRODUCT = false; // logits are made here
layout(constant_id = 3) const uint FORMAT = 0;
layout(constant_id = 4) const bool ALIGNED = false;
layout(constant_id = 5) const bool NORM = false; // x is to be normalised: its squares are summed on the way
layout(constant_id = 6) const uint TOKENS = 1;   // of a workgroup that makes logits

const uint k_rows = 2, k_most_subgroups = 64, k_at_once = 2; // rows of w of a workgroup; chunks of a thread at a time
shared float probs[k_most_choices];
shared float sums[k_most_subgroups][TOKENS], squares[k_most_subgroups][TOKENS];

/// `early`: this thread's first bias.
void choose_experts(uint t, float early) {
  const uint n = number(0), k = number(1), entries = number(3);
  const uint64_t logits = floats(at(0), uint64_t(t) * n), bias = at(1);
  Ints ids = Ints(floats(at(4), uint64_t(t) * k));
  barrier(); // the token before has been looked at
  for (uint i = THREAD; i < n; i += THREADS) {
    const float x = PRODUCT ? SharedFloats(logits).v[i] : InFloats(logits).v[i];
    probs[i] = FROM == 2 ? x : sqrt(softplus(x));
    if (FROM == 0) offer(i, probs[i] + (i == THREAD || bias == 0UL ? early : InFloats(bias).v[i]));
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

/// Several subgroups share a row of w.
void make_logits(uint first, uint tokens) {
  const uint n = number(0), k = number(4), shares = gl_NumSubgroups / k_rows;
  const uint row = min(gl_WorkGroupID.x * k_rows + gl_SubgroupID / shares, n - 1u), share = gl_SubgroupID % shares;
  const uint64_t w = at(7) + uint64_t(row) * row_bytes(FORMAT, k), grid = more_at(10), gain = NORM ? more_at(8) : 0UL;
  float mine[TOKENS], square[TOKENS];
  [[unroll]] for (uint i = 0; i < TOKENS; ++i) mine[i] = square[i] = 0.0;
  const uint chunks = (k + 15u) / 16u, stride = shares * gl_SubgroupSize;
  for (uint c0 = share * gl_SubgroupSize + gl_SubgroupInvocationID; c0 < chunks; c0 += k_at_once * stride)
    [[unroll]] for (uint u = 0; u < k_at_once; ++u) {
      const uint c = c0 + u * stride;
      if (c >= chunks) continue;
      const Chunk ws = weight_chunk(FORMAT, ALIGNED, w, c, k, grid);
      Chunk gains;
      if (gain != 0UL) gains = float_chunk(ALIGNED, gain, c, k);
      [[unroll]] for (uint i = 0; i < TOKENS; ++i) {
        Chunk xs = float_chunk(ALIGNED, floats(at(6), uint64_t(min(first + i, tokens - 1u)) * k), c, k);
        if (NORM) square[i] += chunk_dot(xs, xs);
        if (gain != 0UL) xs = times(xs, gains);
        mine[i] += chunk_dot(ws, xs);
      }
    }
  [[unroll]] for (uint i = 0; i < TOKENS; ++i) {
    const float sum = subgroupAdd(mine[i]), square_sum = NORM ? subgroupAdd(square[i]) : 0.0;
    if (gl_SubgroupInvocationID != 0) continue;
    sums[gl_SubgroupID][i] = sum;
    squares[gl_SubgroupID][i] = square_sum;
  }
  barrier();
  if (THREAD >= k_rows * TOKENS) return;
  const uint r = THREAD / TOKENS, i = THREAD % TOKENS;
  if (gl_WorkGroupID.x * k_rows + r >= n || first + i >= tokens) return;
  float sum = 0.0, square_sum = 0.0;
  for (uint s = r * shares; s < (r + 1u) * shares; ++s) {
    sum += sums[s][i];
    square_sum += squares[s][i];
  }
  const float scale = NORM ? 1.0 / sqrt(square_sum / float(k) + real(5)) : 1.0;
  SharedFloats(floats(at(0), uint64_t(first + i) * n)).v[gl_WorkGroupID.x * k_rows + r] = sum * scale;
}

// at: logits[T,X], bias[X] or none, table[V,K], tokens[T], ids[T,K], weights[T,K]; with products x[T,E], w[X,E],
// gain[E] or none, counters[T], grid.
void main() {
  const float early = FROM == 0 && at(1) != 0UL && THREAD < number(0) ? InFloats(at(1)).v[THREAD] : 0.0;
  if (!PRODUCT) {
    choose_experts(gl_WorkGroupID.x, early);
    return;
  }
  const uint tokens = count(6), first = gl_WorkGroupID.y * TOKENS;
  const uint64_t counters = more_at(9);
  make_logits(first, tokens);
  if (!last_of(counters + gl_WorkGroupID.y * 4u, gl_NumWorkGroups.x)) return;
  for (uint t = first; t < min(first + TOKENS, tokens); ++t) choose_experts(t, early);
}
