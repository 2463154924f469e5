// Weights of every format, sixteen elements at a time. FORMAT is the number that GGUF has for it, plus k_planes when
// rows are in the layout of layouts.cpp: a constant when the pipeline is made, so that one of the branches stays. Block
// layouts: <seacliff/sdk/blocks.hpp>.
#include "numeric.glsl"

const uint k_f32 = 0, k_f16 = 1, k_q8_0 = 8, k_q2_k = 10, k_q3_k = 11, k_q4_k = 12, k_q5_k = 13, k_q6_k = 14,
           k_iq2_xxs = 16, k_i32 = 26, k_bf16 = 30, k_mxfp4 = 39;

// Rows in planes: all codes of a row, then what the blocks have besides.
const uint k_planes = 256, k_q8_0_planes = k_planes + k_q8_0, k_q2_k_planes = k_planes + k_q2_k,
           k_q4_k_planes = k_planes + k_q4_k, k_iq2_xxs_planes = k_planes + k_iq2_xxs,
           k_mxfp4_planes = k_planes + k_mxfp4;

/// Bytes of a row of k elements.
uint64_t row_bytes(uint format, uint k) {
  switch (format & ~k_planes) {
  case k_f16:
  case k_bf16: return uint64_t(k) * 2UL;
  case k_q8_0: return uint64_t(k / 32u) * 34UL;
  case k_q2_k: return uint64_t(k / 256u) * 84UL;
  case k_q3_k: return uint64_t(k / 256u) * 110UL;
  case k_q4_k: return uint64_t(k / 256u) * 144UL;
  case k_q5_k: return uint64_t(k / 256u) * 176UL;
  case k_q6_k: return uint64_t(k / 256u) * 210UL;
  case k_iq2_xxs: return uint64_t(k / 256u) * 66UL;
  case k_mxfp4: return uint64_t(k / 32u) * 17UL;
  default: return uint64_t(k) * 4UL;
  }
}

/// Sixteen consecutive elements.
struct Chunk {
  vec4 v[4];
};

uint half_at(uint64_t at, uint i) { return uint(InHalves(at).v[i]); }
uint byte_at(uint64_t at, uint i) { return uint(InBytes(at).v[i]); }
vec4 bytes_of(uint word) {
  return vec4(word & 0xffu, word >> 8 & 0xffu, word >> 16 & 0xffu, word >> 24);
}
vec4 signed_bytes_of(uint word) {
  return vec4(bitfieldExtract(int(word), 0, 8), bitfieldExtract(int(word), 8, 8), bitfieldExtract(int(word), 16, 8),
              bitfieldExtract(int(word), 24, 8));
}

/// Words that begin at any byte, out of aligned ones; no word is touched that has none of the bytes.
uint shifted(uint low, uint high, uint bits) { return low >> bits | high << 1 << (31u - bits); }
uvec2 two_words(uint64_t at) {
  const uint bits = 8u * uint(at & 3UL);
  InWords words = InWords(at & ~3UL);
  const uint a = words.v[0], b = words.v[1], c = words.v[bits == 0u ? 1 : 2];
  return uvec2(shifted(a, b, bits), shifted(b, c, bits));
}
uvec4 four_words(uint64_t at) {
  const uint bits = 8u * uint(at & 3UL);
  InWords words = InWords(at & ~3UL);
  const uint a = words.v[0], b = words.v[1], c = words.v[2], d = words.v[3], e = words.v[bits == 0u ? 3 : 4];
  return uvec4(shifted(a, b, bits), shifted(b, c, bits), shifted(c, d, bits), shifted(d, e, bits));
}

/// Four elements of f16 or bf16.
vec4 four_halves(uint format, uvec2 words) {
  if (format == k_f16) return vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
  return uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16, words.y & 0xffff0000u));
}

/// Elements of an unblocked format; those from `left` on are zero.
Chunk plain_chunk(uint format, uint64_t row, uint chunk, uint left) {
  Chunk c;
  [[unroll]] for (uint i = 0; i < 16; ++i) {
    const uint e = chunk * 16u + min(i, max(left, 1u) - 1u);
    float v;
    if (format == k_f32) {
      v = InFloats(row).v[e];
    } else {
      const uint bits = half_at(row, e);
      v = format == k_f16 ? half_to_float(bits) : brain_to_float(bits);
    }
    c.v[i / 4][i % 4] = i < left ? v : 0.0;
  }
  return c;
}

/// As plain_chunk for whole chunks of rows that begin at multiples of 16 bytes.
Chunk aligned_chunk(uint format, uint64_t row, uint chunk) {
  Chunk c;
  if (format == k_f32) {
    const uint64_t from = row + uint64_t(chunk) * 64UL;
    [[unroll]] for (uint i = 0; i < 4; ++i) c.v[i] = InVec4(from + uint64_t(i) * 16UL).v;
    return c;
  }
  const uint64_t from = row + uint64_t(chunk) * 32UL;
  [[unroll]] for (uint i = 0; i < 2; ++i) {
    const uvec4 words = InWords4(from + uint64_t(i) * 16UL).v;
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      const uint low = words[j] & 0xffffu, high = words[j] >> 16;
      const vec2 pair = format == k_f16 ? vec2(half_to_float(low), half_to_float(high))
                                        : vec2(brain_to_float(low), brain_to_float(high));
      c.v[2 * i + j / 2][2 * (j % 2)] = pair.x;
      c.v[2 * i + j / 2][2 * (j % 2) + 1] = pair.y;
    }
  }
  return c;
}

Chunk q8_0_values(uvec4 codes, float d) {
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i) c.v[i] = d * signed_bytes_of(codes[i]);
  return c;
}
Chunk q8_0_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 2u) * 34UL;
  return q8_0_values(four_words(block + 2UL + uint64_t(chunk % 2u) * 16UL), half_to_float(half_at(block, 0)));
}
Chunk q8_0_planes_chunk(uint64_t row, uint chunk, uint k) {
  const float d = half_to_float(half_at(row + uint64_t(k), chunk / 2u));
  return q8_0_values(InWords4(row + uint64_t(chunk) * 16UL).v, d);
}

/// `b`: which two bits of each code; `scales`: the byte of the sub-block; `dd`: d and dmin.
Chunk q2_k_values(uvec4 codes, uint b, uint scales, uint dd) {
  const float d = half_to_float(dd & 0xffffu) * float(scales & 15u), m = half_to_float(dd >> 16) * float(scales >> 4);
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i) c.v[i] = d * bytes_of(codes[i] >> 2u * b & 0x03030303u) - m;
  return c;
}
Chunk q2_k_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 16u) * 84UL;
  const uint s = chunk % 16u, a = s / 8u, b = s / 2u % 4u;
  InWords codes = InWords(block + 16UL + uint64_t(32u * a + 16u * (s % 2u)));
  return q2_k_values(uvec4(codes.v[0], codes.v[1], codes.v[2], codes.v[3]), b, byte_at(block, s),
                     InWords(block + 80UL).v[0]);
}
Chunk q2_k_planes_chunk(uint64_t row, uint chunk, uint k) {
  const uint block = chunk / 16u, s = chunk % 16u, b = s / 2u % 4u, part = 4u * block + 2u * (s / 8u) + s % 2u;
  const uint64_t scales = row + uint64_t(k / 4u), dd = scales + uint64_t(k / 16u);
  return q2_k_values(InWords4(row + uint64_t(part) * 16UL).v, b, byte_at(scales, 4u * part + b), InWords(dd).v[block]);
}

Chunk q3_k_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 16u) * 110UL;
  const uint s = chunk % 16u, a = s / 8u, b = s / 2u % 4u, half_block = s % 2u;
  const uint64_t scales = block + 96UL;
  const uint low = s < 8u ? byte_at(scales, s) & 15u : byte_at(scales, s - 8u) >> 4;
  const uint high = byte_at(scales, 8u + s % 4u) >> 2u * (s / 4u) & 3u;
  const float d = half_to_float(half_at(block + 108UL, 0)) * (float(low | high << 4) - 32.0);
  const uvec4 codes = four_words(block + 32UL + uint64_t(32u * a + 16u * half_block));
  const uvec4 mask = four_words(block + uint64_t(16u * half_block));
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint two = codes[i] >> 2u * b & 0x03030303u, set = mask[i] >> (4u * a + b) & 0x01010101u;
    c.v[i] = d * (bytes_of(two | set << 2) - 4.0); // a set bit takes nothing away, a clear one four
  }
  return c;
}

/// Six-bit scale and min of sub-block s of Q4_K and Q5_K; the twelve bytes begin at `at`.
uvec2 scale_min(uint64_t at, uint s) {
  if (s < 4u) return uvec2(byte_at(at, s) & 63u, byte_at(at, s + 4u) & 63u);
  return uvec2((byte_at(at, s + 4u) & 15u) | byte_at(at, s - 4u) >> 6 << 4,
               byte_at(at, s + 4u) >> 4 | byte_at(at, s) >> 6 << 4);
}

/// `head`: where d, dmin and the scales are, `codes_at` where the 128 bytes of codes begin.
Chunk q4_k_values(uint64_t head, uint64_t codes_at, uint i16) {
  const uint s = i16 / 2u, dd = InWords(head).v[0];
  const uvec2 sm = scale_min(head + 4UL, s);
  const float d = half_to_float(dd & 0xffffu) * float(sm.x), m = half_to_float(dd >> 16) * float(sm.y);
  const uvec4 codes = InWords4(codes_at + uint64_t(32u * (s / 2u) + 16u * (i16 % 2u))).v;
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i) c.v[i] = d * bytes_of(codes[i] >> 4u * (s % 2u) & 0x0f0f0f0fu) - m;
  return c;
}
Chunk q4_k_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 16u) * 144UL;
  return q4_k_values(block, block + 16UL, chunk % 16u);
}
Chunk q4_k_planes_chunk(uint64_t row, uint chunk, uint k) {
  const uint64_t block = uint64_t(chunk / 16u);
  return q4_k_values(row + uint64_t(k / 2u) + block * 16UL, row + block * 128UL, chunk % 16u);
}

Chunk q5_k_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 16u) * 176UL;
  const uint i16 = chunk % 16u, s = i16 / 2u;
  const uint dd = InWords(block).v[0];
  const uvec2 sm = scale_min(block + 4UL, s);
  const float d = half_to_float(dd & 0xffffu) * float(sm.x), m = half_to_float(dd >> 16) * float(sm.y);
  const uvec4 codes = InWords4(block + 48UL + uint64_t(32u * (s / 2u) + 16u * (i16 % 2u))).v;
  const uvec4 fifth = InWords4(block + 16UL + uint64_t(16u * (i16 % 2u))).v;
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i)
    c.v[i] = d * bytes_of((codes[i] >> 4u * (s % 2u) & 0x0f0f0f0fu) | (fifth[i] >> s & 0x01010101u) << 4) - m;
  return c;
}

Chunk q6_k_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 16u) * 210UL;
  const uint i16 = chunk % 16u, a = i16 / 8u, b = i16 / 2u % 4u, half_block = i16 % 2u;
  const float scale = float(bitfieldExtract(int(byte_at(block + 192UL, i16)), 0, 8));
  const float d = half_to_float(half_at(block + 208UL, 0)) * scale;
  const uvec4 low = four_words(block + uint64_t(64u * a + 32u * (b % 2u) + 16u * half_block));
  const uvec4 high = four_words(block + 128UL + uint64_t(32u * a + 16u * half_block));
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i)
    c.v[i] = d * (bytes_of((low[i] >> 4u * (b / 2u) & 0x0f0f0f0fu) |
                           (high[i] >> 2u * b & 0x03030303u) << 4) -
                  32.0);
  return c;
}

/// `words`: of the group of 32; `grid`: 256 times eight magnitudes, a byte each.
Chunk iq2_xxs_values(uvec2 words, uint chunk, uint half_d, uint64_t grid) {
  const uint indices = words.x >> 16u * (chunk % 2u), tail = words.y;
  const float d = half_to_float(half_d) * (0.5 + float(tail >> 28)) * 0.25;
  Chunk c;
  [[unroll]] for (uint i = 0; i < 2; ++i) { // eight elements each
    const uint index = indices >> 8u * i & 0xffu, seven = tail >> 7u * (2u * (chunk % 2u) + i) & 127u;
    const uint signs = seven | (bitCount(seven) & 1u) << 7;
    const uvec2 sizes = InWords2(grid + uint64_t(index) * 8UL).v;
    [[unroll]] for (uint j = 0; j < 2; ++j) {
      const vec4 size = bytes_of(sizes[j]);
      const uvec4 bits = uvec4(signs >> 4u * j) >> uvec4(0, 1, 2, 3) & 1u;
      c.v[2 * i + j] = d * size * (1.0 - 2.0 * vec4(bits));
    }
  }
  return c;
}

Chunk iq2_xxs_chunk(uint64_t row, uint chunk, uint64_t grid) {
  const uint64_t block = row + uint64_t(chunk / 16u) * 66UL, group = block + 2UL + uint64_t(chunk % 16u / 2u) * 8UL;
  return iq2_xxs_values(two_words(group), chunk, half_at(block, 0), grid);
}
Chunk iq2_xxs_planes_chunk(uint64_t row, uint chunk, uint k, uint64_t grid) {
  const uvec2 words = InWords2(row + uint64_t(chunk / 2u) * 8UL).v;
  return iq2_xxs_values(words, chunk, half_at(row + uint64_t(k / 4u), chunk / 16u), grid);
}

/// 2^(e-128), the scale of codes that are doubled.
float mxfp4_scale(uint e) { return uintBitsToFloat(e < 2u ? 0x00200000u << e : (e - 1u) << 23); }

Chunk mxfp4_values(uvec4 words, uint chunk, uint e) {
  const float d = mxfp4_scale(e);
  Chunk c;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uvec4 codes = uvec4(words[i]) >> (uvec4(0, 8, 16, 24) + 4u * (chunk % 2u)) & 15u, m = codes & 7u;
    // 0, 1, then 2 and 3 times powers of two.
    const uvec4 size = mix(2u + (m & 1u) << max(m >> 1, uvec4(1u)) - 1u, m, lessThan(m, uvec4(2u)));
    c.v[i] = d * vec4(size) * (1.0 - 2.0 * vec4(codes >> 3));
  }
  return c;
}

Chunk mxfp4_chunk(uint64_t row, uint chunk) {
  const uint64_t block = row + uint64_t(chunk / 2u) * 17UL;
  return mxfp4_values(four_words(block + 1UL), chunk, byte_at(block, 0));
}
Chunk mxfp4_planes_chunk(uint64_t row, uint chunk, uint k) {
  const uvec4 words = InWords4(row + uint64_t(chunk / 2u) * 16UL).v;
  return mxfp4_values(words, chunk, byte_at(row + uint64_t(k / 2u), chunk / 2u));
}

/// Elements [16·chunk, 16·chunk+16) of a row of k elements. `aligned`: k is a multiple of 16, which blocks always are.
Chunk weight_chunk(uint format, bool aligned, uint64_t row, uint chunk, uint k, uint64_t grid) {
  switch (format) {
  case k_q8_0: return q8_0_chunk(row, chunk);
  case k_q2_k: return q2_k_chunk(row, chunk);
  case k_q3_k: return q3_k_chunk(row, chunk);
  case k_q4_k: return q4_k_chunk(row, chunk);
  case k_q5_k: return q5_k_chunk(row, chunk);
  case k_q6_k: return q6_k_chunk(row, chunk);
  case k_iq2_xxs: return iq2_xxs_chunk(row, chunk, grid);
  case k_mxfp4: return mxfp4_chunk(row, chunk);
  case k_q8_0_planes: return q8_0_planes_chunk(row, chunk, k);
  case k_q2_k_planes: return q2_k_planes_chunk(row, chunk, k);
  case k_q4_k_planes: return q4_k_planes_chunk(row, chunk, k);
  case k_iq2_xxs_planes: return iq2_xxs_planes_chunk(row, chunk, k, grid);
  case k_mxfp4_planes: return mxfp4_planes_chunk(row, chunk, k);
  default: break;
  }
  if (aligned) return aligned_chunk(format, row, chunk);
  return plain_chunk(format, row, chunk, min(16u, k - chunk * 16u));
}

/// Activations likewise.
Chunk float_chunk(bool aligned, uint64_t row, uint chunk, uint k) {
  return aligned ? aligned_chunk(k_f32, row, chunk) : plain_chunk(k_f32, row, chunk, min(16u, k - chunk * 16u));
}

Chunk times(Chunk a, Chunk b) {
  [[unroll]] for (uint i = 0; i < 4; ++i) a.v[i] *= b.v[i];
  return a;
}

float chunk_dot(Chunk a, Chunk b) {
  return dot(a.v[0], b.v[0]) + dot(a.v[1], b.v[1]) + dot(a.v[2], b.v[2]) + dot(a.v[3], b.v[3]);
}
