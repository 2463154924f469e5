// The k rows with the largest scores, ties to the lower row, ascending, -1 behind them: a workgroup has one token. The
// smallest score that is taken is found digit by digit, from the top.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "order.glsl"

layout(constant_id = 1) const bool BY_POSITION = false; // positions say how many rows are visible

const uint k_bins = 256;
shared uint bins[k_bins];
shared uint chosen_digit, above; // rows above the digit
shared uint parts[128];

/// How many threads before this one have the flag, and how many all together.
uint rank_of(bool flag, inout uint all) {
  const uint mine = flag ? 1u : 0u, before = subgroupExclusiveAdd(mine), sum = subgroupAdd(mine);
  barrier();
  if (gl_SubgroupInvocationID == 0) parts[gl_SubgroupID] = sum;
  barrier();
  uint rank = before;
  all = 0u;
  for (uint i = 0; i < gl_NumSubgroups; ++i) {
    if (i < gl_SubgroupID) rank += parts[i];
    all += parts[i];
  }
  return rank;
}

// at: scores[T,M], sel[T,K], pos.
void main() {
  const uint rows = number(0), k = number(1), t = gl_WorkGroupID.x;
  InFloats scores = InFloats(floats(at(0), uint64_t(t) * rows));
  Ints sel = Ints(floats(at(1), uint64_t(t) * k));
  uint seen = rows;
  if (BY_POSITION) {
    seen = min(uint(InInts(at(2)).v[t] + 1) / number(2), rows);
    if (seen <= k) {
      for (uint i = THREAD; i < k; i += THREADS) sel.v[i] = i < seen ? int(i) : -1;
      return;
    }
  }
  // After each pass: `prefix` are the digits found, `wanted` how many rows are still to be found among those that have it.
  uint prefix = 0u, wanted = k;
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (uint i = THREAD; i < k_bins; i += THREADS) bins[i] = 0u;
    barrier();
    for (uint i = THREAD; i < seen; i += THREADS) {
      const uint key = key_of(scores.v[i]);
      if (key != 0u && (shift == 24 || key >> (shift + 8) == prefix)) atomicAdd(bins[key >> shift & 255u], 1u);
    }
    barrier();
    if (THREAD == 0) {
      uint sum = 0u, digit = k_bins;
      while (digit > 0u && sum < wanted) sum += bins[--digit];
      chosen_digit = digit;
      above = sum >= wanted ? sum - bins[digit] : 0u; // fewer rows than wanted: all of them, from digit 0 on
    }
    barrier();
    wanted -= above;
    prefix = prefix << 8 | chosen_digit;
    barrier();
  }
  // Rows above the threshold, and of those that are equal to it the first `wanted`.
  uint taken = 0u, ties = 0u;
  for (uint base = 0u; base < seen; base += THREADS) {
    const uint i = base + THREAD;
    const uint key = i < seen ? key_of(scores.v[i]) : 0u;
    uint all = 0u, all_ties = 0u;
    const bool tie = key != 0u && key == prefix;
    const uint tie_rank = ties + rank_of(tie, all_ties);
    const bool takes = key > prefix || (tie && tie_rank < wanted);
    const uint place = taken + rank_of(takes, all);
    if (takes && place < k) sel.v[place] = int(i);
    taken += all;
    ties += all_ties;
  }
  for (uint i = taken + THREAD; i < k; i += THREADS) sel.v[i] = -1;
}
