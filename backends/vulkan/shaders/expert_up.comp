// The first half of an expert for few tokens: gate and up, gated and weighted. A subgroup has ROWS hidden units of one
// pair of token and slot.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const bool ALIGNED = false;
layout(constant_id = 4) const bool NORM = false; // x is to be normalised: its squares are summed on the way

// at: x[T,K], gate[X,N,K], up[X,N,K], mid[T,S,N], ids[T,S] or none, weights[T,S] or none, grid, gain[K] or none.
void main() {
  const uint k = number(0), n = number(1), slots = number(2), experts = number(3);
  const uint first = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * ROWS, pair = gl_WorkGroupID.y;
  if (first >= n) return;
  const int id = has(4) ? InInts(at(4)).v[pair] : 0;
  const bool known = id >= 0 && uint(id) < experts;
  const uint64_t stride = row_bytes(FORMAT, k), offset = uint64_t(known ? id : 0) * n * stride;
  const uint64_t gate = at(1) + offset, up = at(2) + offset, grid = at(6);
  const uint64_t x = floats(at(0), uint64_t(pair / slots) * k);
  float gates[ROWS], ups[ROWS];
  [[unroll]] for (uint r = 0; r < ROWS; ++r) gates[r] = ups[r] = 0.0;
  float squares = 0.0;
  const uint64_t gain = NORM ? at(7) : 0UL;
  const uint chunks = known ? (k + 15u) / 16u : 0u;
  for (uint c0 = 2u * gl_SubgroupInvocationID; c0 < chunks; c0 += 2u * gl_SubgroupSize)
    [[unroll]] for (uint c = c0; c < c0 + 2u; ++c)
      if (c < chunks) {
        Chunk xs = float_chunk(ALIGNED, x, c, k);
        if (NORM) squares += chunk_dot(xs, xs);
        if (NORM && gain != 0UL) xs = times(xs, float_chunk(ALIGNED, gain, c, k));
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
          const uint64_t row = uint64_t(min(first + r, n - 1u)) * stride;
          gates[r] += chunk_dot(weight_chunk(FORMAT, ALIGNED, gate + row, c, k, grid), xs);
          ups[r] += chunk_dot(weight_chunk(FORMAT, ALIGNED, up + row, c, k, grid), xs);
        }
      }
  const float weight = has(5) ? InFloats(at(5)).v[pair] : 1.0;
  const float scale = NORM ? 1.0 / sqrt(subgroupAdd(squares) / float(k) + real(5)) : 1.0;
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const float g = subgroupAdd(gates[r]) * scale, u = subgroupAdd(ups[r]) * scale;
    if (gl_SubgroupInvocationID == 0 && first + r < n)
      Floats(floats(at(3), uint64_t(pair) * n)).v[first + r] = gated(g, u, real(4)) * weight;
  }
}
