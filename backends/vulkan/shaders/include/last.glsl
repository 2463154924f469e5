// The last workgroup of several that have worked on one thing goes on with what all of them have written. What goes from
// one to the other passes through these: other views may hold what was there before.
layout(buffer_reference, scalar, buffer_reference_align = 4) coherent buffer SharedFloats { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) coherent buffer SharedVec2 { vec2 v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) coherent buffer SharedVec4 { vec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) coherent buffer Counter { uint n; };

shared bool is_last;

/// By the whole workgroup: whether it is the last of `all` that come to this counter, which is zero again then.
bool last_of(uint64_t counter, uint all) {
  memoryBarrierBuffer();
  barrier();
  if (THREAD == 0) {
    is_last = atomicAdd(Counter(counter).n, 1u) == all - 1u;
    if (is_last) Counter(counter).n = 0u;
  }
  barrier();
  memoryBarrierBuffer();
  return is_last;
}
