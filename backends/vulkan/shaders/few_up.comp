// The first half of experts for few tokens: gate and up, gated and weighted, kept as digits for the second half. A
// workgroup has HIDDEN hidden units of one expert, for one pair of token and slot, or for TOKENS tokens where there is
// but one expert. The rows of a tile are gate and up in turn.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "stream.glsl"

layout(constant_id = 9) const bool NORM = false; // x is to be normalised
layout(constant_id = 10) const uint TILES = 1;
layout(constant_id = 11) const uint HIDDEN = 16; // subgroups · TILES · ROWS / 2, a multiple of 16

shared float mids[TOKENS * HIDDEN];

// at: x[T,K], gate[X,N,K], up[X,N,K], digits of mid[T,S,N], their scales, ids[T,S] or none, weights[T,S] or none, grid,
// gain[K] or none.
void main() {
  const uint n = number(0), slots = number(1), experts = number(2);
  // A grid for one pair at a time has no more than there are: nothing waits for the count.
  const uint pairs = TOKENS == 1 ? ~0u : count(3);
  const uint pair = gl_WorkGroupID.x * TOKENS, begin = gl_WorkGroupID.y * HIDDEN;
  const uint first = gl_SubgroupID * TILES * (ROWS / 2u); // within the workgroup
  const int id = has(5) ? InInts(at(5)).v[pair] : 0;
  const bool known = id >= 0 && uint(id) < experts;
  const uint64_t stride = row_bytes(FORMAT, K), offset = uint64_t(known ? id : 0) * n * stride;
  const uint64_t gate = at(1) + offset, up = at(2) + offset;
#define BEGIN_ROWS(tile)                                                                                               \
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {                                                                         \
    const uint unit = min(begin + first + (tile) * (ROWS / 2u) + r / 2u, n - 1u);                                      \
    tile_rows[r] = (r % 2u == 0u ? gate : up) + uint64_t(unit) * stride;                                               \
  }

  BEGIN_ROWS(0)
  load_tile(0);
  keep_table(at(7));
  [[unroll]] for (uint i = 0; i < TOKENS; ++i)
    x_rows[i] = floats(at(0), uint64_t(min(pair + i, pairs - 1u) / slots) * K);
  keep_rows(NORM, NORM ? at(8) : 0UL);
  barrier();
  const uint r = sum_row(), t = sum_token();
  const float scale = NORM ? norm_scale(t, real(5)) : 1.0;
  const float weight = !known ? 0.0 : has(6) ? InFloats(at(6)).v[pair] : 1.0;

  for (uint i = 0; i < TILES * k_parts; ++i) {
    const uint part = i % k_parts;
    take_tile();
    if (i + 1u < TILES * k_parts) {
      BEGIN_ROWS((i + 1u) / k_parts)
      load_tile((i + 1u) % k_parts);
    }
    if (part == 0u) clear_sums();
    add_tile(part, 0);
    if (part + 1u < k_parts) continue;
    const float sum = folded_sums() * scale, next_row = subgroupShuffleXor(sum, k_lanes_of_sum * TOKENS);
    if (!is_first_of_sum() || r % 2u != 0u) continue;
    const uint unit = first + (i / k_parts * ROWS + r) / 2u;
    mids[t * HIDDEN + unit] = known ? gated(sum, next_row, real(4)) * weight : 0.0;
  }
  barrier();
  for (uint i = THREAD; i < TOKENS * (HIDDEN / 16u); i += THREADS) {
    const uint t = i / (HIDDEN / 16u), chunk = begin / 16u + i % (HIDDEN / 16u);
    if (pair + t >= pairs || chunk * 16u >= n) continue;
    Chunk c;
    [[unroll]] for (uint j = 0; j < 16; ++j) c.v[j / 4][j % 4] = mids[16u * i + j];
    const Digits d = digits_of(c);
    const uint64_t to = uint64_t(pair + t) * (n / 16u);
    [[unroll]] for (uint j = 0; j < DIGITS; ++j)
      Words4(at(3) + (to * DIGITS + uint64_t(j * (n / 16u) + chunk)) * 16UL).v = d.codes[j];
    Floats(floats(at(4), to)).v[chunk] = d.scale;
  }
}
