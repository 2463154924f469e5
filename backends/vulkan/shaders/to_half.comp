// Rows of activations as float16, filled up with zeros to whole 32; with PARTS 2 what the first such row leaves over is a
// second one. A thread has eight elements at a time.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "numeric.glsl"

layout(constant_id = 1) const bool ALIGNED = false; // K is a multiple of 8

layout(constant_id = 2) const uint PARTS = 1;

/// Bit by bit: drivers may cut off, and take what comes back for what was there.
uvec4 halves_of(vec4 a, vec4 b) {
  uvec4 pairs;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const vec2 two = i % 2 == 0 ? (i < 2 ? a.xy : b.xy) : (i < 2 ? a.zw : b.zw);
    pairs[i] = float_to_half(two.x) | float_to_half(two.y) << 16;
  }
  return pairs;
}
vec2 floats_of(uint pair) { return vec2(half_to_float(pair & 0xffffu), half_to_float(pair >> 16)); }

// at: x[R,K], out[R,PARTS,K rounded up].
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
    const uint64_t to = at(1) + uint64_t(i / pieces * PARTS * pieces + i % pieces) * 16UL;
    const uvec4 halves = halves_of(part[0], part[1]);
    Words4(to).v = halves;
    if (PARTS == 2) {
      const vec4 low = vec4(floats_of(halves.x), floats_of(halves.y));
      const vec4 high = vec4(floats_of(halves.z), floats_of(halves.w));
      Words4(to + uint64_t(pieces) * 16UL).v = halves_of(part[0] - low, part[1] - high);
    }
  }
}
