// Baseline: GCC/Clang vector types only, no intrinsics. Every machine can run it, also other than x86.
#pragma once

#include "kernels/simd/vector_types.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

typedef float F __attribute__((vector_size(16)));
typedef std::int32_t FI __attribute__((vector_size(16))); // integers as wide as F
inline constexpr int k_lanes = 4;
inline constexpr int k_tile_tokens = 2; // tokens per register tile of 4 rows

SCF_INLINE F set1(float v) { return F{v, v, v, v}; }
SCF_INLINE F load(const float* p) {
  F v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
SCF_INLINE void store(float* p, F v) { __builtin_memcpy(p, &v, sizeof v); }
SCF_INLINE F fma(F a, F b, F c) { return a * b + c; }
SCF_INLINE F min(F a, F b) { return a < b ? a : b; } // NaN in either gives b
SCF_INLINE F max(F a, F b) { return a > b ? a : b; }
SCF_INLINE float sum(F v) { return (v[0] + v[2]) + (v[1] + v[3]); }
/// p[0..4) = the sums of a, b, c, d.
SCF_INLINE void store_sums(float* p, F a, F b, F c, F d) {
  p[0] = sum(a);
  p[1] = sum(b);
  p[2] = sum(c);
  p[3] = sum(d);
}
SCF_INLINE float top(F v) {
  const float a = v[0] < v[2] ? v[2] : v[0], b = v[1] < v[3] ? v[3] : v[1];
  return a < b ? b : a;
}
SCF_INLINE F round(F v) {
  for (int i = 0; i < k_lanes; ++i) v[i] = __builtin_rintf(v[i]);
  return v;
}
SCF_INLINE FI to_int(F v) { return __builtin_convertvector(v, FI); } // of whole numbers
SCF_INLINE F as_float(FI v) { return reinterpret_cast<F>(v); }
SCF_INLINE F pow2(F n) { return as_float((to_int(n) + 127) << 23); } // -126 <= n <= 127

SCF_INLINE float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16;
  const std::uint32_t exponent = (h >> 10) & 31u, fraction = h & 1023u;
  std::uint32_t bits = sign;
  float v;
  if (exponent == 31u) {
    bits |= 0x7f800000u | fraction << 13;
  } else if (exponent != 0u) {
    bits |= (exponent + 112u) << 23 | fraction << 13;
  } else { // subnormal: fraction * 2^-24, exact
    v = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0u ? -v : v;
  }
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
SCF_INLINE std::uint16_t float_to_half(float v) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &v, sizeof bits);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u); // rounds to 65536 or above
  if (magnitude < 0x38800000u) {                                                   // below 2^-14: subnormal
    float a;
    __builtin_memcpy(&a, &magnitude, sizeof a);
    return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(__builtin_rintf(a * 0x1p24f)));
  }
  const std::uint32_t odd = magnitude >> 13 & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}
SCF_INLINE F load_f16(const std::byte* p) {
  std::uint16_t h[k_lanes];
  __builtin_memcpy(h, p, sizeof h);
  F v;
  for (int i = 0; i < k_lanes; ++i) v[i] = half_to_float(h[i]);
  return v;
}
SCF_INLINE void store_f16(std::byte* p, F v) {
  std::uint16_t h[k_lanes];
  for (int i = 0; i < k_lanes; ++i) h[i] = float_to_half(v[i]);
  __builtin_memcpy(p, h, sizeof h);
}
SCF_INLINE F load_bf16(const std::byte* p) {
  std::uint16_t h[k_lanes];
  __builtin_memcpy(h, p, sizeof h);
  FI v;
  for (int i = 0; i < k_lanes; ++i) v[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(h[i]) << 16);
  return as_float(v);
}

SCF_INLINE F8 fma8(F8 a, F8 b, F8 c) { return a * b + c; }
SCF_INLINE F8 to_f8(I8 v) { return __builtin_convertvector(v, F8); }
/// Sums of the products of four neighbours: unsigned times signed, signed times signed.
template <class Code> SCF_INLINE I8 dot_codes(B w, B x) {
  typedef std::int16_t Words __attribute__((vector_size(64)));
  typedef Code Codes __attribute__((vector_size(32)));
  typedef std::int8_t Signed __attribute__((vector_size(32)));
  // Up to 255 * 127 fits; a sum of two would not.
  const Words products = __builtin_convertvector((Codes)w, Words) * __builtin_convertvector((Signed)x, Words);
  I8 r;
  for (int i = 0; i < 8; ++i)
    r[i] = (products[4 * i] + products[4 * i + 1]) + (products[4 * i + 2] + products[4 * i + 3]);
  return r;
}
SCF_INLINE I8 dot_u8(B u, B x) { return dot_codes<std::uint8_t>(u, x); }
struct Fix {};
SCF_INLINE Fix fix_for(B) { return {}; }
SCF_INLINE I8 dot_s8(B w, B x, Fix) { return dot_codes<std::int8_t>(w, x); }
/// table[v[i]] for v[i] < 16.
SCF_INLINE B lookup16(const std::int8_t* table, B v) {
  for (int i = 0; i < 32; ++i) v[i] = static_cast<std::uint8_t>(table[v[i]]);
  return v;
}

SCF_INLINE B join(H low, H high) {
  B v;
  for (int i = 0; i < 16; ++i) {
    v[i] = low[i];
    v[16 + i] = high[i];
  }
  return v;
}
/// Four entries of a table of 8 bytes each.
SCF_INLINE B pick4(const std::uint64_t* t, std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  const std::uint64_t words[4] = {t[a], t[b], t[c], t[d]};
  return load_b(words);
}
/// -v[i] where bit i is set.
SCF_INLINE B negate_where(std::uint32_t bits, B v) {
  for (int i = 0; i < 32; ++i)
    if ((bits >> i & 1u) != 0) v[i] = static_cast<std::uint8_t>(-v[i]);
  return v;
}
/// The 8 bytes of `v`, lowest first, as floats.
SCF_INLINE F8 u8_to_f8(std::uint64_t v) {
  F8 r;
  for (int i = 0; i < 8; ++i) r[i] = static_cast<float>(v >> 8 * i & 255u);
  return r;
}
SCF_INLINE F8 s8_to_f8(std::uint64_t v) {
  F8 r;
  for (int i = 0; i < 8; ++i) r[i] = static_cast<float>(static_cast<std::int8_t>(v >> 8 * i & 255u));
  return r;
}
/// k_lanes codes, rounded to nearest even; |v| <= 127.
SCF_INLINE void store_i8(std::byte* p, F v) {
  for (int i = 0; i < k_lanes; ++i) p[i] = static_cast<std::byte>(static_cast<std::int8_t>(__builtin_rintf(v[i])));
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
