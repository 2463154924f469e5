// Products of 16 by 16 matrices by a group of 32 threads: on matrix units, or with PLAIN_MATRIX by loops, which compute the
// same on every device. Factors are float16 in `tiles`, which an including shader declares in pieces of eight; `at` and
// `stride`, from row to row, count such pieces. Sums are float32.
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#include "numeric.glsl"

/// To the nearest; drivers may cut conversions off.
uint half_pair(vec2 v) { return float_to_half(v.x) | float_to_half(v.y) << 16; }

#ifdef PLAIN_MATRIX
#define UNROLL [[dont_unroll]] // drivers that need this take long over long code

struct Sum {
  float v[8]; // half a row of each thread
};
struct Left {
  float v[16]; // the same row
};
struct Right {
  uint at, stride;
  bool rows; // k by n in memory, not n by k
};
#define SUM_PARTS 8
#define SUM_PART(sum, i) sum.v[i]
#define SUM_CLEAR(sum) UNROLL for (uint e = 0; e < 8u; ++e) sum.v[e] = 0.0
#define LEFT Left
#define RIGHT Right
#define LOAD_LEFT(m, from, step) m = plain_left(from, step)
#define LOAD_RIGHT(m, from, step) m = Right(from, step, false)
#define LOAD_RIGHT_ROWS(m, from, step) m = Right(from, step, true)
#define MULTIPLY_ADD(a, b, sum) plain_multiply_add(a, b, sum)
#define STORE_SUM(sum, to, step) plain_store(sum, to, step)
#define LOAD_SUM(sum, from, step) sum = plain_load(from, step)

float plain_half(uint at, uint i) {
  return unpackHalf2x16(tiles[at + i / 8u][i % 8u / 2u])[i % 2u];
}
Left plain_left(uint from, uint step) {
  Left m;
  [[unroll]] for (uint k = 0; k < 16u; ++k) m.v[k] = plain_half(from + gl_LocalInvocationID.x % 32u / 2u * step, k);
  return m;
}
void plain_multiply_add(Left a, Right b, inout Sum sum) {
  UNROLL for (uint e = 0; e < 8u; ++e) {
    const uint column = gl_LocalInvocationID.x % 2u * 8u + e;
    [[unroll]] for (uint k = 0; k < 16u; ++k) // Mesa's driver ends loops after 65535 turns, all of a shader together
      sum.v[e] += a.v[k] * (b.rows ? plain_half(b.at + k * b.stride, column) : plain_half(b.at + column * b.stride, k));
  }
}
void plain_store(Sum sum, uint to, uint step) {
  const uint lane = gl_LocalInvocationID.x % 32u;
  UNROLL for (uint i = 0; i < 2u; ++i) {
    const vec4 part = vec4(sum.v[4u * i], sum.v[4u * i + 1u], sum.v[4u * i + 2u], sum.v[4u * i + 3u]);
    tiles[to + lane / 2u * step + lane % 2u * 2u + i] = floatBitsToUint(part);
  }
}
Sum plain_load(uint from, uint step) {
  const uint lane = gl_LocalInvocationID.x % 32u;
  Sum sum;
  UNROLL for (uint e = 0; e < 8u; ++e)
    sum.v[e] = uintBitsToFloat(tiles[from + lane / 2u * step + lane % 2u * 2u + e / 4u][e % 4u]);
  return sum;
}

#else
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix : require

#define UNROLL [[unroll]]

#define Sum fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>
#define SUM_PARTS sum_parts()
#define SUM_PART(sum, i) sum[i]
#define SUM_CLEAR(sum) sum = fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>(0.0)
#define LEFT fcoopmatNV<16, gl_ScopeSubgroup, 16, 16>
#define RIGHT fcoopmatNV<16, gl_ScopeSubgroup, 16, 16>
#define LOAD_LEFT(m, from, step) coopMatLoadNV(m, tiles, from, step, false)
#define LOAD_RIGHT(m, from, step) coopMatLoadNV(m, tiles, from, step, true)       // n by k in memory
#define LOAD_RIGHT_ROWS(m, from, step) coopMatLoadNV(m, tiles, from, step, false) // k by n in memory
#define MULTIPLY_ADD(a, b, sum) sum = coopMatMulAddNV(a, b, sum)
#define STORE_SUM(sum, to, step) coopMatStoreNV(sum, tiles, to, step, false)
#define LOAD_SUM(sum, from, step) coopMatLoadNV(sum, tiles, from, step, false)

uint sum_parts() { return fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>(0.0).length(); }
#endif
