// A window of tokens becomes one row: a workgroup has one token and does something where a window ends. Rows of this step
// come from the batch, older ones from the carry.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "rows.glsl"
#include "states.glsl"
#include "carry.glsl"

layout(constant_id = 1) const bool OVERLAP = false; // the window before takes part, too
layout(constant_id = 2) const bool FULL = false;    // normalised, turned, rounded and cached; else the bare row
layout(constant_id = 3) const bool KV8 = false;
layout(constant_id = 4) const bool IDX4 = false;
layout(constant_id = 5) const bool HALF = false;
layout(constant_id = 6) const bool HALF_CACHE = false;
layout(constant_id = 7) const bool ALONE = false; // there is one token: it also does what carry_write.comp does
layout(constant_id = 8) const uint APE = 0;          // format of the ape: 0 f32, 1 f16, else bf16

// at: kv, gate, ape, carry, pos, seq, cache or rows, weight of the norm, frequencies.
void main() {
  const int ratio = int(number(0));
  const uint w = number(2), n = number(3), t = gl_WorkGroupID.x;
  const Token token = token_of(at(4), at(5), t);
  const bool ends = (token.pos + 1) % ratio == 0;
  if (ALONE && !ends) write_carry(APE, t, token);
  if (!ends) {
    if (!FULL) FOR_ROW(i, n) Floats(floats(at(6), uint64_t(t) * n)).v[i] = 0.0;
    return;
  }
  const int begin = token.pos + 1 - ratio, from = OVERLAP ? max(begin - ratio, 0) : begin;
  const uint64_t kv = at(0), gate = at(1), ape = at(2), carry = at(3);
  FOR_ROW(i, n) {
    float most = -INFINITE, sum = 0.0, mixed = 0.0;
    for (int p = from; p <= token.pos; ++p) {
      const uint j = OVERLAP && p >= begin ? n + i : i;
      float value, score;
      if (p >= token.start) {
        const uint64_t row = uint64_t(token.first + p - token.start);
        value = InFloats(floats(kv, row * w)).v[j];
        score = InFloats(floats(gate, row * w)).v[j] + ape_at(APE, ape, uint(p % ratio) * w + j);
      } else {
        const uint64_t row = carry_row(token.slot, p);
        value = InFloats(floats(carry, row * w)).v[j];
        score = InFloats(floats(carry, (row + 1UL) * w)).v[j];
      }
      const float peak = max(most, score), before = exp(most - peak), now = exp(score - peak);
      sum = sum * before + now;
      mixed = mixed * before + now * value;
      most = peak;
    }
    row_of_group[i] = mixed / sum;
  }
  barrier();
  if (ALONE) write_carry(APE, t, token);
  if (!FULL) {
    FOR_ROW(i, n) Floats(floats(at(6), uint64_t(t) * n)).v[i] = row_of_group[i];
    return;
  }
  const uint rows = number(4), pairs = number(5), kept = number(7), row = uint(token.pos / ratio);
  if (row >= rows) return;
  row_norm(n, real(6), at(7));
  row_rope(n, pairs, begin, at(8), false);
  if (KV8) row_kv8(n - kept);
  if (IDX4) row_idx4(n);
  if (HALF) row_f16(n);
  FOR_ROW(i, n) put_state(HALF_CACHE, at(6), uint64_t(uint(token.slot) * rows + row), n, i, row_of_group[i]);
}
