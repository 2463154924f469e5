// silu(min(g,c))·clamp(u,-c,c)·w
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

// at: g[R,F], u[R,F], w[R] or none, out.
void main() {
  const uint n = count(0), width = number(1);
  InFloats g = InFloats(at(0)), u = InFloats(at(1));
  const uint64_t w = at(2);
  Floats y = Floats(at(3));
  for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * THREADS)
    y.v[i] = gated(g.v[i], u.v[i], real(2)) * (w != 0UL ? InFloats(w).v[i / width] : 1.0);
}
