// Attention for few tokens: four heads of a token over a part of the rows that it sees, a tile of rows at a time. The last
// workgroup of these heads makes one result of all parts and the sink, turned back where that is wanted.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "last.glsl"
#include "rows.glsl"
#include "seen.glsl"

layout(constant_id = 3) const uint TILE = 8;    // rows; divides 64
layout(constant_id = 4) const uint STRIDE = 68; // words of a row in shared memory, a multiple of 4
layout(constant_id = 5) const bool PACKED = false; // states are halves, rows whole eights: two elements in a word
layout(constant_id = 6) const bool NORM = false; // the query is to be normalised
layout(constant_id = 7) const bool ROPE = false; // and turned
layout(constant_id = 8) const bool BACK = false; // the result is to be turned
layout(constant_id = 9) const bool INVERSE = false; // the other way
layout(constant_id = 10) const bool ALONE = false; // there is one token: nobody else reads what it overwrites

const uint k_threads = 256, k_heads = 4, k_widest = 512, k_most_parts = 64; // the workgroup's size must be this
const uint k_splits = k_threads / (k_heads * TILE);
const uint k_lines = k_threads / (k_widest / 8); // rows that are brought side by side
const uint k_of_head = k_threads / k_heads;      // threads that bring a head of the query
shared vec4 queries[k_heads][k_widest / 4];
shared uvec4 tile[TILE * STRIDE / 4];
shared uint64_t sources[TILE]; // of rows; 0: zeros
shared bool in_float[TILE];
shared float dots[k_splits][k_heads][TILE];
shared vec4 scores[k_heads][TILE / 4], weights[k_most_parts], totals[k_most_parts]; // weights of rows, then of parts
shared vec4 squares[k_threads / 4]; // of the query
shared float peaks[2][k_heads];

/// As seen_by() in seen.glsl, without what one token knows already.
Seen seen_alone(uint t) {
  if (!ALONE) return seen_by(t);
  Seen seen;
  seen.token.pos = seen.token.start = InInts(at(4)).v[0];
  seen.token.slot = InInts(at(5)).v[0];
  seen.token.first = seen.token.last = 0;
  const uint most = number(3);
  float end = float(most);
  seen.oldest = max(seen.token.pos + 1 - int(number(4)), 0);
  seen.raw = seen.count = uint(seen.token.pos + 1 - seen.oldest);
  if (!has(2)) return seen;
  const uint visible = min(uint(seen.token.pos + 1) / number(5), number(2));
  seen.count += visible;
  if (!has(3)) return seen;
  for (uint i0 = THREAD; i0 < most; i0 += 2u * k_threads) {
    const uint i1 = min(i0 + k_threads, most - 1u);
    const int a = InInts(at(3)).v[i0], b = InInts(at(3)).v[i1];
    if (b < 0 || uint(b) >= visible) end = min(end, float(i1));
    if (a < 0 || uint(a) >= visible) end = min(end, float(i0));
  }
  seen.count = seen.raw + uint(-group_max(-end));
  return seen;
}

/// Where row i of those that are seen lies, and whether it is in float32.
uint64_t source_of(Seen seen, uint t, uint i, out bool full) {
  const uint64_t n = number(0);
  if (i >= seen.raw) {
    uint c = i - seen.raw;
    if (has(3)) c = uint(InInts(floats(at(3), uint64_t(t) * number(3))).v[c]);
    full = !HALF_CACHE;
    return at(2) + (uint64_t(seen.token.slot) * number(2) + c) * n * (HALF_CACHE ? 2UL : 4UL);
  }
  const int p = seen.oldest + int(i);
  full = p >= seen.token.start || !HALF_WINDOW;
  if (p >= seen.token.start) return floats(at(0), uint64_t(seen.token.first + p - seen.token.start) * n);
  const int ring = int(number(1));
  return at(1) + uint64_t(seen.token.slot * ring + p % ring) * n * (HALF_WINDOW ? 2UL : 4UL);
}

uint packed(float a, float b) { return float_to_half(a) | float_to_half(b) << 16; }

/// The rows, all loads on their way at once; what is no half is brought by itself.
void bring_packed(uint eights) {
  const uint line = THREAD / (k_threads / k_lines), e = THREAD % (k_threads / k_lines);
  uvec4 held[TILE / k_lines];
  [[unroll]] for (uint u = 0; u < TILE / k_lines; ++u) {
    const uint r = u * k_lines + line;
    const bool plain = sources[r] != 0UL && !in_float[r] && e < eights;
    held[u] = InWords4(plain ? sources[r] + e * 16u : at(6)).v; // there is always a query
  }
  if (e >= eights) return;
  [[unroll]] for (uint u = 0; u < TILE / k_lines; ++u) {
    const uint r = u * k_lines + line;
    tile[r * STRIDE / 4u + e] = sources[r] != 0UL ? held[u] : uvec4(0u);
  }
  for (uint r = line; r < TILE; r += k_lines)
    if (in_float[r]) {
      const vec4 a = InVec4(floats(sources[r], 8u * e)).v, b = InVec4(floats(sources[r], 8u * e + 4u)).v;
      tile[r * STRIDE / 4u + e] =
          uvec4(packed(a.x, a.y), packed(a.z, a.w), packed(b.x, b.y), packed(b.z, b.w));
    }
}
void bring_plain(uint fours) {
  const uint n = number(0);
  for (uint i = THREAD; i < TILE * fours; i += k_threads) {
    const uint r = i / fours, f = i % fours;
    vec4 four = vec4(0.0);
    if (sources[r] != 0UL)
      [[unroll]] for (uint e = 0; e < 4u; ++e)
        if (4u * f + e < n) four[e] = state_at(!in_float[r], sources[r], 0UL, n, 4u * f + e);
    tile[r * STRIDE / 4u + f] = floatBitsToUint(four);
  }
}

/// The pair of elements i of row r.
vec2 pair_of(uint r, uint i) {
  const uint word = r * STRIDE + (PACKED ? i : 2u * i);
  if (PACKED) return unpackHalf2x16(tile[word / 4u][word % 4u]);
  return uintBitsToFloat(uvec2(tile[word / 4u][word % 4u], tile[word / 4u][word % 4u + 1u]));
}

/// A thread's part of the queries, and what it needs to turn them.
struct Part {
  vec4 v[2];
  uint64_t turns[4];
};
Part load_query(uint t, uint first_head, uint mine) {
  const uint n = number(0), heads = number(6), pairs = number(8) & 0xffffu, first = n / 2u - pairs;
  const uint h = min(THREAD / k_of_head, mine - 1u), lane = THREAD % k_of_head;
  const uint64_t q = floats(at(6), (uint64_t(t) * heads + first_head + h) * n);
  const uint64_t frequencies = ROPE ? more_at(12) : 0UL;
  Part part;
  [[unroll]] for (uint u = 0; u < 2u; ++u) {
    const uint f = lane + u * k_of_head;
    part.v[u] = vec4(0.0);
    if ((n & 3u) == 0u) {
      if (4u * f < n) part.v[u] = InVec4(floats(q, 4u * f)).v;
    } else {
      [[unroll]] for (uint i = 0; i < 4u; ++i)
        if (4u * f + i < n) part.v[u][i] = InFloats(q).v[4u * f + i];
    }
    if (ROPE)
      [[unroll]] for (uint i = 0; i < 2u; ++i)
        part.turns[2u * u + i] =
            2u * f + i >= first && 4u * f + 2u * i < n ? InLongs(frequencies).v[2u * f + i - first] : 0UL;
  }
  return part;
}

/// Normalised, turned and scaled. Turns by nothing where there is nothing to turn.
void bring_query(Part part, int pos) {
  const uint n = number(0), h = THREAD / k_of_head, lane = THREAD % k_of_head;
  if (NORM) {
    squares[THREAD / 4u][THREAD % 4u] = dot(part.v[0], part.v[0]) + dot(part.v[1], part.v[1]);
    barrier();
    vec4 all = vec4(0.0);
    [[unroll]] for (uint i = 0; i < k_of_head / 4u; ++i) all += squares[h * (k_of_head / 4u) + i];
    const float scale = 1.0 / sqrt(((all.x + all.y) + (all.z + all.w)) / float(n) + real(10));
    part.v[0] *= scale;
    part.v[1] *= scale;
    const uint64_t gain = more_at(11);
    if (gain != 0UL)
      [[unroll]] for (uint u = 0; u < 2u; ++u)
        [[unroll]] for (uint i = 0; i < 4u; ++i)
          if (4u * (lane + u * k_of_head) + i < n) part.v[u][i] *= InFloats(gain).v[4u * (lane + u * k_of_head) + i];
  }
  const uint64_t position = ROPE ? uint64_t(uint(max(pos + bitfieldExtract(int(number(9)), 0, 16), 0))) : 0UL;
  [[unroll]] for (uint u = 0; u < 2u; ++u) {
    if (ROPE && (part.turns[2u * u] | part.turns[2u * u + 1u]) != 0UL) {
      const vec2 a = cos_sin(position * part.turns[2u * u]), b = cos_sin(position * part.turns[2u * u + 1u]);
      const vec4 v = part.v[u];
      part.v[u] = vec4(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.z * b.x - v.w * b.y, v.z * b.y + v.w * b.x);
    }
    queries[h][lane + u * k_of_head] = part.v[u] * real(7);
  }
}

void write_window(uint t) {
  const int ring = int(number(1));
  const uint n = number(0);
  const Token token = token_of(at(4), at(5), t);
  if (token.last - int(t) >= ring) return;
  InFloats k = InFloats(floats(at(0), uint64_t(t) * n));
  for (uint i = THREAD; i < n; i += k_threads)
    put_state(HALF_WINDOW, at(1), uint64_t(token.slot * ring + token.pos % ring), n, i, k.v[i]);
}

/// Scores of a tile: a thread has a row, a head and some of the columns.
void score_tile(uint eights, uint here) {
  const uint r = THREAD % TILE, h = THREAD / TILE % k_heads, split = THREAD / (TILE * k_heads);
  const uint span = (eights + k_splits - 1u) / k_splits, end = min((split + 1u) * span, eights);
  vec2 sum = vec2(0.0);
  for (uint e0 = split * span; e0 < end; e0 += 4u)
    [[unroll]] for (uint u = 0; u < 4u; ++u) {
      const uint e = e0 + u;
      if (e >= end) continue;
      vec4 low, high;
      if (PACKED) {
        const uvec4 words = tile[r * STRIDE / 4u + e];
        low = vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
        high = vec4(unpackHalf2x16(words.z), unpackHalf2x16(words.w));
      } else {
        low = uintBitsToFloat(tile[r * STRIDE / 4u + 2u * e]);
        high = uintBitsToFloat(tile[r * STRIDE / 4u + 2u * e + 1u]);
      }
      sum += vec2(dot(low, queries[h][2u * e]), dot(high, queries[h][2u * e + 1u]));
    }
  dots[split][h][r] = sum.x + sum.y;
  barrier();
  if (split != 0u) return;
  float score = 0.0;
  [[unroll]] for (uint s = 0; s < k_splits; ++s) score += dots[s][h][r];
  scores[h][r / 4u][r % 4u] = r < here ? score : -INFINITE;
}

/// The parts of these heads, and the sink, become one.
void merge(uint t, uint first_head, uint mine, uint parts, uint64_t sums, uint64_t sinks, uint64_t o, uint64_t turns,
           int pos) {
  const uint n = number(0), heads = number(6), thread = THREAD;
  for (uint i = thread; i < parts * k_heads; i += k_threads) {
    SharedFloats end = SharedFloats(floats(sums, (i / k_heads * (n + 2u) + n) * k_heads + i % k_heads));
    weights[i / k_heads][i % k_heads] = end.v[0];
    totals[i / k_heads][i % k_heads] = end.v[k_heads];
  }
  barrier();
  if (thread < k_heads) {
    const float sink = InFloats(sinks).v[first_head + min(thread, mine - 1u)];
    float most = sink;
    for (uint p = 0; p < parts; ++p) most = max(most, weights[p][thread]);
    float all = exp(sink - most);
    for (uint p = 0; p < parts; ++p) {
      weights[p][thread] = exp(weights[p][thread] - most);
      all += totals[p][thread] * weights[p][thread];
    }
    peaks[0][thread] = 1.0 / all;
  }
  barrier();
  if (2u * thread >= n) return;
  const bool both = 2u * thread + 1u < n;
  vec2 mixed[k_heads];
  [[unroll]] for (uint g = 0; g < k_heads; ++g) mixed[g] = vec2(0.0);
  for (uint p0 = 0; p0 < parts; p0 += 4u) {
    vec2 held[4 * k_heads];
    [[unroll]] for (uint u = 0; u < 4u; ++u)
      [[unroll]] for (uint g = 0; g < k_heads; ++g) {
        const uint64_t from = floats(sums, min(p0 + u, parts - 1u) * (n + 2u) * k_heads + g * n + 2u * thread);
        if (both && (n & 1u) == 0u)
          held[u * k_heads + g] = SharedVec2(from).v;
        else
          held[u * k_heads + g] = vec2(SharedFloats(from).v[0], both ? SharedFloats(from).v[1] : 0.0);
      }
    [[unroll]] for (uint u = 0; u < 4u; ++u)
      if (p0 + u < parts)
        [[unroll]] for (uint g = 0; g < k_heads; ++g) mixed[g] += weights[p0 + u][g] * held[u * k_heads + g];
  }
  const uint64_t position = uint64_t(uint(max(pos + bitfieldExtract(int(number(9)), 16, 16), 0)));
  const vec2 cs = cos_sin(position * turns); // no turn where there is none
  const float cosine = cs.x, sine = INVERSE ? -cs.y : cs.y;
  [[unroll]] for (uint g = 0; g < k_heads; ++g) {
    if (g >= mine) break;
    const vec2 m = mixed[g] * peaks[0][g], two = BACK ? vec2(m.x * cosine - m.y * sine, m.x * sine + m.y * cosine) : m;
    Floats to = Floats(floats(o, (uint64_t(t) * heads + first_head + g) * n + 2u * thread));
    to.v[0] = two.x;
    if (both) to.v[1] = two.y;
  }
}

// at: as seen.glsl has them, then q[T,H,D], sums[T,H/4,parts,D+2,4], sinks[H], o[T,H,D], counters[T,H/4] and one more,
// gain[D] or none, frequencies of the query, frequencies of the result. n: as seen.glsl has them, then H, scale, pairs of
// the query and of the result in 16 bits each, shifts likewise, eps.
void main() {
  const uint n = number(0), heads = number(6), t = gl_WorkGroupID.z, part = gl_WorkGroupID.y, thread = THREAD;
  const uint group = gl_WorkGroupID.x, groups = gl_NumWorkGroups.x - (ALONE ? 1u : 0u), first_head = group * k_heads;
  if (group == groups) { // one token: nobody reads what it overwrites
    if (part == 0) write_window(t);
    return;
  }
  const uint mine = min(k_heads, heads - first_head), eights = (n + 7u) / 8u;
  const uint64_t sinks = more_at(8), o = more_at(9), counters = more_at(10);
  const Part part_of_query = load_query(t, first_head, mine);
  const uint turns_from = n / 2u - (number(8) >> 16); // of the result
  uint64_t turns = 0UL;
  if (BACK && thread >= turns_from && 2u * thread < n) turns = InLongs(more_at(13)).v[thread - turns_from];
  const Seen seen = seen_alone(t);
  const uint each = (seen.count + gl_NumWorkGroups.y - 1u) / gl_NumWorkGroups.y;
  const uint parts = (seen.count + each - 1u) / each, begin = part * each, end = min(begin + each, seen.count);
  if (part >= parts) return;

  bring_query(part_of_query, seen.token.pos);
  if (thread < k_heads) peaks[0][thread] = -INFINITE;
  uint now = 0;
  vec4 mixed[2], sum = vec4(0.0); // of a pair of columns, for all heads; sum of weights
  mixed[0] = mixed[1] = vec4(0.0);
  for (uint at_row = begin; at_row < end; at_row += TILE) {
    const uint here = min(TILE, end - at_row);
    barrier();
    if (thread < TILE) {
      bool full = false;
      sources[thread] = thread < here ? source_of(seen, t, at_row + thread, full) : 0UL;
      in_float[thread] = full;
    }
    barrier();
    if (PACKED)
      bring_packed(eights);
    else
      bring_plain(2u * eights);
    barrier();
    score_tile(eights, here);
    barrier();
    const uint r = thread % TILE, h = thread / TILE;
    if (h < k_heads) {
      vec4 four = scores[h][0];
      [[unroll]] for (uint i = 1; i < TILE / 4u; ++i) four = max(four, scores[h][i]);
      const float most = max(peaks[now][h], max(max(four.x, four.y), max(four.z, four.w)));
      weights[r][h] = r < here ? exp(scores[h][r / 4u][r % 4u] - most) : 0.0;
      if (r == 0u) peaks[now ^ 1u][h] = most;
    }
    barrier();
    vec4 shrink;
    [[unroll]] for (uint g = 0; g < k_heads; ++g) shrink[g] = exp(peaks[now][g] - peaks[now ^ 1u][g]);
    now ^= 1u;
    mixed[0] *= shrink;
    mixed[1] *= shrink;
    sum *= shrink;
    if (2u * thread < n)
      for (uint i0 = 0; i0 < here; i0 += 4u) // weights behind `here` are zero
        [[unroll]] for (uint i = i0; i < i0 + 4u; ++i) {
          const vec2 two = pair_of(i, thread);
          mixed[0] += weights[i] * two.x;
          mixed[1] += weights[i] * two.y;
          sum += weights[i];
        }
  }

  const uint64_t slot = uint64_t(t) * groups + group;
  const uint64_t sums = floats(at(7), slot * gl_NumWorkGroups.y * k_heads * (n + 2u));
  SharedFloats mine_of = SharedFloats(floats(sums, part * k_heads * (n + 2u)));
  if (2u * thread < n)
    [[unroll]] for (uint g = 0; g < k_heads; ++g) {
      mine_of.v[g * n + 2u * thread] = mixed[0][g];
      if (2u * thread + 1u < n) mine_of.v[g * n + 2u * thread + 1u] = mixed[1][g];
    }
  if (thread == 0)
    [[unroll]] for (uint g = 0; g < k_heads; ++g) {
      mine_of.v[k_heads * n + g] = peaks[now][g];
      mine_of.v[k_heads * (n + 1u) + g] = sum[g];
    }
  if (!last_of(counters + slot * 4UL, parts)) return;
  merge(t, first_head, mine, parts, sums, sinks, o, turns, seen.token.pos);
  // All have read the windows when all heads of all tokens are done.
  if (ALONE || !last_of(counters + uint64_t(gl_NumWorkGroups.z) * groups * 4UL, gl_NumWorkGroups.z * groups)) return;
  for (uint i = 0; i < gl_NumWorkGroups.z; ++i) write_window(i);
}
