// Whole sixteens of bytes from one buffer of the device to another: drivers' own copies are made for less memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

const uint k_at_once = 4;

// at: from, to. n: how many sixteens.
void main() {
  const uint n = number(0), threads = gl_NumWorkGroups.x * THREADS;
  const uint64_t from = at(0), to = at(1);
  for (uint i0 = gl_GlobalInvocationID.x; i0 < n; i0 += k_at_once * threads) {
    uvec4 held[k_at_once];
    [[unroll]] for (uint u = 0; u < k_at_once; ++u)
      held[u] = InWords4(from + uint64_t(min(i0 + u * threads, n - 1u)) * 16UL).v;
    [[unroll]] for (uint u = 0; u < k_at_once; ++u)
      if (i0 + u * threads < n) Words4(to + uint64_t(i0 + u * threads) * 16UL).v = held[u];
  }
}
