// The second half of the experts of a token: down, summed over the slots in their order. A subgroup has ROWS elements.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const bool ALIGNED = false;

// at: mid[T,S,K], down[X,N,K], y[T,N], ids[T,S] or none, grid.
void main() {
  const uint k = number(0), n = number(1), slots = number(2), experts = number(3);
  const uint first = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * ROWS, t = gl_WorkGroupID.y;
  if (first >= n) return;
  const uint64_t stride = row_bytes(FORMAT, k), down = at(1), grid = at(4);
  float sums[ROWS];
  [[unroll]] for (uint r = 0; r < ROWS; ++r) sums[r] = 0.0;
  for (uint s = 0; s < slots; ++s) {
    const int id = has(3) ? InInts(at(3)).v[t * slots + s] : 0;
    if (id < 0 || uint(id) >= experts) continue;
    const uint64_t w = down + uint64_t(id) * n * stride, mid = floats(at(0), uint64_t(t * slots + s) * k);
    const uint chunks = (k + 15u) / 16u;
    for (uint c0 = 2u * gl_SubgroupInvocationID; c0 < chunks; c0 += 2u * gl_SubgroupSize)
      [[unroll]] for (uint c = c0; c < c0 + 2u; ++c)
        if (c < chunks) {
          const Chunk xs = float_chunk(ALIGNED, mid, c, k);
          [[unroll]] for (uint r = 0; r < ROWS; ++r) {
            const uint64_t row = w + uint64_t(min(first + r, n - 1u)) * stride;
            sums[r] += chunk_dot(weight_chunk(FORMAT, ALIGNED, row, c, k, grid), xs);
          }
        }
  }
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const float sum = subgroupAdd(sums[r]);
    if (gl_SubgroupInvocationID == 0 && first + r < n) Floats(floats(at(2), uint64_t(t) * n)).v[first + r] = sum;
  }
}
