// Panels from Q8_0, Q2_K and Q4_K with AVX-512. Q8_0's codes are multiplied by their block's share of the largest
// scale; the others' codes pick from a table that each sub-block makes of its scale and minimum.
#pragma once

#include "kernels/panels/panels.hpp"
#include "kernels/vnni/z_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// (a & mask) | b
SCF_INLINE Z masked_or(Z a, Z mask, Z b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xea); }
/// (a & mask) | (b & ~mask)
SCF_INLINE Z chosen(Z mask, Z a, Z b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }
SCF_INLINE Z flipped(Z v, std::uint32_t flip) { return _mm512_xor_si512(v, _mm512_set1_epi32(static_cast<int>(flip))); }

template <> struct OwnFill<FormatQ8_0> {
  static constexpr bool exists = true;
  using Order = PlainOrder;
  struct Prepared {
    alignas(64) std::int16_t factor[32]; // each block's share of the largest scale of 256, of 32768
  };
  SCF_INLINE void prepare(Panel& panel, int r, const blocks::Q8_0* const* block, int n, Prepared* out) {
    for (int i = 0; i < k_rows_together; ++i)
      for (int u = 0; u < n / 256; u += 2) {
        const bool two = u + 2 <= n / 256;
        F d = _mm512_castps256_ps512(scales(block[i] + 8 * u));
        if (two) d = _mm512_insertf32x8(d, scales(block[i] + 8 * u + 8), 1);
        F largest = _mm512_abs_ps(d); // of each half, everywhere in it
        largest = _mm512_max_ps(largest, _mm512_shuffle_f32x4(largest, largest, 0xb1));
        largest = _mm512_max_ps(largest, _mm512_permute_ps(largest, 0x4e));
        largest = _mm512_max_ps(largest, _mm512_permute_ps(largest, 0xb1));
        // Garbage where all scales are zero: so is every code's product with it.
        const F share = d * (_mm512_rcp14_ps(largest) * set1(32767));
        _mm256_store_si256(reinterpret_cast<__m256i*>(out[i].factor + 8 * u),
                           _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(share)));
        const __mmask16 none = _mm512_cmp_ps_mask(d, d, _CMP_UNORD_Q); // no numbers
        const float nan = __builtin_nanf("");
        panel.scale[u][r + i] = (none & 0xff) == 0 ? _mm512_cvtss_f32(largest) : nan;
        if (two) panel.scale[u + 1][r + i] = none >> 8 == 0 ? _mm_cvtss_f32(_mm512_extractf32x4_ps(largest, 2)) : nan;
      }
  }
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q8_0* block, int n, const Prepared& p, std::uint32_t flip) {
    const Z factors = load_z(p.factor);
    const Z pair = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(1), 1); // words 0-15 and 16-31
    for (int i = 0; i < n / 64; ++i) {
      const Z factor =
          _mm512_permutexvar_epi16(_mm512_add_epi16(pair, _mm512_set1_epi16(static_cast<short>(2 * i))), factors);
      const Z codes = join_z(block[2 * i].q, block[2 * i + 1].q);
      const Z even = _mm512_mulhrs_epi16(_mm512_srai_epi16(_mm512_slli_epi16(codes, 8), 8), factor);
      const Z high = _mm512_set1_epi16(-256); // the odd codes, rounded in 256ths
      const Z odd =
          _mm512_add_epi16(_mm512_mulhrs_epi16(_mm512_and_si512(codes, high), factor), _mm512_set1_epi16(128));
      _mm512_store_si512(panel.codes[i][r], flipped(chosen(high, odd, even), flip));
    }
  }

private:
  SCF_INLINE __m256 scales(const blocks::Q8_0* block) {
    alignas(16) std::uint16_t halves[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) __builtin_memcpy(halves + i, &block[i].d, 2);
    return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(halves)));
  }
};

// ---- k-quants -------------------------------------------------------------------------------------------------------
// The scales of four blocks (a chunk of a row) are prepared together. A byte that is no number makes all values of its
// vector none, and so the block's scale.

/// Of four blocks, in their lanes of 128 bits: the scale that makes the largest value 127, and what values are
/// multiplied with to be 256ths of a code. Garbage where all values are zero: so is every code's product with it.
struct Units {
  F scale, inverse;
};
SCF_INLINE Units units_of(F largest) {
  return {largest * set1(1.0f / 127), _mm512_rcp14_ps(largest) * set1(127.0f * 256)};
}
/// Each lane holds values of its block.
SCF_INLINE Units units_for(F largest) {
  largest = _mm512_max_ps(_mm512_permute_ps(largest, 0x4e), largest);
  return units_of(_mm512_max_ps(_mm512_permute_ps(largest, 0xb1), largest));
}
/// Of two neighbouring lanes the larger values: those of a, then those of b.
SCF_INLINE F larger_lanes(F a, F b) {
  return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
SCF_INLINE __m128 lane(F v, int i) {
  switch (i) {
  case 0: return _mm512_castps512_ps128(v);
  case 1: return _mm512_extractf32x4_ps(v, 1);
  case 2: return _mm512_extractf32x4_ps(v, 2);
  default: return _mm512_extractf32x4_ps(v, 3);
  }
}
SCF_INLINE void put_scales(Panel& panel, int r, F scale, int count) {
  const __m128 four = _mm512_castps512_ps128(
      _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), scale));
  alignas(16) float of[4];
  _mm_store_ps(of, four);
  for (int u = 0; u < count; ++u) panel.scale[u][r] = of[u];
}
/// Byte b of each lane of 128 bits, as two words, at dword b of all 16.
struct SubWords {
  std::int8_t at[64];
};
constexpr SubWords sub_words() {
  SubWords words{};
  for (int i = 0; i < 64; ++i) words.at[i] = static_cast<std::int8_t>(i % 2 == 0 ? i / 4 : -1);
  return words;
}
alignas(64) constexpr SubWords k_sub_words = sub_words();

/// Largest of |top * s - m| and |m|. Numbers that are none come through: they stand second.
SCF_INLINE F largest_value(F s, F m, float top) {
  return _mm512_max_ps(_mm512_abs_ps(m), _mm512_abs_ps(fma(s, set1(top), zero() - m)));
}

template <> struct OwnFill<FormatQ2_K> {
  static constexpr bool exists = true;
  using Order = Halves<0, 128, 32, 160, 64, 192, 96, 224>;
  /// Of each block what its scales and minima are multiplied with, as pairs of words: (d, d), (0, 2 d), (dmin, dmin).
  struct Prepared {
    alignas(64) std::int32_t factor[4][4];
  };
  SCF_INLINE void prepare(Panel& panel, int r, const blocks::Q2_K* const* block, int n, Prepared* out) {
    static_assert(k_units == 4 && k_rows_together % 4 == 0);
    for (int i = 0; i < k_rows_together; i += 4) prepare_four(panel, r + i, block + i, n / 256, out + i);
  }
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q2_K* block, int n, const Prepared& p, std::uint32_t flip) {
    for (int u = 0; u < n / 256; ++u) {
      const Z levels = four_levels(block[u].sc, p.factor[u]), q = load_z(block[u].q);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) // 32 elements of each half: sub-blocks 2i, 2i+1, 8+2i, 9+2i
        _mm512_store_si512(panel.codes[4 * u + i][r],
                           flipped(pick(levels, _mm512_srli_epi16(q, static_cast<unsigned>(2 * i)), i), flip));
    }
  }

private:
  /// Rows r to r + 3: of 16 values, lane u of 128 bits holds those of their blocks u.
  SCF_INLINE void prepare_four(Panel& panel, int r, const blocks::Q2_K* const* block, int count, Prepared* out) {
    const auto at = [&](int i, int u) -> const blocks::Q2_K& { return block[i][lesser(u, count - 1)]; };
    const auto both = [&](int u) { // d and dmin
      const auto of = [&](int i) { return static_cast<int>(load_u32(&at(i, u).d)); };
      return _mm_setr_epi32(of(0), of(1), of(2), of(3));
    };
    Z halves = _mm512_castsi128_si512(both(0));
    halves = _mm512_inserti32x4(halves, both(1), 1);
    halves = _mm512_inserti32x4(halves, both(2), 2);
    halves = _mm512_inserti32x4(halves, both(3), 3);
    const F d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(halves));
    const F dmin = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(halves, 16)));
    alignas(64) float three[4][4], of_min[4][4];
    _mm512_store_ps(three, d * set1(3));
    _mm512_store_ps(of_min, dmin);
    F rows[4]; // each row's lanes hold values of its blocks
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      F most[4];
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) {
        const Z sc = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at(i, u).sc)));
        const F m = _mm512_cvtepi32_ps(_mm512_srli_epi32(sc, 4)) * set1(of_min[u][i]);
        const F s = _mm512_cvtepi32_ps(_mm512_and_si512(sc, _mm512_set1_epi32(15)));
        // The larger one, without its sign.
        most[u] = _mm512_range_ps(_mm512_fmsub_ps(s, set1(three[u][i]), m), m, 0x0b);
      }
      rows[i] = larger_lanes(larger_lanes(most[0], most[1]), larger_lanes(most[2], most[3]));
    }
    const auto larger = [](F a, F b) { return _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)); };
    const F lower = larger(rows[0], rows[2]), upper = larger(rows[1], rows[3]); // rows 0, 2, 0, 2 and 1, 3, 1, 3
    const Units units = units_of(larger(lower, upper));
    const F scales = units.scale + (d * zero() + dmin * zero()); // or no number
    for (int u = 0; u < count; ++u) _mm_storeu_ps(&panel.scale[u][r], lane(scales, u));

    const auto words = [&](F v) { return _mm512_cvtps_epi32(v * units.inverse); };
    const Z twice_each = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    const Z once = _mm512_shuffle_epi8(words(d), twice_each), twice = _mm512_slli_epi32(words(d + d), 16);
    const Z minimum = _mm512_shuffle_epi8(words(dmin), twice_each);
    const Z first = _mm512_unpacklo_epi32(once, twice), second = _mm512_unpackhi_epi32(once, twice);
    const Z rest = _mm512_unpacklo_epi32(minimum, minimum), last = _mm512_unpackhi_epi32(minimum, minimum);
    _mm512_store_si512(out[0].factor, _mm512_unpacklo_epi64(first, rest));
    _mm512_store_si512(out[1].factor, _mm512_unpackhi_epi64(first, rest));
    _mm512_store_si512(out[2].factor, _mm512_unpacklo_epi64(second, last));
    _mm512_store_si512(out[3].factor, _mm512_unpackhi_epi64(second, last));
  }

  /// (code * d * scale - dmin * minimum) / 256 of codes 0 to 3 as the bytes of each sub-block's lane.
  SCF_INLINE Z four_levels(const std::uint8_t* sc, const std::int32_t (&factor)[4]) {
    const Z both = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sc)));
    const Z x = _mm512_shuffle_epi8(both, load_z(k_sub_words.at)); // a byte as two words
    const Z scale = _mm512_and_si512(x, _mm512_set1_epi16(15)), minimum = _mm512_srli_epi16(x, 4);
    const Z offset =
        _mm512_sub_epi16(_mm512_set1_epi16(128), _mm512_mullo_epi16(minimum, _mm512_set1_epi32(factor[2])));
    const Z low = _mm512_add_epi16(offset, _mm512_mullo_epi16(scale, _mm512_set1_epi32(factor[1]))); // codes 0 and 2
    const Z high = _mm512_add_epi16(low, _mm512_mullo_epi16(scale, _mm512_set1_epi32(factor[0])));   // 1 and 3
    return masked_or(high, _mm512_set1_epi16(-256), _mm512_srli_epi16(low, 8));
  }
  /// The levels of the lowest two bits of each byte: of sub-blocks 2i, 2i+1, 8+2i, 9+2i, 16 bytes each.
  SCF_INLINE Z pick(Z levels, Z codes, int i) {
#ifdef __AVX512VBMI__
    const auto sub = [&](int b) { return 0x04040404 * (2 * i + b); };
    const Z subs = _mm512_setr_epi32(sub(0), sub(0), sub(0), sub(0), sub(1), sub(1), sub(1), sub(1), sub(8), sub(8),
                                     sub(8), sub(8), sub(9), sub(9), sub(9), sub(9));
    return _mm512_permutexvar_epi8(masked_or(codes, _mm512_set1_epi8(3), subs), levels);
#else
    const Z lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 8, 8, 8, 8, 9, 9, 9, 9);
    const Z table = _mm512_permutexvar_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(2 * i)), levels);
    return _mm512_shuffle_epi8(table, _mm512_and_si512(codes, _mm512_set1_epi8(3)));
#endif
  }
};

template <> struct OwnFill<FormatQ4_K> {
  static constexpr bool exists = true;
  using Order = Halves<0, 64, 32, 96, 128, 192, 160, 224>;
  /// What codes of each sub-block are multiplied with, and what is added then, to be 256ths of a code: of four
  /// sub-blocks of a block and of the next but one in turns.
  struct Prepared {
    alignas(64) std::int16_t factor[32], offset[32];
  };
  SCF_INLINE void prepare(Panel& panel, int r, const blocks::Q4_K* const* block, int n, Prepared* out) {
    static_assert(k_units == 4);
    for (int i = 0; i < k_rows_together; ++i) prepare_row(panel, r + i, block[i], n / 256, out[i]);
  }
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q4_K* block, int n, const Prepared& p, std::uint32_t flip) {
    const Z factors = load_z(p.factor), offsets = load_z(p.offset), low = _mm512_set1_epi8(15);
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) {
      if (u == n / 256) return;
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) { // low nibbles are of sub-blocks 4h and 4h+2, high ones of the next
        const Z levels = flipped(tables(factors, offsets, u % 2 * 16 + 8 * half + u / 2 * 4), flip);
        const Z of_low = _mm512_shuffle_i64x2(levels, levels, 0xa0),
                of_high = _mm512_shuffle_i64x2(levels, levels, 0xf5);
        const Z q = load_z(block[u].q + 64 * half);
        auto* codes = panel.codes + 4 * u + 2 * half;
        _mm512_store_si512(codes[0][r], _mm512_shuffle_epi8(of_low, _mm512_and_si512(q, low)));
        _mm512_store_si512(codes[1][r], _mm512_shuffle_epi8(of_high, _mm512_and_si512(_mm512_srli_epi16(q, 4), low)));
      }
    }
  }

private:
  SCF_INLINE void prepare_row(Panel& panel, int r, const blocks::Q4_K* block, int count, Prepared& out) {
    const auto head = [&](int u) { // d, dmin and the scales
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + lesser(u, count - 1)));
    };
    Z heads = _mm512_castsi128_si512(head(0));
    heads = _mm512_inserti32x4(heads, head(1), 1);
    heads = _mm512_inserti32x4(heads, head(2), 2);
    heads = _mm512_inserti32x4(heads, head(3), 3);
    const Z bytes = scale_bytes(heads);
    const Z both =
        _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12), heads);
    F s[2], m[2], most[2]; // eight sub-blocks of two blocks
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const F d = _mm512_cvtph_ps(i == 0 ? _mm512_castsi512_si256(both) : _mm512_extracti64x4_epi64(both, 1));
      s[i] =
          floats(i == 0 ? _mm512_castsi512_si128(bytes) : _mm512_extracti32x4_epi32(bytes, 1)) * _mm512_moveldup_ps(d);
      m[i] = floats(i == 0 ? _mm512_extracti32x4_epi32(bytes, 2) : _mm512_extracti32x4_epi32(bytes, 3)) *
             _mm512_movehdup_ps(d); // d and dmin stand in turns
      most[i] = largest_value(s[i], m[i], 15);
    }
    const Units units = units_for(larger_lanes(most[0], most[1]));
    put_scales(panel, r, units.scale, count);
    const F first = _mm512_shuffle_f32x4(units.inverse, units.inverse, 0x50);
    const F second = _mm512_shuffle_f32x4(units.inverse, units.inverse, 0xfa);
    const auto offset = [](F minimum, F inverse) { return fma(zero() - minimum, inverse, set1(128)); };
    _mm512_store_si512(out.factor, words(s[0] * first, s[1] * second));
    _mm512_store_si512(out.offset, words(offset(m[0], first), offset(m[1], second)));
  }
  /// The scales of four blocks, eight each, then their minima: k_scale_min in each lane of 128 bits.
  SCF_INLINE Z scale_bytes(Z heads) {
    const Z first = _mm512_shuffle_epi8(
        heads, _mm512_broadcast_i32x4(_mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)));
    const Z upper = _mm512_shuffle_epi8(
        heads, _mm512_broadcast_i32x4(_mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11)));
    const Z low = _mm512_srlv_epi32(first, _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4)));
    const Z masks = _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const Z high = _mm512_and_si512(_mm512_srli_epi32(upper, 2), _mm512_set1_epi8(0x30));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), masked_or(low, masks, high));
  }
  SCF_INLINE F floats(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
  SCF_INLINE Z words(F a, F b) { return _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b)); }
  /// What codes 0 to 15 of the sub-block at `at` and of the three behind become, in a lane each: (code * factor +
  /// offset) / 256.
  SCF_INLINE Z tables(Z factors, Z offsets, int at) {
    const Z lanes = _mm512_setr_epi64(0, 0, 0x0001000100010001, 0x0001000100010001, 0x0002000200020002,
                                      0x0002000200020002, 0x0003000300030003, 0x0003000300030003);
    const Z which = _mm512_add_epi16(lanes, _mm512_set1_epi16(static_cast<short>(at)));
    const Z factor = _mm512_permutexvar_epi16(which, factors), offset = _mm512_permutexvar_epi16(which, offsets);
    const Z even_codes = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 2, 4, 6, 8, 10, 12, 14));
    const Z low = _mm512_add_epi16(_mm512_mullo_epi16(factor, even_codes), offset);
    return masked_or(_mm512_add_epi16(low, factor), _mm512_set1_epi16(-256), _mm512_srli_epi16(low, 8));
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
