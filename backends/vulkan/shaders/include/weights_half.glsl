// Weights as float16, for matrix units: sixteen elements as they lie in memory, so that they can be fetched while something
// else is multiplied, and what they become. Zeros become zeros in every format.
#include "weights.glsl"

struct Raw {
  uint v[8];
};

f16vec2 half_twice(uint bits) { return unpackFloat2x16(bits | bits << 16); }

/// Bytes 0 and 1, or 2 and 3, as halves 1024 + byte.
f16vec2 low_pair(uint word) { return unpackFloat2x16((word & 0xffu) | (word & 0xff00u) << 8 | 0x64006400u); }
f16vec2 high_pair(uint word) { return low_pair(word >> 16); }

Raw packed_chunk(Chunk c) {
  Raw raw;
  [[unroll]] for (uint i = 0; i < 8; ++i) raw.v[i] = half_pair(i % 2 == 0 ? c.v[i / 2].xy : c.v[i / 2].zw);
  return raw;
}

/// Of sixteen elements: indices, signs, scale.
Raw raw_iq2_xxs(uvec2 words, uint chunk) {
  Raw raw;
  [[unroll]] for (uint i = 4; i < 8; ++i) raw.v[i] = 0u;
  raw.v[0] = words.x >> 16u * (chunk % 2u) & 0xffffu;
  raw.v[1] = words.y >> 14u * (chunk % 2u) & 0x3fffu;
  raw.v[2] = words.y >> 28;
  return raw;
}

/// What decode_chunk needs of elements [16·chunk, 16·chunk+16).
Raw raw_chunk(uint format, bool aligned, uint64_t row, uint chunk, uint k, uint64_t grid) {
  Raw raw;
  [[unroll]] for (uint i = 0; i < 8; ++i) raw.v[i] = 0u;
  if (format == k_q8_0_planes) {
    const uvec4 codes = InWords4(row + uint64_t(chunk) * 16UL).v;
    [[unroll]] for (uint i = 0; i < 4; ++i) raw.v[i] = codes[i];
    raw.v[4] = half_at(row + uint64_t(k), chunk / 2u);
  } else if (format == k_q2_k_planes) {
    const uint block = chunk / 16u, s = chunk % 16u, shift = s / 2u % 4u, part = 4u * block + 2u * (s / 8u) + s % 2u;
    const uint64_t scales = row + uint64_t(k / 4u);
    const uvec4 codes = InWords4(row + uint64_t(part) * 16UL).v;
    [[unroll]] for (uint i = 0; i < 4; ++i) raw.v[i] = codes[i] >> 2u * shift & 0x03030303u;
    raw.v[4] = InWords(scales + uint64_t(k / 16u)).v[block];
    raw.v[5] = byte_at(scales, 4u * part + shift);
  } else if (format == k_iq2_xxs_planes) {
    const uvec2 words = InWords2(row + uint64_t(chunk / 2u) * 8UL).v;
    raw = raw_iq2_xxs(words, chunk);
    raw.v[3] = half_at(row + uint64_t(k / 4u), chunk / 16u);
  } else if (format == k_q8_0) {
    const uint64_t block = row + uint64_t(chunk / 2u) * 34UL;
    const uvec4 codes = four_words(block + 2UL + uint64_t(chunk % 2u) * 16UL);
    [[unroll]] for (uint i = 0; i < 4; ++i) raw.v[i] = codes[i];
    raw.v[4] = half_at(block, 0);
  } else if (format == k_q2_k) {
    const uint64_t block = row + uint64_t(chunk / 16u) * 84UL;
    const uint s = chunk % 16u;
    InWords codes = InWords(block + 16UL + uint64_t(32u * (s / 8u) + 16u * (s % 2u)));
    [[unroll]] for (uint i = 0; i < 4; ++i) raw.v[i] = codes.v[i] >> 2u * (s / 2u % 4u) & 0x03030303u;
    raw.v[4] = InWords(block + 80UL).v[0];
    raw.v[5] = byte_at(block, s);
  } else if (format == k_iq2_xxs) {
    const uint64_t block = row + uint64_t(chunk / 16u) * 66UL;
    const uvec2 words = two_words(block + 2UL + uint64_t(chunk % 16u / 2u) * 8UL);
    raw = raw_iq2_xxs(words, chunk);
    raw.v[3] = half_at(block, 0);
  } else if (format == k_f16 && aligned) {
    [[unroll]] for (uint i = 0; i < 2; ++i) {
      const uvec4 words = InWords4(row + uint64_t(chunk) * 32UL + uint64_t(i) * 16UL).v;
      [[unroll]] for (uint j = 0; j < 4; ++j) raw.v[4 * i + j] = words[j];
    }
  } else {
    raw = packed_chunk(weight_chunk(format, aligned, row, chunk, k, grid));
  }
  return raw;
}

/// The sizes of IQ2_XXS, from where decode_chunk takes them; by the whole workgroup, and a barrier behind.
shared uvec2 grid_sizes[256];
void bring_grid(uint format, uint64_t grid) {
  if ((format & ~k_planes) == k_iq2_xxs)
    for (uint i = THREAD; i < 256u; i += THREADS) grid_sizes[i] = InWords2(grid + uint64_t(i) * 8UL).v;
}

/// Eight elements, signs as bits, times d.
uvec4 signed_sizes(uint index, uint signs, f16vec2 d) {
  const uvec2 sizes = grid_sizes[index];
  const uint apart = signs | signs << 15; // bits 2j and 2j+16 are signs 2j and 2j+1
  uvec4 out_words;
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    const f16vec2 size = (j % 2u == 0u ? low_pair(sizes[j / 2]) : high_pair(sizes[j / 2])) - f16vec2(1024.0);
    out_words[j] = packFloat2x16(size * d) ^ (apart << (15u - 2u * j) & 0x80008000u);
  }
  return out_words;
}

/// Eight halves in each part.
struct HalfChunk {
  uvec4 v[2];
};
HalfChunk decode_chunk(uint format, bool aligned, Raw raw) {
  HalfChunk c;
  const uint kind = format & ~k_planes;
  if (kind == k_q8_0) {
    const f16vec2 d = half_twice(raw.v[4]);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const uint codes = raw.v[i] ^ 0x80808080u;
      c.v[i / 2][2 * (i % 2)] = packFloat2x16((low_pair(codes) - f16vec2(1152.0)) * d);
      c.v[i / 2][2 * (i % 2) + 1] = packFloat2x16((high_pair(codes) - f16vec2(1152.0)) * d);
    }
  } else if (kind == k_q2_k) {
    const uint dd = raw.v[4], scales = raw.v[5];
    const f16vec2 d = f16vec2(float16_t(half_to_float(dd & 0xffffu) * float(scales & 15u)));
    const f16vec2 m = f16vec2(float16_t(half_to_float(dd >> 16) * float(scales >> 4)));
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      c.v[i / 2][2 * (i % 2)] = packFloat2x16(fma(low_pair(raw.v[i]) - f16vec2(1024.0), d, -m));
      c.v[i / 2][2 * (i % 2) + 1] = packFloat2x16(fma(high_pair(raw.v[i]) - f16vec2(1024.0), d, -m));
    }
  } else if (kind == k_iq2_xxs) {
    const f16vec2 d = f16vec2(float16_t(half_to_float(raw.v[3]) * (0.5 + float(raw.v[2])) * 0.25));
    [[unroll]] for (uint i = 0; i < 2; ++i) {
      const uint seven = raw.v[1] >> 7u * i & 127u;
      c.v[i] = signed_sizes(raw.v[0] >> 8u * i & 0xffu, seven | (bitCount(seven) & 1u) << 7, d);
    }
  } else {
    [[unroll]] for (uint i = 0; i < 8; ++i) c.v[i / 4][i % 4] = raw.v[i];
  }
  return c;
}
