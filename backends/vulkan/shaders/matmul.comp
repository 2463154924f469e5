// Products of many rows with weights, in tiles of 128 rows of the matrix by 64 rows of x, 32 columns at a time. A thread
// has 8 by 4 results.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint MODE = 0; // rows of a tile: 0 neighbours, 1 those of one matrix by a list, 2 by group
layout(constant_id = 3) const bool ALIGNED = false;

const uint k_tile_n = 128, k_tile_x = 64, k_deep = 32, k_threads = 256; // the workgroup's size must be this
shared vec4 w_tile[k_deep][k_tile_n / 4];
shared vec4 x_tile[k_deep][k_tile_x / 4];

struct Tile {
  uint matrix, first, rows;
};

/// MODE 1: entry of the list, as expert_sort.comp has written it.
Tile listed(uint i) {
  InInts tiles = InInts(at(5));
  return Tile(uint(tiles.v[3 * i]), uint(tiles.v[3 * i + 1]), uint(tiles.v[3 * i + 2]));
}

// at: x[.,K], w[.,N,K], y[.,N], list of rows, grid, tiles.
void main() {
  const uint k = number(0), n = number(1), share = number(3), matrices = number(4);
  Tile tile = Tile(0, gl_WorkGroupID.y * k_tile_x, 0);
  if (MODE == 1)
    tile = listed(gl_WorkGroupID.y);
  else
    tile.rows = min(k_tile_x, count(2) - tile.first);
  if (MODE == 2) tile.matrix = gl_WorkGroupID.z;
  if (tile.rows == 0) return;

  const uint64_t x = at(0), y = at(2), grid = at(4), stride = row_bytes(FORMAT, k);
  const uint first = gl_WorkGroupID.x * k_tile_n, thread = THREAD;
  const bool known = tile.matrix < matrices; // a list ends with the rows that have no matrix
  const uint64_t w = at(1) + uint64_t(known ? tile.matrix : 0u) * uint64_t(n) * stride;

  /// Row of y that row i of the tile is.
#define ROW_OF(i)                                                                                                      \
  (MODE == 1   ? uint(InInts(at(3)).v[tile.first + (i)])                                                               \
   : MODE == 2 ? (tile.first + (i)) * matrices + tile.matrix                                                           \
               : tile.first + (i))

  vec4 sums[4][2]; // by row of x: eight rows of the matrix
  [[unroll]] for (uint i = 0; i < 4; ++i) sums[i][0] = sums[i][1] = vec4(0.0);

  // Every thread brings a chunk of 16 columns of weights, every other one also one of activations.
  const uint w_row = thread % k_tile_n, w_part = thread / k_tile_n;
  const uint x_row = thread % k_tile_x, x_part = thread / k_tile_x; // parts from 2 on have nothing to bring
  const uint64_t w_from = w + uint64_t(min(first + w_row, n - 1u)) * stride;
  const uint64_t x_from = floats(x, uint64_t(ROW_OF(min(x_row, tile.rows - 1u)) / share) * k);
  const uint chunks = known ? (k + 15u) / 16u : 0u;
  for (uint c0 = 0; c0 < chunks; c0 += 2) {
    Chunk ws, xs;
    [[unroll]] for (uint i = 0; i < 4; ++i) ws.v[i] = xs.v[i] = vec4(0.0);
    if (c0 + w_part < chunks) ws = weight_chunk(FORMAT, ALIGNED, w_from, c0 + w_part, k, grid);
    if (x_part < 2 && c0 + x_part < chunks) xs = float_chunk(ALIGNED, x_from, c0 + x_part, k);
    barrier();
    [[unroll]] for (uint i = 0; i < 16; ++i) w_tile[w_part * 16u + i][w_row / 4u][w_row % 4u] = ws.v[i / 4][i % 4];
    if (x_part < 2)
      [[unroll]] for (uint i = 0; i < 16; ++i) x_tile[x_part * 16u + i][x_row / 4u][x_row % 4u] = xs.v[i / 4][i % 4];
    barrier();
    for (uint d = 0; d < k_deep; ++d) {
      const vec4 w0 = w_tile[d][thread % 16u], w1 = w_tile[d][thread % 16u + 16u], xd = x_tile[d][thread / 16u];
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        sums[i][0] = fma(w0, vec4(xd[i]), sums[i][0]);
        sums[i][1] = fma(w1, vec4(xd[i]), sums[i][1]);
      }
    }
  }
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint row = thread / 16u * 4u + i;
    if (row >= tile.rows) continue;
    Floats to = Floats(floats(y, uint64_t(ROW_OF(row)) * n));
    [[unroll]] for (uint j = 0; j < 8; ++j) {
      const uint column = first + thread % 16u * 4u + 64u * (j / 4u) + j % 4u;
      if (column < n) to.v[column] = sums[i][j / 4u][j % 4u];
    }
  }
}
