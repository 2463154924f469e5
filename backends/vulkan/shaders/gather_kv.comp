// The rows that a token sees, side by side, zeros behind them, and how many they are.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "seen.glsl"

// at: as seen.glsl has them, then rows[T,N,D], count[T].
void main() {
  const uint t = gl_WorkGroupID.x, n = number(0), most = number(6);
  const Seen seen = seen_by(t);
  Floats rows = Floats(floats(at(6), uint64_t(t) * most * n));
  for (uint i = THREAD; i < most * n; i += THREADS)
    rows.v[i] = i / n < seen.count ? seen_element(seen, t, i / n, i % n) : 0.0;
  if (THREAD == 0) Ints(at(7)).v[t] = int(seen.count);
}
