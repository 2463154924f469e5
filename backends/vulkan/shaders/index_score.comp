// How much a token wants to see each compressed row: sum over heads of max(0, key·iq_h)·w_h·scale. A thread has one row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "states.glsl"

layout(constant_id = 1) const bool HALF_CACHE = false;
layout(constant_id = 2) const uint WIDTH = 4; // of a row
layout(constant_id = 3) const bool SELECTS = false; // who sees no more than `enough` rows takes them all

// at: iq[T,I,D], w[T,I], cache, pos, seq, scores[T,M].
void main() {
  const uint heads = number(0), rows = number(1), ratio = number(2), enough = number(4);
  const float scale = real(3);
  const uint t = gl_WorkGroupID.y, c = gl_WorkGroupID.x * THREADS + THREAD;
  if (c >= rows) return;
  const uint visible = min(uint(InInts(at(3)).v[t] + 1) / ratio, rows);
  if (SELECTS && visible <= enough) return;
  Floats scores = Floats(floats(at(5), uint64_t(t) * rows));
  if (c >= visible) {
    scores.v[c] = -INFINITE;
    return;
  }
  const uint64_t cache = at(2), row = uint64_t(uint(InInts(at(4)).v[3 * t])) * rows + c;
  const uint fours = (WIDTH + 3u) / 4u;
  const bool whole = WIDTH % 4u == 0u; // then rows of iq are aligned, too
  vec4 key[fours];
  [[unroll]] for (uint i = 0; i < 4u * fours; ++i)
    key[i / 4u][i % 4u] = i < WIDTH ? state_at(HALF_CACHE, cache, row, WIDTH, i) : 0.0;
  InFloats w = InFloats(floats(at(1), uint64_t(t) * heads));
  const uint64_t iq = floats(at(0), uint64_t(t) * heads * WIDTH);
  float sum = 0.0;
  for (uint h = 0; h < heads; ++h) {
    float d = 0.0;
    const uint64_t query = floats(iq, h * WIDTH);
    if (whole)
      [[unroll]] for (uint i = 0; i < fours; ++i) d += dot(key[i], InVec4(floats(query, 4u * i)).v);
    else
      [[unroll]] for (uint i = 0; i < WIDTH; ++i) d += key[i / 4u][i % 4u] * InFloats(query).v[i];
    sum += max(d, 0.0) * w.v[h];
  }
  scores.v[c] = sum * scale;
}
