// Products of flattened streams with the rows of fn, and the sum of their squares: a subgroup has one row and TOKENS
// tokens.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint TOKENS = 1;
layout(constant_id = 3) const bool ALIGNED = false;

// at: s[T,K], fn[J,K], sums[T,J+1], grid.
void main() {
  const uint k = number(0), rows = number(1), tokens = count(2), chunks = (k + 15u) / 16u;
  const uint j = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID, first = gl_WorkGroupID.y * TOKENS;
  if (j > rows) return;
  const uint64_t w = at(1) + uint64_t(min(j, rows - 1u)) * row_bytes(FORMAT, k), grid = at(3), s = at(0);
  float sums[TOKENS];
  [[unroll]] for (uint t = 0; t < TOKENS; ++t) sums[t] = 0.0;
  for (uint c = gl_SubgroupInvocationID; c < chunks; c += gl_SubgroupSize) {
    Chunk ws;
    if (j < rows) ws = weight_chunk(FORMAT, ALIGNED, w, c, k, grid);
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      const Chunk xs = float_chunk(ALIGNED, floats(s, uint64_t(min(first + t, tokens - 1u)) * k), c, k);
      if (j == rows)
        sums[t] += chunk_dot(xs, xs);
      else
        sums[t] += chunk_dot(ws, xs);
    }
  }
  [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
    const float sum = subgroupAdd(sums[t]);
    if (gl_SubgroupInvocationID == 0 && first + t < tokens)
      Floats(floats(at(2), uint64_t(first + t) * (rows + 1u))).v[j] = sum;
  }
}
