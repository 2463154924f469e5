// Products of few rows with weights. A subgroup makes TILES times ROWS rows of a matrix, for TOKENS rows of x at once. Up
// to three matrices may be multiplied with the same x.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "stream.glsl"

layout(constant_id = 9) const bool NORM = false; // x is to be normalised
layout(constant_id = 10) const uint MODE = 0;    // which matrix a row of y has: 0 the only one, 1 that of ids, 2 row mod G
layout(constant_id = 11) const uint TILES = 1;
layout(constant_id = 12) const uint JOINED = 1; // matrices that are multiplied with x

// at: x[.,K], grid, gain[K] or none, w[.,N,K], y[.,N], then w and y of further ones, or with MODE 1 ids.
void main() {
  // A grid for one row at a time has no more than there are: nothing waits for the count.
  const uint rows = TOKENS == 1 ? ~0u : count(0), share = number(1), matrices = number(2), per = gl_NumSubgroups * TILES * ROWS;
  uint of = 0, block = gl_WorkGroupID.y;
  [[unroll]] for (uint i = 0; i + 1 < JOINED; ++i) {
    const uint blocks = (number(4 + i) + per - 1u) / per;
    if (of != i || block < blocks) continue;
    block -= blocks;
    of = i + 1;
  }
  const uint n = number(4 + of), first = block * per + gl_SubgroupID * TILES * ROWS;
  uint matrix = MODE == 2 ? gl_WorkGroupID.z : 0u;
  bool known = true;
  if (MODE == 1) {
    const int id = InInts(at(5)).v[gl_WorkGroupID.x];
    known = id >= 0 && uint(id) < matrices;
    matrix = known ? uint(id) : 0u;
  }
  /// Row of y that has token t.
#define ROW_OF(t) ((gl_WorkGroupID.x * TOKENS + (t)) * (MODE == 2 ? matrices : 1u) + (MODE == 2 ? matrix : 0u))

  const uint64_t y = at(4 + 2 * of), stride = row_bytes(FORMAT, K);
  const uint64_t w = at(3 + 2 * of) + uint64_t(matrix) * uint64_t(n) * stride;
#define BEGIN_ROWS(tile)                                                                                               \
  [[unroll]] for (uint r = 0; r < ROWS; ++r) tile_rows[r] = w + uint64_t(min(first + (tile) * ROWS + r, n - 1u)) * stride;

  BEGIN_ROWS(0)
  load_tile(0);
  keep_table(at(1));
  [[unroll]] for (uint i = 0; i < TOKENS; ++i)
    x_rows[i] = floats(at(0), uint64_t(min(ROW_OF(i), rows - 1u) / share) * K);
  keep_rows(NORM, NORM ? at(2) : 0UL);
  barrier();
  const uint r = sum_row(), t = sum_token();
  const float scale = NORM ? norm_scale(t, real(3)) : 1.0;

  for (uint i = 0; i < TILES * k_parts; ++i) {
    const uint tile = i / k_parts, part = i % k_parts, row = first + tile * ROWS;
    if (row >= n) break;
    take_tile();
    if (i + 1u < TILES * k_parts) {
      BEGIN_ROWS((i + 1u) / k_parts)
      load_tile((i + 1u) % k_parts);
    }
    if (part == 0u) clear_sums();
    add_tile(part, 0);
    if (part + 1u < k_parts) continue;
    const float sum = folded_sums();
    if (is_first_of_sum() && row + r < n && ROW_OF(t) < rows)
      Floats(floats(y, uint64_t(ROW_OF(t)) * n)).v[row + r] = known ? sum * scale : 0.0;
  }
}
