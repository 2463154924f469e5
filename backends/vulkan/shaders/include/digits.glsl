// Activations in bytes: sixteen of them are a scale times whole numbers. One digit keeps seven bits of the largest, each
// further one seven more: three are as good as float32.
#include "bytes_dot.glsl"

layout(constant_id = 7) const uint DIGITS = 1; // 0: activations stay floats

const uint k_kept = DIGITS == 0 ? 1 : DIGITS, k_most_digits = 3;

struct Digits {
  uvec4 codes[k_most_digits];
  float scale;
};

/// The low bytes.
uint packed_bytes(uvec4 v) { return (v.x & 0xffu) | (v.y & 0xffu) << 8 | (v.z & 0xffu) << 16 | v.w << 24; }

Digits digits_of(Chunk x) {
  const vec4 most4 = max(max(abs(x.v[0]), abs(x.v[1])), max(abs(x.v[2]), abs(x.v[3])));
  const float most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  const float to_codes = most > 1e-30 ? 127.0 / most : 0.0; // less counts as zero: its inverse may not be a number
  Digits d;
  d.scale = most / 127.0;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    vec4 left = x.v[i] * to_codes;
    [[unroll]] for (uint digit = 0; digit < k_kept; ++digit) {
      precise const vec4 rounded = left + k_unit_one;
      d.codes[digit][i] = packed_bytes(floatBitsToUint(rounded));
      if (digit + 1 < k_kept) left = (left - (rounded - k_unit_one)) * 128.0;
    }
  }
  return d;
}

/// The number that sums of digits stand for, in units of the scale.
float joined(float sums[k_most_digits]) {
  float v = sums[0];
  if (DIGITS > 1) v += sums[1] * 0.0078125;
  if (DIGITS > 2) v += sums[2] * 0.00006103515625;
  return v;
}
