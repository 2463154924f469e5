// Activations in bytes: sixteen of them are a scale times whole numbers. One digit keeps seven bits of the largest, each
// further one seven more: three are as good as float32.
#include "bytes_dot.glsl"

layout(constant_id = 7) const uint DIGITS = 1; // 0: activations stay floats

const uint k_kept = DIGITS == 0 ? 1 : DIGITS, k_most_digits = 3;

struct Digits {
  uvec4 codes[k_most_digits];
  float scale;
};

uint packed_bytes(ivec4 v) {
  const uvec4 u = uvec4(v) & 0xffu;
  return u.x | u.y << 8 | u.z << 16 | u.w << 24;
}

Digits digits_of(Chunk x) {
  const vec4 most4 = max(max(abs(x.v[0]), abs(x.v[1])), max(abs(x.v[2]), abs(x.v[3])));
  const float most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  const float to_codes = most > 0.0 ? 127.0 / most : 0.0;
  Digits d;
  d.scale = most / 127.0;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    vec4 left = x.v[i] * to_codes;
    [[unroll]] for (uint digit = 0; digit < k_kept; ++digit) {
      const vec4 whole = roundEven(left);
      d.codes[digit][i] = packed_bytes(ivec4(whole));
      left = (left - whole) * 128.0;
    }
  }
  return d;
}

/// The number that sums of digits stand for, in units of the scale.
float joined(int sums[k_most_digits]) {
  float v = float(sums[0]);
  if (DIGITS > 1) v += float(sums[1]) * 0.0078125;
  if (DIGITS > 2) v += float(sums[2]) * 0.00006103515625;
  return v;
}
