// The last rows of each run go to the window.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "states.glsl"

layout(constant_id = 1) const bool HALF_WINDOW = false;

// at: k, window, pos, seq.
void main() {
  const int ring = int(number(0));
  const uint n = number(1), t = gl_WorkGroupID.x;
  const Token token = token_of(at(2), at(3), t);
  if (token.last - int(t) >= ring) return;
  InFloats from = InFloats(floats(at(0), uint64_t(t) * n));
  for (uint i = THREAD; i < n; i += THREADS)
    put_state(HALF_WINDOW, at(1), uint64_t(token.slot * ring + token.pos % ring), n, i, from.v[i]);
}
