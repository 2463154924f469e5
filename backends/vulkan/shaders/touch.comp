// Reads weights that launches of later levels will read, so that they come out of the device's cache then. Nothing is made
// of them.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

layout(constant_id = 1) const uint RANGES = 1;

const uint k_at_once = 4;

// at: RANGES ranges of whole 16 bytes, then a word that nobody reads. n: their sizes in units of 16 bytes.
void main() {
  const uint threads = gl_NumWorkGroups.x * THREADS;
  uvec4 all = uvec4(0u);
  [[unroll]] for (uint range = 0; range < RANGES; ++range) {
    const uint64_t from = at(range);
    const uint n = number(range);
    for (uint i0 = gl_GlobalInvocationID.x; i0 < n; i0 += k_at_once * threads)
      [[unroll]] for (uint u = 0; u < k_at_once; ++u)
        all ^= InWords4(from + uint64_t(min(i0 + u * threads, n - 1u)) * 16UL).v;
  }
  // No optimizer may know that this is never so.
  if (all == uvec4(0x9e3779b9u, 0x7f4a7c15u, 0xf39cc060u, 0x5cedc834u)) Floats(at(RANGES)).v[0] = 0.0;
}
