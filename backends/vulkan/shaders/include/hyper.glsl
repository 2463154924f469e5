// Hyper-connections: from the numbers of a token to the gates of its streams. STREAMS comes before this is included.

const uint k_most_pairs = 64;

/// From logits to weights comb[source][destination] whose rows and columns sum to 1; by each thread for itself.
void sinkhorn(inout float a[k_most_pairs], uint iters, float eps) {
  [[unroll]] for (uint r = 0; r < STREAMS; ++r) { // softmax over destinations
    float most = a[r * STREAMS], sum = 0.0;
    [[unroll]] for (uint c = 1; c < STREAMS; ++c) most = max(most, a[r * STREAMS + c]);
    [[unroll]] for (uint c = 0; c < STREAMS; ++c) {
      a[r * STREAMS + c] = exp(a[r * STREAMS + c] - most);
      sum += a[r * STREAMS + c];
    }
    [[unroll]] for (uint c = 0; c < STREAMS; ++c) a[r * STREAMS + c] = a[r * STREAMS + c] / sum + eps;
  }
  for (uint pass = 0; pass < max(iters, 1u); ++pass) {
    if (pass != 0)
      [[unroll]] for (uint r = 0; r < STREAMS; ++r) {
        float sum = eps;
        [[unroll]] for (uint c = 0; c < STREAMS; ++c) sum += a[r * STREAMS + c];
        [[unroll]] for (uint c = 0; c < STREAMS; ++c) a[r * STREAMS + c] /= sum;
      }
    [[unroll]] for (uint c = 0; c < STREAMS; ++c) {
      float sum = eps;
      [[unroll]] for (uint r = 0; r < STREAMS; ++r) sum += a[r * STREAMS + c];
      [[unroll]] for (uint r = 0; r < STREAMS; ++r) a[r * STREAMS + c] /= sum;
    }
  }
}
