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
  [[unroll]] for (uint i = 0; i < 8; ++i) raw.v[i] = packFloat2x16(f16vec2(i % 2 == 0 ? c.v[i / 2].xy : c.v[i / 2].zw));
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

/// Every other chunk of 128 columns, from the even or the odd one on: formats whose planes keep them together are fetched
/// so.
struct Span {
  uint v[9];
};
bool has_spans(uint format) { return format == k_q2_k_planes || format == k_iq2_xxs_planes; }
Span raw_span(uint format, uint64_t row, uint span, uint odd, uint k) {
  Span raw;
  UNROLL for (uint i = 0; i < 9; ++i) raw.v[i] = 0u;
  const uint64_t behind = row + uint64_t(k / 4u);
  const uint part = 2u * span + odd;
  if (format == k_q2_k_planes) {
    const uvec4 codes = InWords4(row + uint64_t(part) * 16UL).v;
    UNROLL for (uint i = 0; i < 4; ++i) raw.v[i] = codes[i];
    raw.v[4] = InWords(behind).v[part];
    raw.v[5] = InWords(behind + uint64_t(k / 16u)).v[span / 2u];
  } else {
    const uvec4 low = InWords4(row + uint64_t(span) * 32UL).v, high = InWords4(row + uint64_t(span) * 32UL + 16UL).v;
    UNROLL for (uint i = 0; i < 4; ++i) {
      raw.v[i] = low[i];
      raw.v[4 + i] = high[i];
    }
    raw.v[8] = half_at(behind, span / 2u);
  }
  return raw;
}
/// Chunk 2·i + odd of it.
Raw chunk_of_span(uint format, Span span, uint i, uint odd) {
  Raw raw;
  if (format == k_q2_k_planes) {
    UNROLL for (uint e = 0; e < 8; ++e) raw.v[e] = 0u;
    UNROLL for (uint e = 0; e < 4; ++e) raw.v[e] = span.v[e] >> 2u * i & 0x03030303u;
    raw.v[4] = span.v[5];
    raw.v[5] = span.v[4] >> 8u * i & 0xffu;
  } else {
    const uvec2 low = i % 2u == 0u ? uvec2(span.v[0], span.v[1]) : uvec2(span.v[2], span.v[3]);
    const uvec2 high = i % 2u == 0u ? uvec2(span.v[4], span.v[5]) : uvec2(span.v[6], span.v[7]);
    raw = raw_iq2_xxs(i < 2u ? low : high, odd);
    raw.v[3] = span.v[8];
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
