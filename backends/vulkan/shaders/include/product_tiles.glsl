// Products of many rows with weights, both as float16: tiles of TILE_X rows of x by 128 rows of the matrix, by four groups
// of 32 threads. What the next step needs is fetched while matrices are multiplied. With GATED half the rows of a
// tile are those of the gate's matrix, half the same of another one, and what they become together goes out.

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint MODE = 0; // rows of a tile: 0 neighbours, 1 those of one matrix by a list, 2 by group
layout(constant_id = 3) const bool ALIGNED = false;
layout(constant_id = 4) const uint TILE_X = 64; // 64 or 128
layout(constant_id = 5) const uint STAGES = 1;  // 2: a step is written while another one is read
layout(constant_id = 6) const bool GATED = false;
layout(constant_id = 7) const uint BY_LIST = 3; // with MODE 1: 1: rows of x stand in the list, 2: those of y
layout(constant_id = 8) const bool HALF_OUT = false; // y is float16 in rows of whole 32
layout(constant_id = 9) const uint PARTS = 1;        // 2: a row of x is the sum of two such rows

const uint k_deep = 32; // columns of a step
const uint k_threads = 128, k_tile_w = 128;
const uint k_stride = k_deep / 8 + 1; // rows begin at different banks
const uint k_stage = (k_tile_w + TILE_X) * k_stride;
shared uvec4 tiles[STAGES * k_stage]; // rows of weights, then rows of x

#include "matrix.glsl"
#include "weights_half.glsl"

const uint k_groups_x = TILE_X > 64 ? 2 : 1, k_groups_w = 4 / k_groups_x; // of 32 threads
const uint k_parts_x = TILE_X / 16 / k_groups_x, k_parts_w = k_tile_w / 16 / k_groups_w;
#define SPANS (PARTS == 1 && (FORMAT == k_q2_k_planes || FORMAT == k_iq2_xxs_planes))
const uint k_bring_w = k_tile_w * k_deep / 16 / k_threads; // chunks of 16 that a thread brings
const uint k_bring_x = TILE_X * k_deep / 8 / k_threads;    // pieces of 8

struct Tile {
  uint matrix, first, rows;
};

/// MODE 1: entry of the list, as expert_sort.comp has written it.
Tile listed(uint i) {
  InInts list = InInts(at(5));
  return Tile(uint(list.v[3 * i]), uint(list.v[3 * i + 1]), uint(list.v[3 * i + 2]));
}

/// Row of y, or of x·share, that row i of the tile is.
uint row_of(Tile tile, uint i, bool by_list) {
  if (MODE == 1 && by_list) return uint(InInts(at(3)).v[tile.first + i]);
  return MODE == 2 ? (tile.first + i) * number(4) + tile.matrix : tile.first + i;
}

Sum sums[k_parts_x][k_parts_w];
// Matrix units cut off what they add: with PARTS 2 they sum few columns at a time, and what those give is summed here.
const uint k_steps_alone = 8;
Sum totals[PARTS == 2 ? k_parts_x : 1][PARTS == 2 ? k_parts_w : 1];
#define SUM_UP                                                                                                         \
  UNROLL for (uint i = 0; i < k_parts_x; ++i)                                                                          \
    UNROLL for (uint j = 0; j < k_parts_w; ++j) {                                                                      \
      UNROLL for (uint e = 0; e < SUM_PARTS; ++e)                                                                      \
        SUM_PART(totals[PARTS == 2 ? i : 0][PARTS == 2 ? j : 0], e) += SUM_PART(sums[i][j], e);                        \
      SUM_CLEAR(sums[i][j]);                                                                                           \
    }

/// The first PARTS parts of x of this group, times its parts of the weights.
#define MULTIPLY_PARTS(PARTS)                                                                                          \
  UNROLL for (uint d = 0; d < k_deep / 8; d += 2) {                                                                    \
    RIGHT w_part[k_parts_w];                                                                                           \
    UNROLL for (uint j = 0; j < k_parts_w; ++j)                                                                        \
      LOAD_RIGHT(w_part[j], stage + (w_at + 16 * j) * k_stride + d, k_stride);                                         \
    UNROLL for (uint i = 0; i < PARTS; ++i) {                                                                          \
      LEFT x_part;                                                                                                     \
      LOAD_LEFT(x_part, stage + (k_tile_w + x_at + 16 * i) * k_stride + d, k_stride);                                  \
      UNROLL for (uint j = 0; j < k_parts_w; ++j) MULTIPLY_ADD(x_part, w_part[j], sums[i][j]);                         \
    }                                                                                                                  \
  }

/// Eight neighbouring results of row i of the tile.
void put_out(Tile tile, uint i, uint column, vec4 low, vec4 high) {
  const uint n = number(1), whole = (n + 31u) / 32u * 32u;
  if (i >= tile.rows || column >= (HALF_OUT ? whole : n)) return;
  if (GATED && has(7)) {
    const float weight = InFloats(at(7)).v[row_of(tile, i, true)];
    low *= weight;
    high *= weight;
  }
  const uint64_t row = uint64_t(row_of(tile, i, (BY_LIST & 2u) != 0u));
  if (HALF_OUT) {
    const float most = 65504.0;
    UNROLL for (uint c = 0; c < 4; ++c) {
      low[c] = column + c < n ? clamp(low[c], -most, most) : 0.0;
      high[c] = column + 4u + c < n ? clamp(high[c], -most, most) : 0.0;
    }
    Words4(at(2) + (row * whole + column) * 2UL).v =
        uvec4(half_pair(low.xy), half_pair(low.zw), half_pair(high.xy), half_pair(high.zw));
    return;
  }
  const uint64_t to = floats(at(2), row * n + column);
  if (n % 4u == 0u) {
    OutVec4(to).v = low;
    if (column + 4u < n) OutVec4(to + 16UL).v = high;
    return;
  }
  Floats y = Floats(to);
  UNROLL for (uint c = 0; c < 4; ++c) {
    if (column + c < n) y.v[c] = low[c];
    if (column + 4u + c < n) y.v[4u + c] = high[c];
  }
}

// at: x[.,K] as float16, PARTS rows of whole 32 for each, w[.,N,K], y[.,N], list of rows, grid, tiles, other w (GATED),
// weights or none.
void main() {
  const uint k = number(0), n = number(1), share = number(3), matrices = number(4);
  // Neighbours in the grid have the same weights, or with a list the same rows.
  const uint tile_x = MODE == 1 ? gl_WorkGroupID.y : gl_WorkGroupID.x;
  const uint tile_w = MODE == 1 ? gl_WorkGroupID.x : gl_WorkGroupID.y;
  Tile tile = Tile(0, tile_x * TILE_X, 0);
  if (MODE == 1)
    tile = listed(tile_x);
  else
    tile.rows = min(TILE_X, count(2) - tile.first);
  if (MODE == 2) tile.matrix = gl_WorkGroupID.z;
  if (tile.rows == 0) return;

  const uint thread = THREAD, group = thread / 32u, lane = thread % 32u;
  const uint w_at = group % k_groups_w * k_parts_w * 16u, x_at = group / k_groups_w * k_parts_x * 16u;
  const uint first = tile_w * (GATED ? k_tile_w / 2u : k_tile_w);
  const uint64_t stride = row_bytes(FORMAT, k), grid = at(4);
  const bool known = tile.matrix < matrices; // a list ends with the rows that have no matrix
  const uint64_t before = uint64_t(known ? tile.matrix : 0u) * uint64_t(n) * stride;

  // Chunks of one row are neighbouring threads'.
  const uint w_chunk = thread % (k_deep / 16u), x_piece = thread % (k_deep / 8u);
  const uint w_row = thread / (k_deep / 16u), x_row = thread / (k_deep / 8u);
  uint64_t w_from[k_bring_w], x_from[k_bring_x];
  UNROLL for (uint i = 0; i < k_bring_w; ++i) {
    const uint row = w_row + i * (k_tile_w / k_bring_w);
    // Of 32 rows in a tile 16 are the gate's, 16 the other one's.
    const uint unit = GATED ? row / 32u * 16u + row % 16u : row;
    w_from[i] = (GATED && row % 32u >= 16u ? at(6) : at(1)) + before + uint64_t(min(first + unit, n - 1u)) * stride;
  }
  const uint wide = (k + 31u) / 32u * 32u; // elements of a row of x
  UNROLL for (uint i = 0; i < k_bring_x; ++i) {
    const uint row = min(x_row + i * (TILE_X / k_bring_x), tile.rows - 1u);
    x_from[i] = at(0) + uint64_t(row_of(tile, row, (BY_LIST & 1u) != 0u) / share) * uint64_t(wide * PARTS) * 2UL;
  }
  UNROLL for (uint i = 0; i < k_parts_x; ++i)
    UNROLL for (uint j = 0; j < k_parts_w; ++j) {
      SUM_CLEAR(sums[i][j]);
      if (PARTS == 2) SUM_CLEAR(totals[PARTS == 2 ? i : 0][PARTS == 2 ? j : 0]);
    }
  bring_grid(FORMAT, grid);
  barrier();

  const uint chunks = (k + 15u) / 16u, pieces = wide / 8u;
  const uint steps = known ? (wide + k_deep - 1u) / k_deep * PARTS : 0u;
  Raw ws[k_bring_w];
  Span spans[k_bring_w];
  uvec4 xs[k_bring_x];
#define FETCH(step)                                                                                                    \
  UNROLL for (uint i = 0; i < k_bring_w; ++i) {                                                                        \
    const uint c = (step) / PARTS * (k_deep / 16u) + w_chunk;                                                          \
    if (SPANS) {                                                                                                       \
      if ((step) % 4u == 0u) spans[i] = raw_span(FORMAT, w_from[i], (step) / 4u, w_chunk, k);                          \
    } else if (c < chunks)                                                                                             \
      ws[i] = raw_chunk(FORMAT, ALIGNED, w_from[i], c, k, grid);                                                       \
    else                                                                                                               \
      UNROLL for (uint e = 0; e < 8; ++e) ws[i].v[e] = 0u;                                                             \
  }                                                                                                                    \
  UNROLL for (uint i = 0; i < k_bring_x; ++i) {                                                                        \
    const uint c = (step) / PARTS * (k_deep / 8u) + x_piece;                                                           \
    xs[i] = c < pieces ? InWords4(x_from[i] + uint64_t((step) % PARTS * pieces + c) * 16UL).v : uvec4(0);              \
  }
#define KEEP(stage, step)                                                                                              \
  UNROLL for (uint i = 0; i < k_bring_w; ++i) {                                                                        \
    if (SPANS) ws[i] = chunk_of_span(FORMAT, spans[i], (step) % 4u, w_chunk);                                          \
    const HalfChunk c = decode_chunk(FORMAT, ALIGNED, ws[i]);                                                          \
    const uint to = (stage) + (w_row + i * (k_tile_w / k_bring_w)) * k_stride + 2u * w_chunk;                          \
    tiles[to] = c.v[0];                                                                                                \
    tiles[to + 1u] = c.v[1];                                                                                           \
  }                                                                                                                    \
  UNROLL for (uint i = 0; i < k_bring_x; ++i)                                                                          \
    tiles[(stage) + (k_tile_w + x_row + i * (TILE_X / k_bring_x)) * k_stride + x_piece] = xs[i];

  if (steps != 0u) {
    FETCH(0u)
    KEEP(0u, 0u)
  }
  barrier();
  for (uint step = 0; step < steps; ++step) {
    const uint stage = STAGES == 2u && step % 2u == 1u ? k_stage : 0u;
    const bool more = step + 1u < steps;
    if (more) { FETCH(step + 1u) }
    if (k_groups_x == 1u && tile.rows <= 16u) {
      MULTIPLY_PARTS(1)
    } else if (k_groups_x == 1u && k_parts_x > 2u && tile.rows <= 32u) {
      MULTIPLY_PARTS(2)
    } else if (k_groups_x == 1u && k_parts_x > 3u && tile.rows <= 48u) {
      MULTIPLY_PARTS(3)
    } else {
      MULTIPLY_PARTS(k_parts_x)
    }
    if (PARTS == 2 && step % k_steps_alone == k_steps_alone - 1u) { SUM_UP }
    if (STAGES == 1u) barrier();
    if (more) { KEEP(STAGES == 2u ? k_stage - stage : 0u, step + 1u) }
    barrier();
  }

  if (PARTS == 2) { SUM_UP }

  // One part at a time through memory that the group has for itself.
  const uint out_at = group * 64u;
  UNROLL for (uint i = 0; i < k_parts_x; ++i)
    UNROLL for (uint j = 0; j < k_parts_w; j += GATED ? 2 : 1) {
      Sum sum = sums[i][j];
      if (PARTS == 2) sum = totals[PARTS == 2 ? i : 0][PARTS == 2 ? j : 0];
      if (GATED) {
        Sum other = sums[i][j + (GATED ? 1 : 0)];
        for (uint e = 0; e < SUM_PARTS; ++e)
          SUM_PART(sum, e) = gated(SUM_PART(sum, e), SUM_PART(other, e), real(5));
      }
      STORE_SUM(sum, out_at, 4);
      barrier();
      const uint column = w_at + 16u * j, from = out_at + lane * 2u;
      put_out(tile, x_at + 16u * i + lane / 2u, first + (GATED ? column / 2u : column) + lane % 2u * 8u,
              uintBitsToFloat(tiles[from]), uintBitsToFloat(tiles[from + 1u]));
      barrier();
    }
}
