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
  /// What codes of each sub-block are multiplied with, and what is added then, to be 256ths of a code.
  struct Prepared {
    alignas(64) std::int16_t factor[k_units][8], offset[k_units][8];
  };
  /// Words throughout, of a block in each lane of 128 bits: of its sub-blocks or of all rows.
  SCF_INLINE void prepare(Panel& panel, int r, const blocks::Q4_K* const* block, int n, Prepared* out) {
    static_assert(k_units == 4 && k_rows_together == 8);
    const int count = n / 256;
    Z heads[8], most[8];
    for (int i = 0; i < 8; ++i) heads[i] = heads_of(block[i], count);
    const Words of_rows = whole_scales(heads);
    for (int i = 0; i < 8; ++i) {
      const Z bytes = scale_bytes(heads[i]), none = _mm512_setzero_si512();
      const Z row = _mm512_set1_epi16(static_cast<short>(0x0202 * i + 0x0100)); // its word everywhere
      const Z s = _mm512_mulhrs_epi16(_mm512_unpacklo_epi8(none, bytes), _mm512_shuffle_epi8(of_rows.scale, row));
      const Z m = _mm512_mulhrs_epi16(_mm512_unpackhi_epi8(none, bytes), _mm512_shuffle_epi8(of_rows.minimum, row));
      _mm512_store_si512(out[i].factor, s);
      _mm512_store_si512(out[i].offset, m);
      most[i] = _mm512_max_epi16(_mm512_abs_epi16(_mm512_sub_epi16(s, m)), _mm512_abs_epi16(m));
    }
    const Z largest = largest_of(most);
    if (any_below(k_least, largest)) return prepare_exactly(panel, r, block, count, out);
    const Z to_codes = put_scales(panel, r, count, largest, of_rows);
    for (int i = 0; i < 8; ++i) {
      const Z row = _mm512_set1_epi16(static_cast<short>(0x0202 * i + 0x0100));
      const Z times = _mm512_shuffle_epi8(to_codes, row);
      const Z m = _mm512_mulhrs_epi16(load_z(out[i].offset), times); // 15ths of what is subtracted
      _mm512_store_si512(out[i].factor, _mm512_mulhrs_epi16(load_z(out[i].factor), times));
      _mm512_store_si512(out[i].offset,
                         _mm512_sub_epi16(_mm512_set1_epi16(128), _mm512_mullo_epi16(m, _mm512_set1_epi16(15))));
    }
  }
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q4_K* block, int n, const Prepared& p, std::uint32_t flip) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) {
      if (u == n / 256) return;
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) { // low nibbles are of sub-blocks 4h and 4h+2, high ones of the next
        const Z levels = flipped(four_levels(p.factor[u] + 4 * half, p.offset[u] + 4 * half), flip);
        const Z q = load_z(block[u].q + 64 * half);
        auto* codes = panel.codes + 4 * u + 2 * half;
        _mm512_store_si512(codes[0][r], pick(levels, q, 0));
        _mm512_store_si512(codes[1][r], pick(levels, _mm512_srli_epi16(q, 4), 1));
      }
    }
  }

private:
  /// Of the rows' blocks 15 d and dmin in 32760ths of |15 d| + |dmin|, so that with the six bits of a sub-block no
  /// value leaves 14 bits; and these sums, of rows 0 to 3 and 4 to 7, or no number.
  struct Words {
    Z scale, minimum;
    F sum[2];
  };

  /// d, dmin and the scales.
  SCF_INLINE Z heads_of(const blocks::Q4_K* block, int count) {
    const auto head = [&](int u) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + lesser(u, count - 1)));
    };
    Z heads = _mm512_castsi128_si512(head(0));
    heads = _mm512_inserti32x4(heads, head(1), 1);
    heads = _mm512_inserti32x4(heads, head(2), 2);
    return _mm512_inserti32x4(heads, head(3), 3);
  }
  SCF_INLINE Words whole_scales(const Z (&heads)[8]) {
    Words words;
    F s[2], m[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const auto two = [&](int row) { return _mm512_unpacklo_epi32(heads[4 * i + row], heads[4 * i + row + 1]); };
      const Z both = _mm512_unpacklo_epi64(two(0), two(2));
      const F d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(both)) * set1(15);
      const F dmin = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(both, 16)));
      const F sum = _mm512_abs_ps(d) + _mm512_abs_ps(dmin), unit = _mm512_rcp14_ps(sum) * set1(32760);
      words.sum[i] = fma(sum, zero(), sum);
      s[i] = d * unit;
      m[i] = dmin * unit;
    }
    words.scale = _mm512_packs_epi32(_mm512_cvtps_epi32(s[0]), _mm512_cvtps_epi32(s[1]));
    words.minimum = _mm512_packs_epi32(_mm512_cvtps_epi32(m[0]), _mm512_cvtps_epi32(m[1]));
    return words;
  }
  /// The scales of four blocks, eight each, and their minima: k_scale_min in each lane of 128 bits.
  SCF_INLINE Z scale_bytes(Z heads) {
    const Z first = _mm512_shuffle_epi8(
        heads, _mm512_broadcast_i32x4(_mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)));
    const Z upper = _mm512_shuffle_epi8(
        heads, _mm512_broadcast_i32x4(_mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11)));
    const Z low = _mm512_srlv_epi32(first, _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4)));
    const Z masks = _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const Z high = _mm512_and_si512(_mm512_srli_epi32(upper, 2), _mm512_set1_epi8(0x30));
    return masked_or(low, masks, high);
  }
  /// The largest word of each lane of v[i] as its word i.
  SCF_INLINE Z largest_of(const Z (&v)[8]) {
    const auto two = [&](int i) {
      return _mm512_max_epi16(_mm512_unpacklo_epi16(v[i], v[i + 1]), _mm512_unpackhi_epi16(v[i], v[i + 1]));
    };
    const auto four = [&](int i) {
      const Z a = two(i), b = two(i + 2);
      return _mm512_max_epi16(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    };
    const Z a = four(0), b = four(4);
    return _mm512_max_epi16(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  }
  /// What makes 256ths of a code of 15 times a word, in 32768ths, for the largest to be 127 codes: a word from here on.
  static constexpr float k_to_codes = 127.0f * 256 * 32768 / 15;
  static constexpr int k_least = static_cast<int>(k_to_codes / 32767) + 1;
  SCF_INLINE Z put_scales(Panel& panel, int r, int count, Z largest, const Words& of_rows) {
    Z times[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const Z none = _mm512_setzero_si512();
      const Z most = i == 0 ? _mm512_unpacklo_epi16(largest, none) : _mm512_unpackhi_epi16(largest, none);
      const F exact = _mm512_rcp14_ps(_mm512_cvtepi32_ps(most)) * set1(k_to_codes);
      times[i] = _mm512_cvtps_epi32(min(exact, set1(32767))); // where all values are zero
      const F scale =
          of_rows.sum[i] * (_mm512_rcp14_ps(_mm512_cvtepi32_ps(times[i])) * set1(128.0f * 256 * 32768 / 15 / 32760));
      for (int u = 0; u < count; ++u) _mm_storeu_ps(&panel.scale[u][r + 4 * i], lane(scale, u));
    }
    return _mm512_packs_epi32(times[0], times[1]);
  }

  /// Of words that are not zero.
  SCF_INLINE bool any_below(int bound, Z v) {
    const Z less_one = _mm512_sub_epi16(v, _mm512_set1_epi16(1));
    return _mm512_cmplt_epu16_mask(less_one, _mm512_set1_epi16(static_cast<short>(bound - 1))) != 0;
  }
  /// The same where sub-blocks use so few of their six bits that words would round away more than codes do.
  [[gnu::noinline, gnu::cold]] static void prepare_exactly(Panel& panel, int r, const blocks::Q4_K* const* block,
                                                           int count, Prepared* out) {
    using Subs = FormatQ4_K::Out;
    for (int i = 0; i < k_rows_together; ++i)
      for (int u = 0; u < count; ++u) {
        Subs subs;
        FormatQ4_K::unpack(block[i][u], subs);
        float minimum[Subs::subs];
        store8(minimum, subs.m[0]);
        const Recipe<Subs> recipe = recipe_for<Subs>(subs.s, minimum, FormatQ4_K::top);
        __builtin_memcpy(out[i].factor[u], recipe.factor, sizeof recipe.factor);
        __builtin_memcpy(out[i].offset[u], recipe.offset, sizeof recipe.offset);
        panel.scale[u][r + i] = recipe.scale;
      }
  }

  /// What codes 0 to 15 of four sub-blocks become, in a lane each: (code * factor + offset) / 256.
  SCF_INLINE Z four_levels(const std::int16_t* factor, const std::int16_t* offset) {
    const auto in_lanes = [](const std::int16_t* four) {
      std::uint64_t words;
      __builtin_memcpy(&words, four, sizeof words);
      return _mm512_shuffle_epi8(u64_everywhere(words),
                                 _mm512_setr_epi64(0x0100010001000100, 0x0100010001000100, 0x0302030203020302,
                                                   0x0302030203020302, 0x0504050405040504, 0x0504050405040504,
                                                   0x0706070607060706, 0x0706070607060706));
    };
    const Z f = in_lanes(factor);
    const Z even_codes = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 2, 4, 6, 8, 10, 12, 14));
    const Z low = _mm512_add_epi16(_mm512_mullo_epi16(f, even_codes), in_lanes(offset));
    return masked_or(_mm512_add_epi16(low, f), _mm512_set1_epi16(-256), _mm512_srli_epi16(low, 8));
  }
  /// The levels of the lowest four bits of each byte: 32 of sub-block `sub`, 32 of the next but one.
  SCF_INLINE Z pick(Z levels, Z codes, int sub) {
#ifdef __AVX512VBMI__
    const std::int64_t first = 0x1010101010101010 * sub, second = first + 0x2020202020202020;
    const Z subs = _mm512_setr_epi64(first, first, first, first, second, second, second, second);
    return _mm512_permutexvar_epi8(masked_or(codes, _mm512_set1_epi8(15), subs), levels);
#else
    const Z table = sub == 0 ? _mm512_shuffle_i64x2(levels, levels, 0xa0) : _mm512_shuffle_i64x2(levels, levels, 0xf5);
    return _mm512_shuffle_epi8(table, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
#endif
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
