// Products of many rows with weights, in tiles of 64 rows of the matrix by 64 rows of x, 32 columns at a time.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint MODE = 0; // rows of a tile: 0 neighbours, 1 those of one matrix by a list, 2 by group
layout(constant_id = 3) const bool ALIGNED = false;

const uint k_tile = 64, k_deep = 32, k_threads = 256; // the workgroup's size must be this
shared float w_tile[k_deep][k_tile + 1];
shared float x_tile[k_deep][k_tile + 1];

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
  Tile tile = Tile(0, gl_WorkGroupID.y * k_tile, 0);
  if (MODE == 1)
    tile = listed(gl_WorkGroupID.y);
  else
    tile.rows = min(k_tile, count(2) - tile.first);
  if (MODE == 2) tile.matrix = gl_WorkGroupID.z;
  if (tile.rows == 0) return;

  const uint64_t x = at(0), y = at(2), grid = at(4), stride = row_bytes(FORMAT, k);
  const uint first = gl_WorkGroupID.x * k_tile, thread = THREAD;
  const bool known = tile.matrix < matrices; // a list ends with the rows that have no matrix
  const uint64_t w = at(1) + uint64_t(known ? tile.matrix : 0u) * uint64_t(n) * stride;

  /// Row of y that row i of the tile is.
#define ROW_OF(i)                                                                                                      \
  (MODE == 1   ? uint(InInts(at(3)).v[tile.first + (i)])                                                               \
   : MODE == 2 ? (tile.first + (i)) * matrices + tile.matrix                                                           \
               : tile.first + (i))

  float sums[4][4];
  [[unroll]] for (uint i = 0; i < 4; ++i)
    [[unroll]] for (uint j = 0; j < 4; ++j) sums[i][j] = 0.0;

  // The first half of the threads brings weights, the second activations: a chunk of 16 columns each.
  const uint mine = thread % k_tile, half_deep = thread / k_tile % 2u;
  const bool brings_w = thread < 2 * k_tile;
  const uint64_t from = brings_w ? w + uint64_t(min(first + mine, n - 1u)) * stride
                                 : floats(x, uint64_t(ROW_OF(min(mine, tile.rows - 1u)) / share) * k);
  const uint chunks = known ? (k + 15u) / 16u : 0u;
  for (uint c0 = 0; c0 < chunks; c0 += 2) {
    const uint c = c0 + half_deep;
    Chunk chunk;
    [[unroll]] for (uint i = 0; i < 4; ++i) chunk.v[i] = vec4(0.0);
    if (c < chunks) {
      if (brings_w)
        chunk = weight_chunk(FORMAT, ALIGNED, from, c, k, grid);
      else
        chunk = float_chunk(ALIGNED, from, c, k);
    }
    barrier();
    [[unroll]] for (uint i = 0; i < 16; ++i) {
      if (brings_w)
        w_tile[half_deep * 16u + i][mine] = chunk.v[i / 4][i % 4];
      else
        x_tile[half_deep * 16u + i][mine] = chunk.v[i / 4][i % 4];
    }
    barrier();
    for (uint d = 0; d < k_deep; ++d) {
      float ws[4], xs[4];
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        ws[i] = w_tile[d][thread % 16u + 16u * i];
        xs[i] = x_tile[d][thread / 16u + 16u * i];
      }
      [[unroll]] for (uint i = 0; i < 4; ++i)
        [[unroll]] for (uint j = 0; j < 4; ++j) sums[i][j] = fma(ws[i], xs[j], sums[i][j]);
    }
  }
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    const uint row = thread / 16u + 16u * j;
    if (row >= tile.rows) continue;
    Floats to = Floats(floats(y, uint64_t(ROW_OF(row)) * n));
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const uint column = first + thread % 16u + 16u * i;
      if (column < n) to.v[column] = sums[i][j];
    }
  }
}
