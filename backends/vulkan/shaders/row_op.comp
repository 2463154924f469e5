// Ops on single rows, one after another where several are wanted: norm, rotary positions, round trips.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "rows.glsl"

layout(constant_id = 1) const bool ROPE = false;
layout(constant_id = 2) const bool INVERSE = false;
layout(constant_id = 3) const bool KV8 = false;
layout(constant_id = 4) const bool IDX4 = false;
layout(constant_id = 5) const bool HALF = false;
layout(constant_id = 6) const bool NORM = false;

// at: x, y, pos, frequencies, weight of the norm.
void main() {
  const uint n = number(0), rows = count(1), per_token = number(2), pairs = number(3), kept = number(5);
  const int shift = int(number(4));
  const uint64_t x = at(0), y = at(1);
  for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
    InFloats from = InFloats(floats(x, uint64_t(row) * n));
    FOR_ROW(i, n) row_of_group[i] = from.v[i];
    barrier();
    if (NORM) row_norm(n, real(6), at(4));
    if (ROPE) row_rope(n, pairs, InInts(at(2)).v[row / per_token] + shift, at(3), INVERSE);
    if (KV8) row_kv8(n - kept);
    if (IDX4) row_idx4(n);
    if (HALF) row_f16(n);
    Floats to = Floats(floats(y, uint64_t(row) * n));
    FOR_ROW(i, n) to.v[i] = row_of_group[i];
    barrier();
  }
}
