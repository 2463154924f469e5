// Small floating formats, bit-exact, and the block round trips built on them. One copy for host and backends.
// Sources: IEEE 754 binary16; OCP 8-bit floating point (E4M3FN); OCP MX v1.0 (E2M1, E8M0).
//
// Everything is inline and free of branches that a compiler could not turn into selects, so that loops vectorise. The
// rounding uses the default mode (nearest, ties to even) and survives reassociating compilers: no (a + c) - c.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace seacliff::numeric {

constexpr float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t magnitude = bits & 0x7fffu;
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  const std::uint32_t rebias = magnitude >= 0x7c00u ? 224u << 23 : 112u << 23; // infinity and NaN keep all-ones
  const std::uint32_t normal = (magnitude << 13) + rebias;
  return std::bit_cast<float>(sign | (magnitude < 0x400u ? subnormal : normal));
}

/// Nearest, ties to even; overflow gives infinity, a NaN stays a (quiet) NaN.
constexpr std::uint16_t f32_to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  // Adding 0.5 puts the last kept bit of a half subnormal at the last bit of the sum, which rounds there.
  const float shifted = std::bit_cast<float>(magnitude < 0x38800000u ? magnitude : 0u) + 0.5f;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u;
  const std::uint32_t normal = ((magnitude + 0xfffu + ((magnitude >> 13) & 1u)) >> 13) - (112u << 10);
  std::uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  if (magnitude >= 0x477ff000u) half = 0x7c00u;
  if (magnitude > 0x7f800000u) half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  return static_cast<std::uint16_t>(sign | half);
}

constexpr float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// Nearest, ties to even; a NaN stays a (quiet) NaN.
constexpr std::uint16_t f32_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<std::uint16_t>(nan ? (bits >> 16) | 0x40u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// 2^(bits-127); 0 gives the subnormal 2^-127; 255 gives NaN.
constexpr float e8m0_to_f32(std::uint8_t bits) {
  if (bits == 0) return std::bit_cast<float>(0x00400000u);
  return std::bit_cast<float>(bits == 255 ? 0x7fc00000u : std::uint32_t{bits} << 23);
}

/// OCP E4M3FN: bias 7, no infinity, magnitude code 0x7f is NaN.
constexpr float e4m3_to_f32(std::uint8_t bits) {
  const std::uint32_t magnitude = bits & 0x7fu;
  const std::uint32_t sign = (bits & 0x80u) << 24;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-9f);
  std::uint32_t value = magnitude < 8 ? subnormal : (magnitude << 20) + (120u << 23);
  if (magnitude == 0x7fu) value = 0x7fc00000u;
  return std::bit_cast<float>(sign | value);
}

/// {0, .5, 1, 1.5, 2, 3, 4, 6}, bit 3 is the sign; higher bits are ignored.
constexpr float e2m1_to_f32(std::uint8_t code) {
  const std::uint32_t magnitude = code & 7u;
  const std::uint32_t sign = (code & 8u) << 28;
  const std::uint32_t subnormal = magnitude != 0 ? 0x3f000000u : 0u;
  return std::bit_cast<float>(sign | (magnitude < 2 ? subnormal : (magnitude << 22) + (126u << 23)));
}

namespace detail {

/// Rounds to MANTISSA bits with steps of 2^-FRACTION below 2^(MANTISSA-FRACTION); saturates at `largest`.
template <int MANTISSA, int FRACTION> constexpr float round_small(float value, float largest) {
  constexpr int drop = 23 - MANTISSA;
  constexpr float first_normal = std::bit_cast<float>(static_cast<std::uint32_t>(127 + MANTISSA - FRACTION) << 23);
  constexpr float step = std::bit_cast<float>(static_cast<std::uint32_t>(127 - FRACTION) << 23);
  constexpr std::uint32_t anchor_bits = static_cast<std::uint32_t>(127 + 23 - FRACTION) << 23; // its last bit is a step
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const float absolute = std::bit_cast<float>(magnitude);
  const std::uint32_t keep = ~((1u << drop) - 1u);
  const std::uint32_t normal = (magnitude + ((1u << (drop - 1)) - 1u) + ((magnitude >> drop) & 1u)) & keep;
  const float near_zero = absolute < first_normal ? absolute : 0.0f;
  const std::uint32_t steps = std::bit_cast<std::uint32_t>(near_zero + std::bit_cast<float>(anchor_bits)) - anchor_bits;
  const float subnormal = static_cast<float>(static_cast<std::int32_t>(steps)) * step;
  float rounded = absolute < first_normal ? subnormal : std::bit_cast<float>(normal);
  if (absolute >= largest) rounded = largest;
  const std::uint32_t result = magnitude > 0x7f800000u ? magnitude : std::bit_cast<std::uint32_t>(rounded);
  return std::bit_cast<float>((bits & 0x80000000u) | result);
}

} // namespace detail

/// Nearest E4M3 value, ties to the even code, saturating at 448; NaN stays NaN.
constexpr float round_e4m3(float value) { return detail::round_small<3, 9>(value, 448.0f); }

/// Nearest of {0, .5, 1, 1.5, 2, 3, 4, 6} with sign, ties to the even code, saturating at 6; NaN stays NaN.
constexpr float round_e2m1(float value) { return detail::round_small<1, 1>(value, 6.0f); }

/// Four-bit code of `round_e2m1(value)`; not for NaN.
constexpr std::uint8_t f32_to_e2m1(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(round_e2m1(value));
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t small = magnitude != 0 ? 1u : 0u; // 0 or .5
  const std::uint32_t code = magnitude < 0x3f800000u ? small : (magnitude >> 22) - (126u << 1);
  return static_cast<std::uint8_t>((bits >> 28 & 8u) | code);
}

/// Smallest power of two that is not below `value`; for positive normal values up to 2^127.
constexpr float pow2_at_least(float value) {
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x7fffffu) & 0x7f800000u);
}

namespace detail {

inline float max_magnitude(const float* x, std::size_t n, float at_least) {
  float largest = at_least;
  for (std::size_t i = 0; i < n; ++i) {
    const float a = x[i] < 0.0f ? -x[i] : x[i];
    largest = a > largest ? a : largest;
  }
  return largest;
}

} // namespace detail

/// E4M3 round trip in place, blocks of 64 (`x.size()` is a multiple), scale 2^ceil(log2(max|x|/448)), max|x| at least
/// 1e-4.
inline void kv8_round_trip(std::span<float> x) {
  constexpr std::size_t block = 64;
  assert(x.size() % block == 0);
  for (std::size_t at = 0; at < x.size(); at += block) {
    float* v = x.data() + at;
    const float scale = pow2_at_least(detail::max_magnitude(v, block, 1e-4f) / 448.0f);
    for (std::size_t i = 0; i < block; ++i) v[i] = round_e4m3(v[i] / scale) * scale;
  }
}

/// E2M1 round trip in place, blocks of 32 (`x.size()` is a multiple), scale 2^ceil(log2(max|x|/6)), max|x| at least
/// 6·2^-126.
inline void e2m1_round_trip(std::span<float> x) {
  constexpr std::size_t block = 32;
  assert(x.size() % block == 0);
  for (std::size_t at = 0; at < x.size(); at += block) {
    float* v = x.data() + at;
    const float scale = pow2_at_least(detail::max_magnitude(v, block, 0x1.8p-124f) / 6.0f);
    for (std::size_t i = 0; i < block; ++i) v[i] = round_e2m1(v[i] / scale) * scale;
  }
}

/// Orthonormal Walsh-Hadamard transform in place, natural order; `x.size()` is a power of two. The scale 1/sqrt(n) is
/// applied last.
inline void walsh_hadamard(std::span<float> x) {
  const std::size_t n = x.size();
  assert(std::has_single_bit(n));
  for (std::size_t stride = 1; stride < n; stride *= 2)
    for (std::size_t base = 0; base < n; base += 2 * stride)
      for (std::size_t i = base; i < base + stride; ++i) {
        const float a = x[i], b = x[i + stride];
        x[i] = a + b;
        x[i + stride] = a - b;
      }
  // 1/sqrt(2^k): a power of two, times sqrt(1/2) when k is odd.
  const int k = std::countr_zero(n);
  const auto half = static_cast<std::uint32_t>(k / 2);
  const float scale = std::bit_cast<float>((127u - half) << 23) * (k % 2 != 0 ? 0.70710678118654752f : 1.0f);
  for (float& v : x) v *= scale;
}

/// Rotation, then the E2M1 round trip, in place on one vector (a power of two, at least 32 elements).
inline void idx4_round_trip(std::span<float> x) {
  walsh_hadamard(x);
  e2m1_round_trip(x);
}

} // namespace seacliff::numeric
