// Out of one layer and into the next, for few tokens: what the layer gives goes back into the streams, and while a part of
// the columns is at hand, it is multiplied with the rows of fn and its squares are summed. The last workgroup of a token
// makes gates of the sums and mixes the streams by them.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"
#include "last.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint STREAMS = 1;
layout(constant_id = 3) const bool TURN = false; // else the streams are there
layout(constant_id = 4) const bool HEAD = false; // nothing goes on to hc_post
layout(constant_id = 5) const uint EACH = 1;     // rows of fn, or the squares, that a subgroup has

const uint k_rows = HEAD ? STREAMS : 2 * STREAMS + STREAMS * STREAMS, k_most_rows = 80, k_most_fours = 128, k_held = 4, k_most_pairs = 64;
shared vec4 columns[k_most_fours]; // of a part: four for each lane of a subgroup
shared float totals[k_most_rows + 1], bases[k_most_rows], scales[3];

/// From logits to weights comb[source][destination] whose rows and columns sum to 1; by each thread for itself.
void sinkhorn_alone(inout float a[k_most_pairs], uint iters, float eps) {
  [[unroll]] for (uint r = 0; r < STREAMS; ++r) {
    float most = a[r * STREAMS], sum = 0.0;
    [[unroll]] for (uint c = 1; c < STREAMS; ++c) most = max(most, a[r * STREAMS + c]);
    [[unroll]] for (uint c = 0; c < STREAMS; ++c) {
      a[r * STREAMS + c] = exp(a[r * STREAMS + c] - most);
      sum += a[r * STREAMS + c];
    }
    [[unroll]] for (uint c = 0; c < STREAMS; ++c) a[r * STREAMS + c] = a[r * STREAMS + c] / sum + eps;
  }
  for (uint pass = 1; pass < 2u * max(iters, 1u); ++pass) { // columns, rows, columns, ...
    const bool by_column = (pass & 1u) != 0u;
    [[unroll]] for (uint i = 0; i < STREAMS; ++i) {
      float sum = eps;
      [[unroll]] for (uint j = 0; j < STREAMS; ++j) sum += by_column ? a[j * STREAMS + i] : a[i * STREAMS + j];
      const float less = 1.0 / sum;
      [[unroll]] for (uint j = 0; j < STREAMS; ++j)
        if (by_column)
          a[j * STREAMS + i] *= less;
        else
          a[i * STREAMS + j] *= less;
    }
  }
}

/// Column i of the streams as the layer before leaves them: post[c]·(y + more) + sum over r of comb[r][c]·s[r].
float turned(uint t, uint k, uint width, uint i) {
  const uint c = i / width, e = i % width;
  InFloats s = InFloats(floats(at(0), uint64_t(t) * k)), comb = InFloats(floats(at(4), t * STREAMS * STREAMS));
  const uint64_t more = at(2);
  float y = InFloats(floats(at(1), uint64_t(t) * width)).v[e];
  if (more != 0UL) y += InFloats(floats(more, uint64_t(t) * width)).v[e];
  float sum = InFloats(floats(at(3), t * STREAMS)).v[c] * y;
  [[unroll]] for (uint r = 0; r < STREAMS; ++r) sum += comb.v[r * STREAMS + c] * s.v[r * width + e];
  return sum;
}

// at: s[T,n,E], y[T,E], more[T,E] or none, post[T,n], comb[T,n,n], new s (the only one where nothing is turned), fn[J,n·E],
// sums[T,J+1,parts], base[J], scale[3 or 1], x[T,E], new post, new comb, counters[T], grid.
void main() {
  const uint k = number(0), parts = number(1), width = number(2), iters = number(3);
  const float eps = real(4), rms_eps = real(5);
  const uint part = gl_WorkGroupID.x, t = gl_WorkGroupID.y, lane = gl_SubgroupInvocationID, each = 4u * gl_SubgroupSize;
  const uint begin = part * each, mine = begin + 4u * lane;
  const uint64_t fn = at(6), stride = row_bytes(FORMAT, k), streams = floats(at(5), uint64_t(t) * k);

  // Weights do not wait for the streams.
  vec4 weights[EACH];
  if (FORMAT == k_f32 && mine < k)
    [[unroll]] for (uint r = 0; r < EACH; ++r) {
      const uint j = min(gl_SubgroupID + r * gl_NumSubgroups, k_rows - 1u);
      weights[r] = InVec4(floats(fn, uint64_t(j) * k + mine)).v;
    }
  for (uint i = THREAD; i < each; i += THREADS) {
    float value = 0.0;
    if (begin + i < k) {
      value = TURN ? turned(t, k, width, begin + i) : InFloats(streams).v[begin + i];
      if (TURN) SharedFloats(streams).v[begin + i] = value;
    }
    columns[i / 4u][i % 4u] = value;
  }
  barrier();

  const uint64_t sums = floats(at(7), uint64_t(t) * (k_rows + 1u) * parts);
  [[unroll]] for (uint r = 0; r < EACH; ++r) {
    const uint j = gl_SubgroupID + r * gl_NumSubgroups;
    if (j > k_rows) break;
    float sum = 0.0;
    if (j == k_rows) {
      sum = dot(columns[lane], columns[lane]);
    } else if (FORMAT == k_f32) {
      if (mine < k) sum = dot(columns[lane], weights[r]);
    } else if (4u * lane < gl_SubgroupSize && begin + 16u * lane < k) {
      const Chunk ws = weight_chunk(FORMAT, true, fn + uint64_t(j) * stride, begin / 16u + lane, k, more_at(14));
      [[unroll]] for (uint i = 0; i < 4; ++i) sum += dot(columns[4u * lane + i], ws.v[i]);
    }
    sum = subgroupAdd(sum);
    if (lane == 0) SharedFloats(sums).v[j * parts + part] = sum;
  }
  if (!last_of(more_at(13) + t * 4u, parts)) return;

  // All threads but those of the first subgroup mix; it makes what goes on to hc_post.
  const uint mixers = THREADS - gl_SubgroupSize, fours = width / 4u;
  const bool mixes = gl_SubgroupID != 0;
  uint from = THREAD - gl_SubgroupSize;
  vec4 held[STREAMS * k_held];
#define LOAD_HELD                                                                                                      \
  if (mixes)                                                                                                           \
    [[unroll]] for (uint h = 0; h < k_held; ++h)                                                                       \
      [[unroll]] for (uint r = 0; r < STREAMS; ++r)                                                                    \
        if (from + h * mixers < fours)                                                                                 \
          held[h * STREAMS + r] = SharedVec4(floats(streams, uint64_t(r) * width + 4u * (from + h * mixers))).v;
  LOAD_HELD
  if (THREAD < (HEAD ? 1u : 3u)) scales[THREAD] = InFloats(more_at(9)).v[THREAD];
  [[unroll]] for (uint r = 0; r < EACH; ++r) {
    const uint j = gl_SubgroupID + r * gl_NumSubgroups;
    if (j > k_rows) break;
    if (lane == 0 && j < k_rows) bases[j] = InFloats(more_at(8)).v[j];
    float sum = 0.0;
    for (uint p0 = 0; p0 < parts; p0 += 4u * gl_SubgroupSize) {
      float four[4];
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint p = p0 + i * gl_SubgroupSize + lane;
        four[i] = p < parts ? SharedFloats(sums).v[j * parts + p] : 0.0;
      }
      sum += (four[0] + four[1]) + (four[2] + four[3]);
    }
    sum = subgroupAdd(sum);
    if (lane == 0) totals[j] = sum;
  }
  barrier();
  const float norm = 1.0 / sqrt(totals[k_rows] / float(k) + rms_eps);
#define NUMBER(j, s) (totals[j] * norm * scales[s] + bases[j])
  if (mixes) {
    float gates[STREAMS];
    [[unroll]] for (uint r = 0; r < STREAMS; ++r) gates[r] = sigmoid(NUMBER(r, 0)) + eps;
    while (from < fours) {
      [[unroll]] for (uint h = 0; h < k_held; ++h) {
        vec4 sum = vec4(0.0);
        [[unroll]] for (uint r = 0; r < STREAMS; ++r) sum += gates[r] * held[h * STREAMS + r];
        const uint four = from + h * mixers;
        if (four < fours) SharedVec4(floats(more_at(10), uint64_t(t) * width + 4u * four)).v = sum;
      }
      from += k_held * mixers;
      LOAD_HELD
    }
    return;
  }
  if (HEAD) return;
  if (lane < STREAMS)
    Floats(more_at(11)).v[t * STREAMS + lane] = 2.0 * sigmoid(NUMBER(STREAMS + lane, 1));
  float comb[k_most_pairs];
  [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; ++i) comb[i] = NUMBER(2u * STREAMS + i, 2);
  sinkhorn_alone(comb, iters, eps);
  [[unroll]] for (uint i = 0; i < STREAMS * STREAMS; ++i)
    if (i % gl_SubgroupSize == lane) Floats(more_at(12)).v[t * STREAMS * STREAMS + i] = comb[i];
}
