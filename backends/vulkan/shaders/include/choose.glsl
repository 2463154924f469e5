// The largest of a token's scores in descending order.

const uint k_most_choices = 2048, k_most_chosen = 64;
shared vec4 choices[k_most_choices / 4];
shared int chosen[k_most_chosen];

void offer(uint i, float score) { choices[i / 4u][i % 4u] = isnan(score) ? -INFINITE : score; }

/// Fills chosen[0..k): indices of the largest of n scores that were offered, ties to the lower one; -1 when none is left.
/// What was NaN counts as -inf. A score's place is the number of those before it. By the whole workgroup.
void choose(uint n, uint k) {
  const uint fours = (n + 3u) / 4u;
  if (n + THREAD < 4u * fours) choices[fours - 1u][(n + THREAD) % 4u] = uintBitsToFloat(0x7fc00000u); // before nobody
  barrier();
  for (uint i = THREAD; i < n; i += THREADS) {
    const float mine = choices[i / 4u][i % 4u];
    uint before = 0;
    for (uint f = 0; f < fours; ++f) {
      const vec4 other = choices[f];
      const bvec4 wins = f < i / 4u ? greaterThanEqual(other, vec4(mine)) : greaterThan(other, vec4(mine));
      before += uint(wins.x) + uint(wins.y) + uint(wins.z) + uint(wins.w);
    }
    for (uint j = i / 4u * 4u; j < i; ++j) before += choices[j / 4u][j % 4u] == mine ? 1u : 0u;
    if (before < k) chosen[before] = int(i);
  }
  for (uint i = n + THREAD; i < k; i += THREADS) chosen[i] = -1;
  barrier();
}
