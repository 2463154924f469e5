// The rows that one token attends to: raw ones old to new, then compressed ones, all that are visible or those of a list.
#include "states.glsl"

/// Operands, by their number in Push.at, and sizes, by theirs in Push.n, are the same in all shaders that include this:
/// at: 0 k, 1 window, 2 cache, 3 sel, 4 pos, 5 seq; n: 0 D, 1 R, 2 M, 3 S, 4 window, 5 ratio.
layout(constant_id = 1) const bool HALF_WINDOW = false;
layout(constant_id = 2) const bool HALF_CACHE = false;

struct Seen {
  Token token;
  int oldest;
  uint raw, count;
};

/// By the whole workgroup.
Seen seen_by(uint t) {
  Seen seen;
  seen.token = token_of(at(4), at(5), t);
  seen.oldest = max(seen.token.pos + 1 - int(number(4)), 0);
  seen.raw = uint(seen.token.pos + 1 - seen.oldest);
  seen.count = seen.raw;
  if (!has(2)) return seen;
  const uint visible = min(uint(seen.token.pos + 1) / number(5), number(2));
  if (!has(3)) {
    seen.count += visible;
    return seen;
  }
  const uint most = number(3);
  InInts sel = InInts(floats(at(3), uint64_t(t) * most));
  float end = float(most); // the first entry that is none ends the list
  for (uint i = THREAD; i < most; i += THREADS)
    if (sel.v[i] < 0 || uint(sel.v[i]) >= visible) end = min(end, float(i));
  seen.count += uint(-group_max(-end));
  return seen;
}

/// Element j of row i < count.
float seen_element(Seen seen, uint t, uint i, uint j) {
  const uint n = number(0);
  if (i >= seen.raw) {
    uint c = i - seen.raw;
    if (has(3)) c = uint(InInts(floats(at(3), uint64_t(t) * number(3))).v[c]);
    return state_at(HALF_CACHE, at(2), uint64_t(uint(seen.token.slot) * number(2) + c), n, j);
  }
  const int p = seen.oldest + int(i);
  if (p >= seen.token.start) return InFloats(floats(at(0), uint64_t(seen.token.first + p - seen.token.start) * n)).v[j];
  const int ring = int(number(1));
  return state_at(HALF_WINDOW, at(1), uint64_t(seen.token.slot * ring + p % ring), n, j);
}
