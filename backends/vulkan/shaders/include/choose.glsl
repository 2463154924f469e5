// The largest of a token's scores in descending order.

const uint k_most_choices = 2048, k_most_chosen = 64;
shared uint choices[k_most_choices]; // scores as integers of the same order; 0: taken
shared int chosen[k_most_chosen];

/// What is NaN counts as -inf.
void offer(uint i, float score) {
  const uint bits = floatBitsToUint(isnan(score) ? -INFINITE : score == 0.0 ? 0.0 : score);
  choices[i] = (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

/// Fills chosen[0..k): indices of the largest of n scores that were offered, ties to the lower one; -1 when none is left.
/// One subgroup looks, and each of its lanes at scores of its own; the whole workgroup calls.
void choose(uint n, uint k) {
  barrier();
  if (gl_SubgroupID == 0)
    for (uint slot = 0; slot < k; ++slot) {
      uint best = 0u, index = 0u;
      for (uint i0 = gl_SubgroupInvocationID; i0 < n; i0 += 8u * gl_SubgroupSize)
        [[unroll]] for (uint u = 0; u < 8u; ++u) {
          const uint i = i0 + u * gl_SubgroupSize, score = i < n ? choices[i] : 0u;
          if (score > best) {
            best = score;
            index = i;
          }
        }
      const uint most = subgroupMax(best), winner = subgroupMin(best == most ? index : ~0u);
      if (most != 0u && index == winner) choices[winner] = 0u;
      if (gl_SubgroupInvocationID == 0) chosen[slot] = most != 0u ? int(winner) : -1;
    }
  barrier();
}
