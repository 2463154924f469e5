// Products of few rows with weights: a subgroup has ROWS rows of a matrix, each decoded once for TOKENS rows of x. Up to
// three matrices may be multiplied with the same x.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const uint TOKENS = 1;
layout(constant_id = 4) const uint MODE = 0; // which matrix a row of y has: 0 the only one, 1 that of ids, 2 row mod G
layout(constant_id = 5) const bool ALIGNED = false;
layout(constant_id = 6) const bool NORM = false; // x is to be normalised: its squares are summed on the way

layout(constant_id = 7) const uint JOINED = 1; // matrices that are multiplied with x

// at: x[.,K], grid, gain[K] or none, w[.,N,K], y[.,N], then w and y of further ones, or with MODE 1 ids.
void main() {
  const uint k = number(0), rows = count(1), share = number(2), matrices = number(3);
  uint of = 0, block = gl_WorkGroupID.x;
  [[unroll]] for (uint i = 0; i + 1 < JOINED; ++i) {
    const uint blocks = (number(5 + i) + ROWS * gl_NumSubgroups - 1u) / (ROWS * gl_NumSubgroups);
    if (of != i || block < blocks) continue;
    block -= blocks;
    of = i + 1;
  }
  const uint n = number(5 + of), first = (block * gl_NumSubgroups + gl_SubgroupID) * ROWS;
  const uint row = gl_WorkGroupID.y * TOKENS;
  const uint64_t x = at(0), y = at(4 + 2 * of), grid = at(1), stride = row_bytes(FORMAT, k);
  if (first >= n) return;

  // TOKENS is 1 unless there is one matrix for all.
  uint matrix = 0;
  bool known = true;
  if (MODE == 1) {
    const int id = InInts(at(5)).v[row];
    known = id >= 0 && uint(id) < matrices;
    matrix = known ? uint(id) : 0;
  } else if (MODE == 2) {
    matrix = row % matrices;
  }
  const uint64_t w = at(3 + 2 * of) + uint64_t(matrix) * uint64_t(n) * stride;

  float sums[ROWS * TOKENS];
  [[unroll]] for (uint i = 0; i < ROWS * TOKENS; ++i) sums[i] = 0.0;
  float squares[TOKENS];
  [[unroll]] for (uint t = 0; t < TOKENS; ++t) squares[t] = 0.0;
  const uint64_t gain = NORM ? at(2) : 0UL;
  const uint chunks = known ? (k + 15u) / 16u : 0u;
  // Two neighbouring chunks for each lane: what they have in common is loaded once.
  for (uint c0 = 2u * gl_SubgroupInvocationID; c0 < chunks; c0 += 2u * gl_SubgroupSize)
    [[unroll]] for (uint c = c0; c < c0 + 2u; ++c)
      if (c < chunks) {
        Chunk xs[TOKENS];
        [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
          xs[t] = float_chunk(ALIGNED, floats(x, uint64_t(min(row + t, rows - 1u) / share) * k), c, k);
          if (NORM) squares[t] += chunk_dot(xs[t], xs[t]);
        }
        if (NORM && gain != 0UL) {
          const Chunk gains = float_chunk(ALIGNED, gain, c, k);
          [[unroll]] for (uint t = 0; t < TOKENS; ++t) xs[t] = times(xs[t], gains);
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
          const Chunk ws = weight_chunk(FORMAT, ALIGNED, w + uint64_t(min(first + r, n - 1u)) * stride, c, k, grid);
          [[unroll]] for (uint t = 0; t < TOKENS; ++t) sums[r * TOKENS + t] += chunk_dot(ws, xs[t]);
        }
      }
  float scales[TOKENS];
  [[unroll]] for (uint t = 0; t < TOKENS; ++t)
    scales[t] = NORM ? 1.0 / sqrt(subgroupAdd(squares[t]) / float(k) + real(4)) : 1.0;
  [[unroll]] for (uint r = 0; r < ROWS; ++r)
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      const float sum = subgroupAdd(sums[r * TOKENS + t]) * scales[t];
      if (gl_SubgroupInvocationID == 0 && first + r < n && row + t < rows)
        Floats(floats(y, uint64_t(row + t) * n)).v[first + r] = sum;
    }
}
