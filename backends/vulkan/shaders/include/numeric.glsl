// Small floating formats, bit for bit as <seacliff/sdk/numeric.hpp> has them, but for subnormal results of float32.
#ifndef SCF_NUMERIC
#define SCF_NUMERIC

float half_to_float(uint bits) {
  const uint magnitude = bits & 0x7fffu, sign = (bits & 0x8000u) << 16;
  const uint rebias = magnitude >= 0x7c00u ? 224u << 23 : 112u << 23;
  const uint normal = (magnitude << 13) + rebias;
  const uint subnormal = floatBitsToUint(float(magnitude) * 5.9604644775390625e-8);
  return uintBitsToFloat(sign | (magnitude < 0x400u ? subnormal : normal));
}

/// Nearest, ties to even; overflow gives infinity.
uint float_to_half(float value) {
  const uint bits = floatBitsToUint(value);
  const uint magnitude = bits & 0x7fffffffu, sign = (bits >> 16) & 0x8000u;
  uint half_bits;
  if (magnitude < 0x38800000u) { // below 2^-14: steps of 2^-24
    half_bits = uint(roundEven(uintBitsToFloat(magnitude) * 16777216.0));
  } else {
    half_bits = ((magnitude + 0xfffu + ((magnitude >> 13) & 1u)) >> 13) - (112u << 10);
  }
  if (magnitude >= 0x477ff000u) half_bits = 0x7c00u;
  if (magnitude > 0x7f800000u) half_bits = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  return sign | half_bits;
}

float brain_to_float(uint bits) { return uintBitsToFloat(bits << 16); }

/// Smallest power of two that is not below `value`; for positive normal values.
float pow2_at_least(float value) {
  return uintBitsToFloat((floatBitsToUint(value) + 0x7fffffu) & 0x7f800000u);
}

/// Rounds the significand to `kept` bits, ties to even.
float round_significand(float value, uint kept) {
  const uint drop = 23u - kept, bits = floatBitsToUint(value) & 0x7fffffffu;
  const uint rounded = (bits + ((1u << (drop - 1u)) - 1u) + ((bits >> drop) & 1u)) & ~((1u << drop) - 1u);
  return uintBitsToFloat(rounded);
}

/// Nearest E4M3 value, ties to the even code, saturating at 448; NaN stays NaN.
float round_e4m3(float value) {
  const float size = abs(value);
  float rounded = size < 0.015625 ? roundEven(size * 512.0) * 0.001953125 : round_significand(value, 3u);
  if (size >= 448.0) rounded = 448.0;
  return isnan(value) ? value : uintBitsToFloat(floatBitsToUint(rounded) | (floatBitsToUint(value) & 0x80000000u));
}

/// Nearest of {0, .5, 1, 1.5, 2, 3, 4, 6} with sign, ties to the even code, saturating at 6; NaN stays NaN.
float round_e2m1(float value) {
  const float size = abs(value);
  float rounded = size < 1.0 ? roundEven(size * 2.0) * 0.5 : round_significand(value, 1u);
  if (size >= 6.0) rounded = 6.0;
  return isnan(value) ? value : uintBitsToFloat(floatBitsToUint(rounded) | (floatBitsToUint(value) & 0x80000000u));
}

#endif
