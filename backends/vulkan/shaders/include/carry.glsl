// The carry: what windows that end in a later step need of this one.

/// Operands and sizes are the same in all shaders that include this: at: 0 kv, 1 gate, 2 ape, 3 carry, 4 pos, 5 seq; n:
/// 0 ratio, 1 rows of the carry, 2 width.
float ape_at(uint format, uint64_t base, uint i) {
  if (format == 0) return InFloats(base).v[i];
  const uint bits = uint(InHalves(base).v[i]);
  return format == 1 ? half_to_float(bits) : brain_to_float(bits);
}

uint64_t carry_row(int slot, int pos) { return uint64_t(slot * int(number(1)) + pos % int(number(1))) * 2UL; }

/// By the whole workgroup.
void write_carry(uint format, uint t, Token token) {
  const uint w = number(2);
  const uint64_t row = carry_row(token.slot, token.pos), ape = at(2);
  InFloats kv = InFloats(floats(at(0), uint64_t(t) * w)), gate = InFloats(floats(at(1), uint64_t(t) * w));
  Floats value = Floats(floats(at(3), row * w)), score = Floats(floats(at(3), (row + 1UL) * w));
  for (uint i = THREAD; i < w; i += THREADS) {
    value.v[i] = kv.v[i];
    score.v[i] = gate.v[i] + ape_at(format, ape, uint(token.pos % int(number(0))) * w + i);
  }
}
