// As index_score.comp, for many tokens and caches in float16: a workgroup has 128 rows, sixteen for each group of 32 threads,
// and goes through a run of tokens. What heads add up to is summed in matrices whose columns are heads.
#include "states.glsl"

layout(constant_id = 1) const uint HEAD_PARTS = 1;  // of 16 heads
layout(constant_id = 2) const uint WIDTH_PARTS = 2; // of 16 elements
layout(constant_id = 3) const uint PARTS = 1;       // float16 rows whose sum is a row of iq
layout(constant_id = 4) const bool SELECTS = false; // who sees no more than `enough` rows takes them all

const uint k_threads = 256, k_rows = 128, k_tokens = 16;
const uint k_stride = 2 * WIDTH_PARTS + 1; // rows begin at different banks
const uint k_staged = 64;                  // rows of the cache that are brought at a time
const uint k_heads = 16 * HEAD_PARTS;
const uint k_queries = (k_heads * PARTS > k_staged ? k_heads * PARTS : k_staged) * k_stride;
const uint k_weights = k_queries, k_sums = k_weights + HEAD_PARTS * 64;
shared uvec4 tiles[k_sums + 8 * 64];

#include "matrix.glsl"

LEFT keys[WIDTH_PARTS];

/// Rows [first, first+128) of the slot.
void bring_keys(uint64_t base, uint first, uint rows) {
  const uint pieces = 2 * WIDTH_PARTS;
  for (uint half_of = 0; half_of < 2; ++half_of) {
    barrier();
    for (uint i = THREAD; i < k_staged * pieces; i += k_threads) {
      const uint row = min(first + half_of * k_staged + i / pieces, rows - 1u);
      tiles[i / pieces * k_stride + i % pieces] = InWords4(base + uint64_t(row * pieces + i % pieces) * 16UL).v;
    }
    barrier();
    if (THREAD / 128u == half_of)
      UNROLL for (uint i = 0; i < WIDTH_PARTS; ++i)
        LOAD_LEFT(keys[i], THREAD / 32u % 4u * 16u * k_stride + 2 * i, k_stride);
  }
}

// at: iq[T,I,PARTS,D] as float16 in rows of whole 32, w[T,I], cache, pos, seq, scores[T,M].
void main() {
  const uint heads = number(0), rows = number(1), ratio = number(2), enough = number(4), tokens = count(5);
  const uint first = gl_WorkGroupID.x * k_rows, thread = THREAD, group = thread / 32u, lane = thread % 32u;
  const uint pieces = 2 * WIDTH_PARTS, whole = (pieces + 3u) / 4u * 4u; // of eight elements
  uint slot = ~0u;
  for (uint t = gl_WorkGroupID.y * k_tokens; t < min((gl_WorkGroupID.y + 1u) * k_tokens, tokens); ++t) {
    const uint visible = min(uint(InInts(at(3)).v[t] + 1) / ratio, rows);
    if (SELECTS && (visible <= enough || visible <= first)) continue;
    Floats scores = Floats(floats(at(5), uint64_t(t) * rows));
    if (visible <= first) {
      if (thread < k_rows && first + thread < rows) scores.v[first + thread] = -INFINITE;
      continue;
    }
    const uint of_token = uint(InInts(at(4)).v[3 * t]);
    if (slot != of_token) bring_keys(at(2) + uint64_t(of_token * rows) * uint64_t(pieces * 16u), first, rows);
    slot = of_token;
    barrier();
    for (uint i = thread; i < k_heads * PARTS * pieces; i += k_threads) {
      const uint row = i / pieces, head = row % k_heads, part = row / k_heads;
      const uint64_t from = at(0) + uint64_t(((t * heads + head) * PARTS + part) * whole + i % pieces) * 16UL;
      tiles[row * k_stride + i % pieces] = head < heads ? InWords4(from).v : uvec4(0);
    }
    for (uint i = thread; i < HEAD_PARTS * 64u; i += k_threads) { // all rows the same
      InFloats w = InFloats(floats(at(1), uint64_t(t) * heads));
      uvec4 four;
      UNROLL for (uint e = 0; e < 4; ++e) {
        const uint head = i / 64u * 16u + i % 4u * 4u + e;
        four[e] = head < heads ? floatBitsToUint(w.v[head]) : 0u;
      }
      tiles[k_weights + i] = four;
    }
    barrier();
    Sum sum;
    SUM_CLEAR(sum);
    UNROLL for (uint h = 0; h < HEAD_PARTS; ++h) {
      Sum dots, weights;
      SUM_CLEAR(dots);
      UNROLL for (uint i = 0; i < WIDTH_PARTS; ++i)
        UNROLL for (uint part = 0; part < PARTS; ++part) {
          RIGHT query;
          LOAD_RIGHT(query, (part * k_heads + 16 * h) * k_stride + 2 * i, k_stride);
          MULTIPLY_ADD(keys[i], query, dots);
        }
      LOAD_SUM(weights, k_weights + 64 * h, 4);
      for (uint e = 0; e < SUM_PARTS; ++e)
        SUM_PART(sum, e) += max(SUM_PART(dots, e), 0.0) * SUM_PART(weights, e);
    }
    STORE_SUM(sum, k_sums + group * 64, 4);
    barrier();
    const uint c = first + group * 16u + lane;
    if (lane < 16u && c < rows) {
      vec4 fours = vec4(0.0);
      UNROLL for (uint i = 0; i < 4; ++i) fours += uintBitsToFloat(tiles[k_sums + group * 64u + lane * 4u + i]);
      scores.v[c] = c < visible ? (fours.x + fours.y + fours.z + fours.w) * real(3) : -INFINITE;
    }
  }
}
