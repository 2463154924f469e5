// STATE tensors indexed by position, in f32 or f16, and the runs of a step's ragged batch.
#include "numeric.glsl"

float state_at(bool half_state, uint64_t base, uint64_t row, uint width, uint i) {
  return half_state ? half_to_float(uint(InHalves(base + row * width * 2UL).v[i]))
                    : InFloats(base + row * width * 4UL).v[i];
}
void put_state(bool half_state, uint64_t base, uint64_t row, uint width, uint i, float value) {
  if (half_state)
    Halves(base + row * width * 2UL).v[i] = uint16_t(float_to_half(value));
  else
    Floats(base + row * width * 4UL).v[i] = value;
}

/// Of token t: position, slot, first and last batch index of its run, position of the run's first token.
struct Token {
  int pos, slot, first, last, start;
};
Token token_of(uint64_t pos, uint64_t seq, uint t) {
  Token token;
  token.pos = InInts(pos).v[t];
  token.slot = InInts(seq).v[3 * t];
  token.first = InInts(seq).v[3 * t + 1];
  token.last = InInts(seq).v[3 * t + 2];
  token.start = InInts(pos).v[token.first];
  return token;
}
