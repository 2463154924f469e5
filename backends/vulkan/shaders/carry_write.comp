// The last rows of each run go to the carry, for windows that end in a later step.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "states.glsl"

// at: kv, gate, ape in f32, carry, pos, seq.
void main() {
  const int ratio = int(number(0)), ring = int(number(1));
  const uint w = number(2), t = gl_WorkGroupID.x;
  const Token token = token_of(at(4), at(5), t);
  if (token.last - int(t) >= ring) return;
  const uint64_t row = uint64_t(token.slot * ring + token.pos % ring) * 2UL;
  InFloats kv = InFloats(floats(at(0), uint64_t(t) * w)), gate = InFloats(floats(at(1), uint64_t(t) * w));
  InFloats ape = InFloats(floats(at(2), uint64_t(token.pos % ratio) * w));
  Floats value = Floats(floats(at(3), row * w)), score = Floats(floats(at(3), (row + 1UL) * w));
  for (uint i = THREAD; i < w; i += THREADS) {
    value.v[i] = kv.v[i];
    score.v[i] = gate.v[i] + ape.v[i];
  }
}
