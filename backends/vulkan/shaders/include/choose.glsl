// The largest of a token's scores, one after another, and what their weights are.

const uint k_most_choices = 2048, k_most_chosen = 64;
shared float choices[k_most_choices]; // NaN: taken
shared int chosen[k_most_chosen];

/// Fills chosen[0..k): indices of the largest of choices[0..n), ties to the lower one; -1 when none is left. What was NaN
/// counts as -inf.
void choose(uint n, uint k) {
  for (uint i = THREAD; i < n; i += THREADS)
    if (isnan(choices[i])) choices[i] = -INFINITE;
  barrier();
  for (uint slot = 0; slot < k; ++slot) {
    float best = -INFINITE, index = -float(k_most_choices);
    for (uint i = THREAD; i < n; i += THREADS)
      if (choices[i] > best) best = choices[i];
    best = group_max(best);
    for (uint i = THREAD; i < n; i += THREADS)
      if (choices[i] == best) index = max(index, -float(i));
    index = group_max(index);
    const int winner = index > -float(k_most_choices) ? int(-index) : -1;
    if (THREAD == 0) {
      chosen[slot] = winner;
      if (winner >= 0) choices[winner] = uintBitsToFloat(0x7fc00000u);
    }
    barrier();
  }
}
