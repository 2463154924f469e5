// Hyper-connections: from the numbers of a token to the gates of its streams, by the whole workgroup.

const uint k_most_streams = 8;
shared float hc_m[2 * k_most_streams + k_most_streams * k_most_streams]; // the numbers, then what becomes of them

/// hc_m[2n..] from logits to weights comb[source][destination] whose rows and columns sum to 1. Thread i has entry i.
void sinkhorn(uint n, uint iters, float eps) {
  const uint i = THREAD, first = 2u * n, row = i / n * n, column = i % n;
  const bool mine = i < n * n;
  // Softmax over destinations.
  float a = mine ? hc_m[first + i] : 0.0;
  float most = a, sum = 0.0;
  if (mine)
    for (uint c = 0; c < n; ++c) most = max(most, hc_m[first + row + c]);
  if (mine)
    for (uint c = 0; c < n; ++c) sum += exp(hc_m[first + row + c] - most);
  a = exp(a - most) / sum + eps;
  for (uint pass = 1; pass < 2u * max(iters, 1u); ++pass) { // columns, rows, columns, ...
    barrier();
    if (mine) hc_m[first + i] = a;
    barrier();
    if (!mine) continue;
    sum = eps;
    for (uint k = 0; k < n; ++k) sum += hc_m[first + ((pass & 1u) != 0u ? k * n + column : row + k)];
    a /= sum;
  }
  barrier();
  if (mine) hc_m[first + i] = a;
  barrier();
}
