// The second half of experts for few tokens: down, summed over the slots in their order. A subgroup makes TILES times
// ROWS elements of one token, or of TOKENS tokens where there is but one expert.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "stream.glsl"

layout(constant_id = 9) const uint TILES = 1;

const uint k_slots = SETS / TOKENS;

// at: digits of mid[T,S,K], their scales, down[X,N,K], y[T,N], ids[T,S] or none, grid.
void main() {
  const uint n = number(0), experts = number(1), token = gl_WorkGroupID.x * TOKENS;
  // A grid for one token at a time has no more than there are: nothing waits for the count.
  const uint tokens = TOKENS == 1 ? token + 1u : count(2);
  const uint first = (gl_WorkGroupID.y * gl_NumSubgroups + gl_SubgroupID) * TILES * ROWS;
  const uint64_t stride = row_bytes(FORMAT, K), down = at(2);
  const uint steps = TILES * k_slots * k_parts; // parts of slots of tiles
  int id = 0;
#define BEGIN_ROWS(step)                                                                                               \
  {                                                                                                                    \
    if (has(4)) id = InInts(at(4)).v[token * k_slots + (step) / k_parts % k_slots];                                    \
    const uint64_t w = down + uint64_t(id >= 0 && uint(id) < experts ? id : 0) * n * stride;                           \
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {                                                                       \
      const uint row = min(first + (step) / (k_parts * k_slots) * ROWS + r, n - 1u);                                   \
      tile_rows[r] = w + uint64_t(row) * stride;                                                                       \
    }                                                                                                                  \
  }

  BEGIN_ROWS(0)
  load_tile(0);
  keep_table(at(5));
  for (uint i = THREAD; i < SETS * (K / 16u); i += THREADS) {
    const uint set = i / (K / 16u), chunk = i % (K / 16u);
    const uint64_t from = uint64_t(min(token * k_slots + set, tokens * k_slots - 1u)) * (K / 16u);
    Digits d;
    [[unroll]] for (uint j = 0; j < DIGITS; ++j)
      d.codes[j] = InWords4(at(0) + (from * DIGITS + uint64_t(j * (K / 16u) + chunk)) * 16UL).v;
    d.scale = InFloats(floats(at(1), from)).v[chunk];
    keep_digits(set, chunk, d);
  }
  barrier();

  const uint r = sum_row(), t = sum_token();
  for (uint i = 0; i < steps; ++i) {
    const uint part = i % k_parts, slot = i / k_parts % k_slots, row = first + i / (k_parts * k_slots) * ROWS;
    if (row >= n) break;
    take_tile();
    const bool known = id >= 0 && uint(id) < experts;
    if (i + 1u < steps) {
      BEGIN_ROWS(i + 1u)
      load_tile((i + 1u) % k_parts);
    }
    if (part == 0u && slot == 0u) clear_sums();
    if (known) add_tile(part, slot);
    if (part + 1u < k_parts || slot + 1u < k_slots) continue;
    const float sum = folded_sums();
    if (is_first_of_sum() && row + r < n && token + t < tokens)
      Floats(floats(at(3), uint64_t(token + t) * n)).v[row + r] = sum;
  }
}
