// Out of one layer and into the next, for few tokens: what the layer gives goes back into the streams, and while a part of
// the columns is at hand, it is multiplied with the rows of fn and its squares are summed. The last workgroup of a token
// mixes the streams by their gates; what goes on to hc_post is made of the same sums by hc_split.comp, which nobody waits
// for.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"
#include "last.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint STREAMS = 1;
layout(constant_id = 3) const bool TURN = false; // else the streams are there
layout(constant_id = 4) const bool HEAD = false; // there are gates and nothing else
layout(constant_id = 5) const uint EACH = 1;     // rows of fn, or the squares, that a subgroup has

const uint k_rows = HEAD ? STREAMS : 2 * STREAMS + STREAMS * STREAMS, k_most_rows = 80, k_most_fours = 128, k_held = 4;
shared vec4 columns[k_most_fours]; // of a part: four for each lane of a subgroup
shared float totals[k_most_rows + 1], bases[STREAMS], scale_of_gates;

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
// sums[T,J+1,parts], base[J], scale[3 or 1], x[T,E], numbers[T,J], counters[T], grid.
void main() {
  const uint k = number(0), parts = number(1), width = number(2);
  const uint part = gl_WorkGroupID.x, t = gl_WorkGroupID.y, lane = gl_SubgroupInvocationID, each = 4u * gl_SubgroupSize;
  const uint begin = part * each, mine = begin + 4u * lane;
  const uint64_t fn = at(6), stride = row_bytes(FORMAT, k), streams = floats(at(5), uint64_t(t) * k);
  const uint64_t x = floats(more_at(10), uint64_t(t) * width), numbers = more_at(11), counter = more_at(12);

  // What does not wait for the streams.
  const bool half_words = FORMAT == k_f16 || FORMAT == k_bf16, plain = FORMAT == k_f32 || half_words;
  vec4 weights[EACH];
  if (plain && mine < k)
    [[unroll]] for (uint r = 0; r < EACH; ++r) {
      const uint j = min(gl_SubgroupID + r * gl_NumSubgroups, k_rows - 1u);
      const uint64_t row = fn + uint64_t(j) * stride;
      weights[r] = half_words ? four_halves(FORMAT, InWords2(row + uint64_t(mine) * 2UL).v) : InVec4(floats(row, mine)).v;
    }
  const float base = InFloats(more_at(8)).v[min(THREAD, STREAMS - 1u)], scale = InFloats(more_at(9)).v[0];
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
    } else if (plain) {
      if (mine < k) sum = dot(columns[lane], weights[r]);
    } else if (4u * lane < gl_SubgroupSize && begin + 16u * lane < k) {
      const Chunk ws = weight_chunk(FORMAT, true, fn + uint64_t(j) * stride, begin / 16u + lane, k, more_at(13));
      [[unroll]] for (uint i = 0; i < 4; ++i) sum += dot(columns[4u * lane + i], ws.v[i]);
    }
    sum = subgroupAdd(sum);
    if (lane == 0) SharedFloats(sums).v[j * parts + part] = sum;
  }
  if (THREAD < STREAMS) bases[THREAD] = base;
  if (THREAD == 0) scale_of_gates = scale;
  if (!last_of(counter + t * 4u, parts)) return;

  // The streams are on their way while the sums are made.
  const uint fours = width / 4u;
  uint from = THREAD;
  vec4 held[STREAMS * k_held];
#define LOAD_HELD                                                                                                      \
  [[unroll]] for (uint h = 0; h < k_held; ++h)                                                                         \
    [[unroll]] for (uint r = 0; r < STREAMS; ++r)                                                                      \
      held[h * STREAMS + r] =                                                                                          \
          SharedVec4(floats(streams, uint64_t(r) * width + 4u * min(from + h * THREADS, fours - 1u))).v;
  LOAD_HELD
  [[unroll]] for (uint r = 0; r < EACH; ++r) {
    const uint j = gl_SubgroupID + r * gl_NumSubgroups;
    if (j > k_rows) break;
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
  const float norm = 1.0 / sqrt(totals[k_rows] / float(k) + real(4));
  if (!HEAD && THREAD < k_rows) Floats(floats(numbers, t * k_rows)).v[THREAD] = totals[THREAD] * norm;
  float gates[STREAMS];
  [[unroll]] for (uint r = 0; r < STREAMS; ++r) gates[r] = sigmoid(totals[r] * norm * scale_of_gates + bases[r]) + real(3);
  while (from < fours) {
    [[unroll]] for (uint h = 0; h < k_held; ++h) {
      vec4 sum = vec4(0.0);
      [[unroll]] for (uint r = 0; r < STREAMS; ++r) sum += gates[r] * held[h * STREAMS + r];
      const uint four = from + h * THREADS;
      if (four < fours) SharedVec4(floats(x, 4u * four)).v = sum;
    }
    from += k_held * THREADS;
    if (from < fours) {
      LOAD_HELD
    }
  }
}
