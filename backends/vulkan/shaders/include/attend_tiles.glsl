// Attention of 16 or 32 heads of a token over all rows that it sees, for states in float16: sixteen rows at a time come
// to shared memory, each of eight groups of 32 threads has a slice of their columns. Scores are summed over the
// groups; what was mixed so far is scaled down only when a score is much larger than any before.
#include "seen.glsl"

layout(constant_id = 3) const uint HEAD_PARTS = 1;  // of 16 heads
layout(constant_id = 4) const uint SLICE_PARTS = 4; // of 16 columns: eight slices are a row

const uint k_threads = 256, k_rows = 16, k_heads = 16 * HEAD_PARTS, k_coded = 256;
const uint k_stride = 16 * SLICE_PARTS + 1; // rows begin at different banks
const uint k_partial = k_rows * k_stride;   // scores of the groups, behind the rows
const uint k_weights = k_partial + 8 * k_heads * 4, k_weights_stride = 3;
const float k_slack = 6.0; // weights up to e^6 are fine in float16
shared uvec4 tiles[k_weights + k_heads * k_weights_stride];
shared uint codes[k_coded]; // where rows are: two bits of where, then which
shared float peak[k_heads], factors[k_heads];
shared uint higher;

#include "matrix.glsl"

uint row_code(Seen seen, uint t, uint i) {
  if (i >= seen.raw) {
    uint c = i - seen.raw;
    if (has(3)) c = uint(InInts(floats(at(3), uint64_t(t) * number(3))).v[c]);
    return 2u << 30 | uint(seen.token.slot) * number(2) + c;
  }
  const int p = seen.oldest + int(i), ring = int(number(1));
  if (p >= seen.token.start) return uint(seen.token.first + p - seen.token.start);
  return 1u << 30 | uint(seen.token.slot * ring + p % ring);
}
uint64_t row_of_code(uint code) {
  const uint n = number(0), from = code >> 30;
  const uint64_t width = uint64_t(from == 0u ? (n + 31u) / 32u * 32u : n) * 2UL;
  return at(from) + uint64_t(code & 0x3fffffffu) * width;
}

/// However drivers round: what is left over goes into the second part.
uvec4 half_eight(vec4 a, vec4 b) {
  return uvec4(packFloat2x16(f16vec2(a.xy)), packFloat2x16(f16vec2(a.zw)), packFloat2x16(f16vec2(b.xy)),
               packFloat2x16(f16vec2(b.zw)));
}
/// Bit by bit: drivers may take what comes back for what was there.
vec4 four_of(uvec2 pairs) {
  return vec4(half_to_float(pairs.x & 0xffffu), half_to_float(pairs.x >> 16), half_to_float(pairs.y & 0xffffu),
              half_to_float(pairs.y >> 16));
}

float shared_float(uint from, uint i) { return uintBitsToFloat(tiles[from + i / 4u][i % 4u]); }

// at: as seen.glsl has them, but k is float16 in rows of whole 32, then q[T,H,D], o[T,H,D], sinks[H].
void main() {
  const uint n = number(0), heads = number(6), t = gl_WorkGroupID.y, first_head = gl_WorkGroupID.x * k_heads;
  const uint thread = THREAD, group = thread / 32u, lane = thread % 32u, pieces = n / 8u;
  const uint row = thread / 16u, piece = thread % 16u; // of what a thread brings
  const uint slice = group * SLICE_PARTS * 2u;         // where the slice begins in a row
  const Seen seen = seen_by(t);

  // Queries are sums of two float16: scores are as good as those in float32.
  LEFT q[2][HEAD_PARTS][SLICE_PARTS];
  Sum mixed[HEAD_PARTS][SLICE_PARTS];
  UNROLL for (uint h = 0; h < HEAD_PARTS; ++h)
    UNROLL for (uint rest = 0; rest < 2; ++rest) {
      const uint head = first_head + 16u * h + row;
      UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) {
        const uint c = piece + 16u * i;
        uvec4 halves = uvec4(0);
        if (head < heads && c < pieces) {
          const uint64_t from = floats(at(6), (uint64_t(t) * heads + head) * n + 8u * c);
          const vec4 low = InVec4(from).v * real(7), high = InVec4(from + 16UL).v * real(7);
          halves = half_eight(low, high);
          if (rest == 1u) halves = half_eight(low - four_of(halves.xy), high - four_of(halves.zw));
        }
        tiles[row * k_stride + c] = halves;
      }
      barrier();
      UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) {
        LOAD_LEFT(q[rest][h][i], slice + 2 * i, k_stride);
        if (rest == 0u) SUM_CLEAR(mixed[h][i]);
      }
      barrier();
    }
  if (thread < k_heads) peak[thread] = -INFINITE;
  if (thread == 0u) higher = 0u;

  // Threads that have two neighbouring scores of a head.
  const bool scores = thread < k_heads * 8u;
  const uint my_head = scores ? thread / 8u : 0u, my_row = thread % 8u * 2u;
  float total = 0.0;
  uvec4 next[SLICE_PARTS];
#define BRING_CODES(from)                                                                                              \
  codes[thread] = row_code(seen, t, min((from) + thread, seen.count - 1u));                                            \
  barrier();
#define FETCH(from)                                                                                                    \
  {                                                                                                                    \
    const uint64_t address = row_of_code(codes[((from) + row) % k_coded]);                                             \
    UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) {                                                                \
      const uint c = piece + 16u * i;                                                                                  \
      next[i] = c < pieces ? InWords4(address + uint64_t(c) * 16UL).v : uvec4(0);                                      \
    }                                                                                                                  \
  }
#define KEEP                                                                                                           \
  UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) tiles[row * k_stride + piece + 16u * i] = next[i];

  BRING_CODES(0u)
  FETCH(0u)
  KEEP
  barrier();
  for (uint first = 0; first < seen.count; first += k_rows) {
    const uint after = first + k_rows;
    const bool more = after < seen.count;
    if (more && after % k_coded == 0u) { BRING_CODES(after) }
    if (more) FETCH(after)

    Sum part[HEAD_PARTS];
    UNROLL for (uint h = 0; h < HEAD_PARTS; ++h) SUM_CLEAR(part[h]);
    UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) {
      RIGHT keys;
      LOAD_RIGHT(keys, slice + 2 * i, k_stride);
      UNROLL for (uint h = 0; h < HEAD_PARTS; ++h) {
        MULTIPLY_ADD(q[0][h][i], keys, part[h]);
        MULTIPLY_ADD(q[1][h][i], keys, part[h]);
      }
    }
    UNROLL for (uint h = 0; h < HEAD_PARTS; ++h)
      STORE_SUM(part[h], k_partial + (group * HEAD_PARTS + h) * 64, 4);
    barrier();
    vec2 score = vec2(0.0);
    if (scores) {
      UNROLL for (uint g = 0; g < 8; ++g) {
        const uvec4 four = tiles[k_partial + (g * k_heads + my_head) * 4u + my_row / 4u];
        score += uintBitsToFloat(my_row % 4u == 0u ? four.xy : four.zw);
      }
      if (first + my_row >= seen.count) score.x = -INFINITE;
      if (first + my_row + 1u >= seen.count) score.y = -INFINITE;
      if (max(score.x, score.y) > peak[my_head] + k_slack) higher = 1u;
    }
    barrier();
    if (higher != 0u) {
      if (scores) {
        const uint to = k_partial + my_head * 4u + my_row / 4u;
        tiles[to][my_row % 4u] = floatBitsToUint(score.x);
        tiles[to][my_row % 4u + 1u] = floatBitsToUint(score.y);
      }
      barrier();
      if (thread < k_heads) {
        float most = peak[thread];
        for (uint r = 0; r < k_rows; ++r) most = max(most, shared_float(k_partial + thread * 4u, r));
        factors[thread] = exp(peak[thread] - most);
        peak[thread] = most;
      }
      barrier();
      total *= factors[my_head];
      const uint scales = k_partial + k_heads * 4u; // a matrix for each part, all columns the same
      for (uint i = thread; i < k_heads * 4u; i += k_threads)
        tiles[scales + i] = uvec4(floatBitsToUint(factors[i / 4u]));
      barrier();
      UNROLL for (uint h = 0; h < HEAD_PARTS; ++h) {
        Sum scale;
        LOAD_SUM(scale, scales + 64 * h, 4);
        UNROLL for (uint i = 0; i < SLICE_PARTS; ++i)
          for (uint e = 0; e < SUM_PARTS; ++e) SUM_PART(mixed[h][i], e) *= SUM_PART(scale, e);
      }
    }
    if (scores) {
      const uint pair = half_pair(exp(score - peak[my_head]));
      const vec2 weights = unpackHalf2x16(pair);
      total += weights.x + weights.y;
      tiles[k_weights + my_head * k_weights_stride + my_row / 8u][my_row % 8u / 2u] = pair;
    }
    barrier();
    LEFT weights[HEAD_PARTS];
    UNROLL for (uint h = 0; h < HEAD_PARTS; ++h)
      LOAD_LEFT(weights[h], k_weights + 16 * h * k_weights_stride, k_weights_stride);
    UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) {
      RIGHT values;
      LOAD_RIGHT_ROWS(values, slice + 2 * i, k_stride);
      UNROLL for (uint h = 0; h < HEAD_PARTS; ++h) MULTIPLY_ADD(weights[h], values, mixed[h][i]);
    }
    barrier();
    if (more) { KEEP }
    if (thread == 0u) higher = 0u;
    barrier();
  }

  if (scores) tiles[k_partial + thread / 4u][thread % 4u] = floatBitsToUint(total);
  barrier();
  if (thread < k_heads) {
    float sum = exp(InFloats(at(8)).v[min(first_head + thread, heads - 1u)] - peak[thread]);
    for (uint i = 0; i < 8u; ++i) sum += shared_float(k_partial, thread * 8u + i);
    factors[thread] = 1.0 / sum;
  }
  barrier();
  UNROLL for (uint h = 0; h < HEAD_PARTS; ++h)
    UNROLL for (uint i = 0; i < SLICE_PARTS; ++i) {
      STORE_SUM(mixed[h][i], k_partial + group * 64, 4);
      barrier();
      const uint in_part = 16u * h + lane / 2u, head = first_head + in_part;
      const uint column = (group * SLICE_PARTS + i) * 16u + lane % 2u * 8u, from = k_partial + group * 64u + lane * 2u;
      if (head < heads && column < n) {
        const uint64_t to = floats(at(7), (uint64_t(t) * heads + head) * n + column);
        OutVec4(to).v = uintBitsToFloat(tiles[from]) * factors[in_part];
        OutVec4(to + 16UL).v = uintBitsToFloat(tiles[from + 1u]) * factors[in_part];
      }
      barrier();
    }
}
