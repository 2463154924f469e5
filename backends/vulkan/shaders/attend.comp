// Attention of four heads of a token over the rows that it sees. Eight rows at a time are brought, all heads
// look at them, and whenever a larger score turns up, what was summed so far is scaled down.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "seen.glsl"

const uint k_heads = 4, k_rows = 8, k_widest = 512, k_threads = 256; // the workgroup's size must be this
const uint k_columns = k_widest / k_threads;
shared vec4 queries[k_heads][k_widest / 4];
shared vec4 rows[k_rows][k_widest / 4];
shared vec4 weights[k_rows]; // of all heads
shared vec4 shrink;
shared float peak[k_heads], total[k_heads];

// at: as seen.glsl has them, then q[T,H,D], o[T,H,D], sinks[H].
void main() {
  const uint n = number(0), heads = number(6), t = gl_WorkGroupID.z;
  const uint first_head = gl_WorkGroupID.x * k_heads, thread = THREAD, fours = (n + 3u) / 4u;
  const float scale = real(7);
  const Seen seen = seen_by(t);

  const uint mine = min(k_heads, heads - first_head); // heads of this workgroup
  InFloats q = InFloats(floats(at(6), (uint64_t(t) * heads + first_head) * n));
  for (uint i = thread; i < k_heads * 4u * fours; i += k_threads) {
    const uint h = i / (4u * fours), d = i % (4u * fours);
    queries[h][d / 4u][d % 4u] = h < mine && d < n ? q.v[h * n + d] * scale : 0.0;
  }
  if (thread < k_heads) {
    peak[thread] = -INFINITE;
    total[thread] = 0.0;
  }
  vec4 mixed[k_columns]; // of all heads
  [[unroll]] for (uint c = 0; c < k_columns; ++c) mixed[c] = vec4(0.0);

  for (uint at_row = 0; at_row < seen.count; at_row += k_rows) {
    const uint here = min(k_rows, seen.count - at_row);
    barrier();
    for (uint i = thread; i < here * 4u * fours; i += k_threads) {
      const uint r = i / (4u * fours), d = i % (4u * fours);
      rows[r][d / 4u][d % 4u] = d < n ? seen_element(seen, t, at_row + r, d) : 0.0;
    }
    barrier();
    // A subgroup has one row and all heads.
    for (uint r = gl_SubgroupID; r < here; r += gl_NumSubgroups) {
      vec4 sums = vec4(0.0);
      for (uint i = gl_SubgroupInvocationID; i < fours; i += gl_SubgroupSize) {
        const vec4 row = rows[r][i];
        [[unroll]] for (uint h = 0; h < k_heads; ++h) sums[h] += dot(queries[h][i], row);
      }
      sums = subgroupAdd(sums);
      if (gl_SubgroupInvocationID == 0) weights[r] = sums;
    }
    barrier();
    if (thread < k_heads) {
      float most = peak[thread], sum = 0.0;
      for (uint r = 0; r < here; ++r) most = max(most, weights[r][thread]);
      const float less = exp(peak[thread] - most);
      for (uint r = 0; r < here; ++r) {
        const float e = exp(weights[r][thread] - most);
        weights[r][thread] = e;
        sum += e;
      }
      total[thread] = total[thread] * less + sum;
      peak[thread] = most;
      shrink[thread] = less;
    }
    barrier();
    [[unroll]] for (uint c = 0; c < k_columns; ++c) {
      const uint d = c * k_threads + thread;
      if (d < n) {
        mixed[c] *= shrink;
        for (uint r = 0; r < here; ++r) mixed[c] += weights[r] * rows[r][d / 4u][d % 4u];
      }
    }
  }
  barrier();
  for (uint g = 0; g < mine; ++g) {
    const uint64_t pair = uint64_t(t) * heads + first_head + g;
    const float sink = InFloats(at(8)).v[first_head + g], most = max(peak[g], sink);
    const float gain = exp(peak[g] - most) / (total[g] * exp(peak[g] - most) + exp(sink - most));
    Floats o = Floats(floats(at(7), pair * n));
    [[unroll]] for (uint c = 0; c < k_columns; ++c)
      if (c * k_threads + thread < n) o.v[c * k_threads + thread] = mixed[c][g] * gain;
  }
}
