// Rows of activations as float16, filled up with zeros to whole 32. A thread has eight elements at a time.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "base.glsl"

layout(constant_id = 1) const bool ALIGNED = false; // K is a multiple of 8

// at: x[R,K], out[R,K rounded up].
void main() {
  const uint rows = count(0), k = number(1), pieces = (k + 31u) / 32u * 4u;
  const float most = 65504.0; // what is larger stays finite
  for (uint i = gl_GlobalInvocationID.x; i < rows * pieces; i += gl_NumWorkGroups.x * THREADS) {
    const uint column = i % pieces * 8u;
    const uint64_t from = floats(at(0), uint64_t(i / pieces) * k + column);
    vec4 part[2];
    [[unroll]] for (uint h = 0; h < 2; ++h) {
      if (ALIGNED)
        part[h] = column < k ? InVec4(from + uint64_t(16u * h)).v : vec4(0.0);
      else
        [[unroll]] for (uint c = 0; c < 4; ++c)
          part[h][c] = column + 4u * h + c < k ? InFloats(from).v[4u * h + c] : 0.0;
      part[h] = clamp(part[h], -most, most);
    }
    uvec4 halves;
    [[unroll]] for (uint c = 0; c < 4; ++c)
      halves[c] = packFloat2x16(f16vec2(part[c / 2][2 * (c % 2)], part[c / 2][2 * (c % 2) + 1]));
    Words4(at(1) + uint64_t(i) * 16UL).v = halves;
  }
}
