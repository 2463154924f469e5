// The largest of a token's scores in descending order.

const uint k_most_choices = 2048, k_most_chosen = 64;
shared float choices[k_most_choices + 4];
shared int chosen[k_most_chosen];

/// Fills chosen[0..k): indices of the largest of choices[0..n), ties to the lower one; -1 when none is left. What was NaN
/// counts as -inf. An element's place is the number of those before it. By the whole workgroup, choices being written.
void choose(uint n, uint k) {
  for (uint i = THREAD; i < n; i += THREADS)
    if (isnan(choices[i])) choices[i] = -INFINITE;
  for (uint i = n + THREAD; i < n + 4u; i += THREADS) choices[i] = uintBitsToFloat(0x7fc00000u); // before nobody
  barrier();
  for (uint i = THREAD; i < n; i += THREADS) {
    const float mine = choices[i];
    uint before = 0;
    for (uint j = 0; j < n; j += 4u)
      [[unroll]] for (uint u = 0; u < 4u; ++u) {
        const float other = choices[j + u];
        if (other > mine || (other == mine && j + u < i)) ++before;
      }
    if (before < k) chosen[before] = int(i);
  }
  for (uint i = n + THREAD; i < k; i += THREADS) chosen[i] = -1;
  barrier();
}
