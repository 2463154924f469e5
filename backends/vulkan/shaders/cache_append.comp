// Rows of tokens that end a window go to the cache.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "states.glsl"

layout(constant_id = 1) const bool HALF_CACHE = false;

// at: rows, cache, pos, seq.
void main() {
  const int ratio = int(number(0));
  const uint n = number(1), rows = number(2), t = gl_WorkGroupID.x;
  const Token token = token_of(at(2), at(3), t);
  const uint row = uint(token.pos / ratio);
  if ((token.pos + 1) % ratio != 0 || row >= rows) return;
  InFloats from = InFloats(floats(at(0), uint64_t(t) * n));
  for (uint i = THREAD; i < n; i += THREADS)
    put_state(HALF_CACHE, at(1), uint64_t(uint(token.slot) * rows + row), n, i, from.v[i]);
}
