// What every shader begins with: how a dispatch is told what to do, memory by address, sums over a workgroup.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;

layout(push_constant, scalar) uniform Push {
  uint64_t step;  // the block of this step
  uint64_t at[9]; // operands: an address, or with the top bit set where in the block the address stands
  uint n[12];
} push;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) restrict readonly buffer InFloats { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) restrict readonly buffer InVec4 { vec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Ints { int v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) restrict readonly buffer InInts { int v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) restrict readonly buffer InWords { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) restrict readonly buffer InWords2 { uvec2 v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) restrict readonly buffer InWords4 { uvec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Words4 { uvec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer OutVec4 { vec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer Halves { uint16_t v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 2) restrict readonly buffer InHalves { uint16_t v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 1) restrict readonly buffer InBytes { uint8_t v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) restrict readonly buffer InLongs { uint64_t v[]; };

#define THREADS gl_WorkGroupSize.x
#define THREAD gl_LocalInvocationID.x

#define INFINITE uintBitsToFloat(0x7f800000u)

/// Address of operand i; 0 when it is absent.
uint64_t at(uint i) {
  const uint64_t a = push.at[i];
  return (a >> 63) == 0 ? a : InLongs(push.step + (a & 0xffffffffUL)).v[0];
}
bool has(uint i) { return push.at[i] != 0UL; }
/// The same for operands from 8 on, where there are more than Push.at has room for.
uint64_t more_at(uint i) {
  const uint64_t a = InLongs(push.at[8]).v[i - 8u];
  return (a >> 63) == 0 ? a : InLongs(push.step + (a & 0xffffffffUL)).v[0];
}

/// Word i of the dispatch: a number that depends on the step, a plain one, a float.
uint count(uint i) {
  const uint n = push.n[i]; // with the top bit set the number itself, which this recording knows
  return (n & 0x80000000u) != 0u ? n & 0x7fffffffu : InWords(push.step + uint64_t(n)).v[0];
}
uint number(uint i) { return push.n[i]; }
float real(uint i) { return uintBitsToFloat(push.n[i]); }

uint64_t floats(uint64_t base, uint64_t index) { return base + index * 4UL; }

shared float group_parts[128];

/// Sum, or largest, over the workgroup; every thread of it calls.
float group_sum(float v) {
  v = subgroupAdd(v);
  if (gl_NumSubgroups == 1) return v;
  barrier();
  if (gl_SubgroupInvocationID == 0) group_parts[gl_SubgroupID] = v;
  barrier();
  float sum = 0.0;
  for (uint i = 0; i < gl_NumSubgroups; ++i) sum += group_parts[i];
  return sum;
}
float group_max(float v) {
  v = subgroupMax(v);
  if (gl_NumSubgroups == 1) return v;
  barrier();
  if (gl_SubgroupInvocationID == 0) group_parts[gl_SubgroupID] = v;
  barrier();
  float most = group_parts[0];
  for (uint i = 1; i < gl_NumSubgroups; ++i) most = max(most, group_parts[i]);
  return most;
}

float sigmoid(float x) { return 1.0 / (1.0 + exp(-x)); }
float silu(float x) { return x / (1.0 + exp(-x)); }

/// silu(min(g,c))·clamp(u,-c,c); c <= 1e-6: no clamp.
float gated(float g, float u, float c) {
  if (c > 1e-6) {
    g = min(g, c);
    u = clamp(u, -c, c);
  }
  return silu(g) * u;
}

/// log(1+e^x) for all x, without cancellation: e^-|x| is at most 1.
float softplus(float x) {
  const float e = exp(-abs(x));
  // log(1+e) by its series where 1+e would swallow e.
  const float tail = e < 1e-3 ? e * (1.0 - e * (0.5 - e * 0.3333333)) : log(1.0 + e);
  return max(x, 0.0) + tail;
}
