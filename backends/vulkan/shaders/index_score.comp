// How much a token wants to see each compressed row: sum over heads of max(0, key·iq_h)·w_h·scale. A workgroup has 64 rows
// and looks at 64 heads at a time, a thread at four of each. The last workgroup of a token may go on and select.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "last.glsl"
#include "order.glsl"
#include "states.glsl"

layout(constant_id = 1) const bool HALF_CACHE = false;
layout(constant_id = 2) const uint WIDTH = 4; // of a row
layout(constant_id = 3) const bool SELECTS = false; // who sees no more than `enough` rows takes them all
layout(constant_id = 4) const uint BLOCKS = 0; // of 1024 rows, to select from; 0: that is left to top_k_rows.comp

const uint k_threads = 256, k_tile = 64, k_columns = 32, k_each = 4; // the workgroup's size must be this
const uint k_fours = k_columns / 4, k_keys = 4 * BLOCKS + 4;
shared vec4 keys[k_tile][k_fours + 1], queries[k_tile][k_fours + 1];
shared float parts[k_tile][17];
shared uint counts[3], bounds[2], starts[1024]; // starts: of blocks and subgroups

/// Columns of rows that a thread brings: eight of one.
struct Piece {
  vec4 v[2];
};
Piece piece_of(uint64_t row, bool there, bool half_row, uint first) {
  Piece p;
  p.v[0] = p.v[1] = vec4(0.0);
  if (!there) return p;
  if (WIDTH % 8u == 0u) {
    if (first >= WIDTH) return p;
    if (half_row) {
      const uvec4 words = InWords4(row + first * 2UL).v;
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        p.v[i / 2][2 * (i % 2)] = half_to_float(words[i] & 0xffffu);
        p.v[i / 2][2 * (i % 2) + 1] = half_to_float(words[i] >> 16);
      }
    } else {
      p.v[0] = InVec4(floats(row, first)).v;
      p.v[1] = InVec4(floats(row, first + 4u)).v;
    }
    return p;
  }
  [[unroll]] for (uint i = 0; i < 8; ++i)
    if (first + i < WIDTH) p.v[i / 4][i % 4] = state_at(half_row, row, 0UL, WIDTH, first + i);
  return p;
}

uint turn = 0;
/// Sum over the workgroup, with one barrier; counts[turn] is zero.
uint total_of(uint mine) {
  const uint sum = subgroupAdd(mine);
  if (gl_SubgroupInvocationID == 0) atomicAdd(counts[turn], sum);
  barrier();
  const uint all = counts[turn];
  turn = turn == 2u ? 0u : turn + 1u;
  if (THREAD == 0) counts[turn == 2u ? 0u : turn + 1u] = 0u; // two sums from now; all have read it before the barrier
  return all;
}

/// The k rows with the largest scores, ties to the lower row, ascending, -1 behind them. All of a token's keys are held
/// by the threads, four neighbours each in every block.
void select_rows(uint64_t scores, Ints sel, uint seen, uint k) {
  uint held[k_keys];
  uint valid = 0u, least = ~0u, most = 0u;
  [[unroll]] for (uint b = 0; b < BLOCKS; ++b) {
    const uint first = b * 1024u + 4u * THREAD;
    vec4 four = vec4(0.0);
    if (first < seen) four = SharedVec4(floats(scores, first)).v;
    [[unroll]] for (uint i = 0; i < 4; ++i) held[4u * b + i] = first + i < seen ? key_of(four[i]) : 0u;
  }
  [[unroll]] for (uint i = 0; i < 4u * BLOCKS; ++i) {
    if (held[i] == 0u) continue;
    ++valid;
    least = min(least, held[i]);
    most = max(most, held[i]);
  }
  if (THREAD == 0) {
    counts[0] = counts[1] = counts[2] = 0u;
    bounds[0] = ~0u;
    bounds[1] = 0u;
  }
  barrier();
  least = subgroupMin(least);
  most = subgroupMax(most);
  if (gl_SubgroupInvocationID == 0) {
    atomicMin(bounds[0], least);
    atomicMax(bounds[1], most);
  }
  valid = total_of(valid);
  least = bounds[0];
  most = bounds[1];
  // At least k keys are not below `low`, fewer than k not below `high`.
  uint low = valid > k ? least : 1u, high = valid > k ? most + 1u : 2u;
  while (high - low > 1u) {
    const uint middle = low + (high - low) / 2u;
    uvec4 mine = uvec4(0u);
    [[unroll]] for (uint b = 0; b < BLOCKS; ++b)
      [[unroll]] for (uint i = 0; i < 4u; ++i) mine[i] += held[4u * b + i] >= middle ? 1u : 0u;
    const uint all = total_of((mine.x + mine.y) + (mine.z + mine.w));
    if (all >= k) low = middle;
    if (all <= k) high = all == k ? low + 1u : middle;
  }
  uint above = 0u;
  [[unroll]] for (uint i = 0; i < 4u * BLOCKS; ++i) above += held[i] > low ? 1u : 0u;
  const uint ties = k - min(total_of(above), k); // that many of those at `low` are taken, too
  // Where the rows of each block and subgroup begin: above it and at it, in the halves of a word.
  uint before[BLOCKS + 1], sums_before[4];
  [[unroll]] for (uint b = 0; b < BLOCKS; ++b) {
    uint mine = 0u;
    [[unroll]] for (uint i = 0; i < 4; ++i)
      mine += (held[4u * b + i] > low ? 1u : 0u) + (held[4u * b + i] == low ? 0x10000u : 0u);
    before[b] = subgroupExclusiveAdd(mine);
    const uint sum = subgroupAdd(mine);
    if (gl_SubgroupInvocationID == 0) starts[b * gl_NumSubgroups + gl_SubgroupID] = sum;
  }
  barrier();
  const uint pieces = BLOCKS * gl_NumSubgroups;
  uint all = 0u;
  for (uint piece0 = 0u; piece0 < pieces; piece0 += k_threads) { // what comes before each; no more than 1024 pieces
    const uint piece = piece0 + THREAD;
    uint sum = 0u;
    all = 0u;
    for (uint other0 = 0u; other0 < pieces; other0 += 8u)
      [[unroll]] for (uint other = other0; other < other0 + 8u; ++other) {
        const uint count = other < pieces ? starts[other] : 0u;
        if (other < piece) sum += count;
        all += count;
      }
    sums_before[piece0 / k_threads] = sum;
  }
  barrier();
  [[unroll]] for (uint i = 0u; i < 4u; ++i)
    if (i * k_threads + THREAD < pieces) starts[i * k_threads + THREAD] = sums_before[i];
  barrier();
  [[unroll]] for (uint b = 0; b < BLOCKS; ++b) {
    const uint base = starts[b * gl_NumSubgroups + gl_SubgroupID] + before[b];
    uint over = base & 0xffffu, level = base >> 16;
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const uint key = held[4u * b + i];
      const bool tie = key == low;
      if (key > low || (tie && level < ties)) {
        const uint place = over + min(level, ties);
        if (place < k) sel.v[place] = int(b * 1024u + 4u * THREAD + i);
      }
      if (key > low) ++over;
      if (tie) ++level;
    }
  }
  const uint taken = min((all & 0xffffu) + min(all >> 16, ties), k);
  for (uint i = taken + THREAD; i < k; i += k_threads) sel.v[i] = -1;
}

// at: iq[T,I,D], w[T,I], cache, pos, seq, scores[T,stride], sel[T,K], counters[T].
void main() {
  const uint heads = number(0), rows = number(1), ratio = number(2), enough = number(4), stride = number(5);
  const uint t = gl_WorkGroupID.y, first = gl_WorkGroupID.x * k_tile;
  const uint visible = min(uint(InInts(at(3)).v[t] + 1) / ratio, rows);
  const uint64_t scores = floats(at(5), uint64_t(t) * stride);
  if (SELECTS && visible <= enough) {
    Ints sel = Ints(floats(at(6), uint64_t(t) * enough));
    if (BLOCKS != 0 && gl_WorkGroupID.x == 0)
      for (uint i = THREAD; i < enough; i += k_threads) sel.v[i] = i < visible ? int(i) : -1;
    return;
  }
  if (first >= visible) {
    if (!SELECTS && THREAD < k_tile && first + THREAD < rows) Floats(scores).v[first + THREAD] = -INFINITE;
    return;
  }
  const uint64_t cache = at(2) + uint64_t(uint(InInts(at(4)).v[3 * t])) * rows * WIDTH * (HALF_CACHE ? 2UL : 4UL);
  const uint64_t iq = floats(at(0), uint64_t(t) * heads * WIDTH), w = floats(at(1), uint64_t(t) * heads);
  const uint tx = THREAD % 16u, ty = THREAD / 16u, line = THREAD / 4u, column = THREAD % 4u * 8u;
  const uint64_t key_row = cache + uint64_t(first + line) * WIDTH * (HALF_CACHE ? 2UL : 4UL);
  float sums[k_each] = float[k_each](0.0, 0.0, 0.0, 0.0);
  for (uint h0 = 0; h0 < heads; h0 += k_tile) {
    const uint64_t query_row = floats(iq, (h0 + line) * WIDTH);
    float d[k_each * k_each];
    [[unroll]] for (uint i = 0; i < k_each * k_each; ++i) d[i] = 0.0;
    Piece key = piece_of(key_row, first + line < visible, HALF_CACHE, column);
    Piece query = piece_of(query_row, h0 + line < heads, false, column);
    for (uint c0 = 0; c0 < WIDTH; c0 += k_columns) {
      barrier();
      [[unroll]] for (uint i = 0; i < 2; ++i) {
        keys[line][column / 4u + i] = key.v[i];
        queries[line][column / 4u + i] = query.v[i];
      }
      barrier();
      if (c0 + k_columns < WIDTH) {
        key = piece_of(key_row, first + line < visible, HALF_CACHE, c0 + k_columns + column);
        query = piece_of(query_row, h0 + line < heads, false, c0 + k_columns + column);
      }
      [[unroll]] for (uint f = 0; f < k_fours; ++f) {
        vec4 a[k_each], b[k_each];
        [[unroll]] for (uint i = 0; i < k_each; ++i) {
          a[i] = keys[ty + 16u * i][f];
          b[i] = queries[tx + 16u * i][f];
        }
        [[unroll]] for (uint i = 0; i < k_each; ++i)
          [[unroll]] for (uint j = 0; j < k_each; ++j) d[k_each * i + j] += dot(a[i], b[j]);
      }
    }
    [[unroll]] for (uint j = 0; j < k_each; ++j) {
      const uint h = h0 + tx + 16u * j;
      const float weight = h < heads ? InFloats(w).v[h] : 0.0;
      [[unroll]] for (uint i = 0; i < k_each; ++i) sums[i] += max(d[k_each * i + j], 0.0) * weight;
    }
  }
  [[unroll]] for (uint i = 0; i < k_each; ++i) parts[ty + 16u * i][tx] = sums[i];
  barrier();
  if (THREAD < k_tile && first + THREAD < rows) {
    float sum = 0.0;
    [[unroll]] for (uint i = 0; i < 16u; ++i) sum += parts[THREAD][i];
    const float score = first + THREAD < visible ? sum * real(3) : -INFINITE;
    if (BLOCKS != 0)
      SharedFloats(scores).v[first + THREAD] = score;
    else
      Floats(scores).v[first + THREAD] = score;
  }
  if (BLOCKS == 0) return;
  if (!last_of(at(7) + t * 4u, (visible + k_tile - 1u) / k_tile)) return;
  select_rows(scores, Ints(floats(at(6), uint64_t(t) * enough)), visible, enough);
}
