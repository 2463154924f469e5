// As matmul.comp, on matrix units: weights and activations as float16, sums in float32. A subgroup of 32 has 32 by 32 of a
// tile of 128 by 64.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint MODE = 0; // rows of a tile: 0 neighbours, 1 those of one matrix by a list, 2 by group
layout(constant_id = 3) const bool ALIGNED = false;

const uint k_tile_n = 128, k_tile_x = 64, k_deep = 32; // 256 threads, subgroups of 32
const uint k_stride = k_deep + 8;                      // rows of a tile begin at different banks
shared float16_t w_tile[k_tile_n * k_stride];
shared float16_t x_tile[k_tile_x * k_stride];
shared float results[8][16 * 16]; // one piece of each subgroup on its way out

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

  fcoopmatNV<32, gl_ScopeSubgroup, 16, 16> sums[2][2];
  [[unroll]] for (uint i = 0; i < 2; ++i)
    [[unroll]] for (uint j = 0; j < 2; ++j) sums[i][j] = fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>(0.0);
  const uint w_at = gl_SubgroupID % 4u * 32u, x_at = gl_SubgroupID / 4u * 32u; // of this subgroup, in the tile

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
    [[unroll]] for (uint i = 0; i < 16; ++i)
      w_tile[w_row * k_stride + w_part * 16u + i] = float16_t(ws.v[i / 4][i % 4]);
    if (x_part < 2)
      [[unroll]] for (uint i = 0; i < 16; ++i)
        x_tile[x_row * k_stride + x_part * 16u + i] = float16_t(xs.v[i / 4][i % 4]);
    barrier();
    [[unroll]] for (uint d = 0; d < k_deep; d += 16) {
      fcoopmatNV<16, gl_ScopeSubgroup, 16, 16> ws_part[2], xs_part[2];
      [[unroll]] for (uint i = 0; i < 2; ++i) {
        coopMatLoadNV(ws_part[i], w_tile, (w_at + 16u * i) * k_stride + d, k_stride, false);
        coopMatLoadNV(xs_part[i], x_tile, (x_at + 16u * i) * k_stride + d, k_stride, true);
      }
      [[unroll]] for (uint i = 0; i < 2; ++i)
        [[unroll]] for (uint j = 0; j < 2; ++j) sums[i][j] = coopMatMulAddNV(ws_part[i], xs_part[j], sums[i][j]);
    }
  }
  // results[s][column of the matrix + 16·row of x]
  [[unroll]] for (uint i = 0; i < 2; ++i)
    [[unroll]] for (uint j = 0; j < 2; ++j) {
      barrier();
      coopMatStoreNV(sums[i][j], results[gl_SubgroupID], 0, 16, true);
      barrier();
      for (uint e = gl_SubgroupInvocationID; e < 256u; e += gl_SubgroupSize) {
        const uint row = x_at + 16u * j + e / 16u, column = first + w_at + 16u * i + e % 16u;
        if (row < tile.rows && column < n)
          Floats(floats(y, uint64_t(ROW_OF(row)) * n)).v[column] = results[gl_SubgroupID][e];
      }
    }
}
