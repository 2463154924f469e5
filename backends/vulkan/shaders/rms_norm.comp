// (x·scale)·w, scale = 1/sqrt(mean(x²)+eps), for rows of any length.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: x, w, y.
void main() {
  const uint n = number(0), rows = count(1);
  const uint64_t x = at(0), w = at(1), y = at(2);
  for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
    InFloats from = InFloats(floats(x, uint64_t(row) * n));
    Floats to = Floats(floats(y, uint64_t(row) * n));
    float sum = 0.0;
    for (uint i = THREAD; i < n; i += THREADS) sum += from.v[i] * from.v[i];
    const float scale = 1.0 / sqrt(group_sum(sum) / float(n) + real(2));
    for (uint i = THREAD; i < n; i += THREADS) to.v[i] = from.v[i] * scale * (w != 0UL ? InFloats(w).v[i] : 1.0);
  }
}
