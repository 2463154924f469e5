// Attention of four heads of a token over a part of the rows that it sees. Eight rows at a time are brought, all heads
// look at them, and whenever a larger score turns up, what was summed so far is scaled down.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "seen.glsl"

layout(constant_id = 3) const uint PARTS = 1; // 1: done here, with the sink; else attend_merge.comp does that

const uint k_heads = 4, k_rows = 8, k_widest = 512, k_threads = 256; // the workgroup's size must be this
const uint k_columns = k_widest / k_threads;
shared float queries[k_heads][k_widest];
shared float rows[k_rows][k_widest];
shared float dots[k_threads];
shared float weights[k_heads][k_rows];
shared float shrink[k_heads], peak[k_heads], total[k_heads];

// at: as seen.glsl has them, then q[T,H,D], sums[T,H,parts,D+2] or o[T,H,D], sinks[H].
void main() {
  const uint n = number(0), heads = number(6), t = gl_WorkGroupID.z, part = gl_WorkGroupID.y;
  const uint first_head = gl_WorkGroupID.x * k_heads, thread = THREAD;
  const float scale = real(7);
  const Seen seen = seen_by(t);
  const uint each = (seen.count + PARTS - 1u) / PARTS, begin = part * each, end = min(begin + each, seen.count);

  const uint mine = min(k_heads, heads - first_head); // heads of this workgroup
  InFloats q = InFloats(floats(at(6), (uint64_t(t) * heads + first_head) * n));
  for (uint i = thread; i < mine * n; i += k_threads) queries[i / n][i % n] = q.v[i] * scale;
  if (thread < k_heads) {
    peak[thread] = -INFINITE;
    total[thread] = 0.0;
  }
  float mixed[k_heads][k_columns];
  [[unroll]] for (uint h = 0; h < k_heads; ++h)
    [[unroll]] for (uint c = 0; c < k_columns; ++c) mixed[h][c] = 0.0;

  for (uint at_row = begin; at_row < end; at_row += k_rows) {
    const uint here = min(k_rows, end - at_row);
    barrier();
    for (uint i = thread; i < here * n; i += k_threads) rows[i / n][i % n] = seen_element(seen, t, at_row + i / n, i % n);
    barrier();
    // Eight threads for each pair of head and row.
    const uint pair = thread / 8u, h = pair / k_rows, r = pair % k_rows;
    float sum = 0.0;
    if (h < mine && r < here)
      for (uint d = thread % 8u; d < n; d += 8u) sum += queries[h][d] * rows[r][d];
    dots[thread] = sum;
    barrier();
    if (thread < k_heads * k_rows) {
      float score = 0.0;
      [[unroll]] for (uint i = 0; i < 8; ++i) score += dots[thread * 8u + i];
      weights[thread / k_rows][thread % k_rows] = score;
    }
    barrier();
    if (thread < mine) {
      float most = peak[thread], sum_here = 0.0;
      for (uint i = 0; i < here; ++i) most = max(most, weights[thread][i]);
      shrink[thread] = exp(peak[thread] - most);
      for (uint i = 0; i < here; ++i) {
        const float e = exp(weights[thread][i] - most);
        weights[thread][i] = e;
        sum_here += e;
      }
      total[thread] = total[thread] * shrink[thread] + sum_here;
      peak[thread] = most;
    }
    barrier();
    [[unroll]] for (uint c = 0; c < k_columns; ++c) {
      const uint d = c * k_threads + thread;
      if (d >= n) break;
      [[unroll]] for (uint g = 0; g < k_heads; ++g)
        if (g < mine) {
          float m = mixed[g][c] * shrink[g];
          for (uint i = 0; i < here; ++i) m += weights[g][i] * rows[i][d];
          mixed[g][c] = m;
        }
    }
  }
  barrier();
  for (uint g = 0; g < mine; ++g) {
    const uint64_t pair = uint64_t(t) * heads + first_head + g;
    if (PARTS == 1) {
      const float sink = InFloats(at(8)).v[first_head + g], most = max(peak[g], sink);
      const float gain = exp(peak[g] - most) / (total[g] * exp(peak[g] - most) + exp(sink - most));
      Floats o = Floats(floats(at(7), pair * n));
      [[unroll]] for (uint c = 0; c < k_columns; ++c)
        if (c * k_threads + thread < n) o.v[c * k_threads + thread] = mixed[g][c] * gain;
    } else {
      Floats sums = Floats(floats(at(7), (pair * PARTS + part) * (n + 2u)));
      [[unroll]] for (uint c = 0; c < k_columns; ++c)
        if (c * k_threads + thread < n) sums.v[c * k_threads + thread] = mixed[g][c];
      if (thread == 0) {
        sums.v[n] = peak[g];
        sums.v[n + 1u] = total[g];
      }
    }
  }
}
