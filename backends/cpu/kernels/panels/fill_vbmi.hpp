// Panels from IQ2_XXS by VBMI and GFNI: two super-blocks at a time. Digits and signs are looked up for all 64 groups of
// eight; affine maps over GF(2) make nibbles of them that pick weights from the tables of their sub-blocks, eight
// levels each, two sub-blocks to a lane of 128 bits: ByFour.
#pragma once

#include "kernels/panels/fill_avx512.hpp"
#include "kernels/vbmi/iq2_xxs_bits.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

namespace {

/// Within each 32 bytes: 0, 8, 16, 24, 4, 12, 20, 28, then the same from 1 on, 2 and 3; the j-th eights of two
/// neighbours together.
struct Fourths {
  std::uint8_t at[64];
};
constexpr Fourths fourths() {
  Fourths f{};
  for (unsigned i = 0; i < 64; ++i)
    f.at[i] = static_cast<std::uint8_t>(i / 8 % 2 * 32 + i % 4 * 8 + i / 4 % 2 * 4 + i / 16);
  return f;
}
alignas(64) constexpr Fourths k_fourths = fourths();

/// What 8, 25 and 43 and their negatives become in a sub-block of scale s where the largest of the block is t, as
/// bytes: 43 times the largest, 2 * t + 1, is 127. A digit is the index, or 4 more.
struct Levels {
  std::uint64_t of[16][16]; // [t][s]
};
constexpr std::uint32_t nearest(float v) {
  const auto whole = static_cast<std::uint32_t>(v);
  const float rest = v - static_cast<float>(whole);
  return whole + (rest > 0.5f || (rest == 0.5f && whole % 2 == 1) ? 1 : 0);
}
constexpr Levels levels() {
  Levels all{};
  for (int t = 0; t < 16; ++t)
    for (int s = 0; s <= t; ++s) {
      const float unit = static_cast<float>(2 * s + 1) * (127.0f / 43.0f / static_cast<float>(2 * t + 1));
      const float magnitude[3] = {8.0f, 25.0f, 43.0f};
      for (unsigned digit = 0; digit < 3; ++digit) {
        const std::uint64_t level = nearest(unit * magnitude[digit]);
        all.of[t][s] |= level << 8 * digit | (256 - level) % 256 << (8 * digit + 32);
      }
    }
  return all;
}
alignas(64) constexpr Levels k_levels = levels();

// Of two neighbouring elements of all groups, a nibble each: two bits of the digit, the sign, and whether the sub-block
// is the second one of its lane. The last is there once, in the lower nibble: a shuffle must not see it in bit 7.
constexpr std::uint64_t digits_map(unsigned pair) { // of four digits
  BitMap map{};
  for (unsigned e = 0; e < 2; ++e)
    for (unsigned bit = 0; bit < 2; ++bit)
      map.from[4 * e + bit] = static_cast<std::uint8_t>(1u << (4 * pair + 2 * e + bit));
  return map.matrix();
}
constexpr std::uint64_t signs_map(unsigned pair) { // of seven signs; the eighth is their parity
  BitMap map{};
  for (unsigned e = 0; e < 2; ++e)
    map.from[4 * e + 2] = static_cast<std::uint8_t>(2 * pair + e == 7 ? 0x7f : 1u << (2 * pair + e));
  return map.matrix();
}
constexpr std::uint64_t upper_map() {
  BitMap map{};
  for (unsigned bit = 0; bit < 4; ++bit)
    map.from[bit] = static_cast<std::uint8_t>(bit == 3 ? 1u << 3 : 1u << (4 + bit));
  return map.matrix();
}

} // namespace

/// Of each 32 elements the first of each four, then the second, ...: of all 256 before the next ones.
struct ByFour {
  SCF_INLINE void arrange(const std::byte* codes, int, U16 (&pieces)[4][k_tile], int t) {
    Z v[4]; // of 64 neighbours
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) v[i] = _mm512_permutexvar_epi8(load_z(k_fourths.at), load_z(codes + 64 * i));
    const Z a = _mm512_shuffle_i64x2(v[0], v[1], 0x44), b = _mm512_shuffle_i64x2(v[2], v[3], 0x44); // first, second
    const Z c = _mm512_shuffle_i64x2(v[0], v[1], 0xee), d = _mm512_shuffle_i64x2(v[2], v[3], 0xee); // third, fourth
    pieces[0][t] = (U16)_mm512_shuffle_i64x2(a, b, 0x88);
    pieces[1][t] = (U16)_mm512_shuffle_i64x2(a, b, 0xdd);
    pieces[2][t] = (U16)_mm512_shuffle_i64x2(c, d, 0x88);
    pieces[3][t] = (U16)_mm512_shuffle_i64x2(c, d, 0xdd);
  }
};

template <> struct OwnFill<FormatIQ2_XXS> {
  static constexpr bool exists = true;
  using Order = ByFour;
  struct Prepared {
    std::uint8_t top[k_units]; // the largest scale of each block
  };
  SCF_INLINE void prepare(Panel& panel, int r, const blocks::IQ2_XXS* const* block, int n, Prepared* out) {
    static_assert(k_units == 4 && k_rows_together == 8 && sizeof(Prepared) == 4);
    const int count = n / 256;
    const Z top = top_scales(block, count);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi16_epi8(top));
    const Z largest = _mm512_or_si512(_mm512_slli_epi16(top, 1), _mm512_set1_epi16(1));
    const Z in_order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const auto by_block = [&](Z of_rows) { // two of a row become eight rows of two
      return _mm512_permutexvar_ps(in_order, _mm512_cvtepi32_ps(of_rows));
    };
    const F even = by_block(_mm512_and_si512(largest, _mm512_set1_epi32(0xffff)));
    const F odd = by_block(_mm512_srli_epi32(largest, 16));
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) {
      if (u == count) return;
      alignas(16) std::uint16_t d[8];
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) __builtin_memcpy(d + i, &block[i][u].d, 2);
      const __m256 halves = _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(d)));
      const F both = u % 2 == 0 ? even : odd;
      const __m256 scales = u < 2 ? _mm512_castps512_ps256(both) : _mm512_extractf32x8_ps(both, 1);
      _mm256_store_ps(&panel.scale[u][r], scales * halves * _mm256_set1_ps(0.125f * 43 / 127));
    }
  }
  SCF_INLINE void row(Panel& panel, int r, const blocks::IQ2_XXS* block, int n, const Prepared& p, std::uint32_t flip) {
    int u = 0;
    for (; u + 2 <= n / 256; u += 2) two<true>(panel, r, u, block + u, p.top + u, flip);
    if (u < n / 256) two<false>(panel, r, u, block + u, p.top + u, flip);
  }

private:
  /// Of each sub-block a dword of four indices and one of four times seven signs, then the scale.
  SCF_INLINE Z load_words(const blocks::IQ2_XXS* block) {
    return load_z(reinterpret_cast<const std::byte*>(block) + 2);
  }
  SCF_INLINE Z sub_scales(Z words) { return _mm512_srli_epi64(words, 60); }
  SCF_INLINE Z either(Z a, Z b, Z c) { return _mm512_ternarylogic_epi32(a, b, c, 0xfe); }

  /// Of eight rows the largest scale of each of four blocks, a word each.
  SCF_INLINE Z top_scales(const blocks::IQ2_XXS* const* block, int count) {
    const auto scales = [&](int row) { // in the highest bits of words, one for each block and sub-block
      const auto words = [&](int u) { return load_words(block[row] + lesser(u, count - 1)); };
      const Z low =
          _mm512_mask_blend_epi16(0x22222222, _mm512_srli_epi64(words(0), 48), _mm512_srli_epi64(words(1), 32));
      const Z high = _mm512_mask_blend_epi16(0x88888888, _mm512_srli_epi64(words(2), 16), words(3));
      return _mm512_mask_blend_epi16(0xcccccccc, low, high);
    };
    Z rows[4]; // two each
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const Z a = scales(2 * i), b = scales(2 * i + 1);
      rows[i] = _mm512_max_epu16(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    }
    const auto halved = [&](Z a, Z b) {
      return _mm512_max_epu16(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
    };
    return _mm512_srli_epi16(halved(halved(rows[0], rows[1]), halved(rows[2], rows[3])), 12);
  }

  template <bool WHOLE>
  SCF_INLINE void two(Panel& panel, int r, int u, const blocks::IQ2_XXS* block, const std::uint8_t* top,
                      std::uint32_t flip) {
    const Z first = load_words(block), second = WHOLE ? load_words(block + 1) : _mm512_setzero_si512();
    // Of both in turns, two sub-blocks each.
    const Z even = _mm512_setr_epi32(0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30);
    const Z odd = _mm512_setr_epi32(1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
    const GroupBits bits =
        group_bits(_mm512_permutex2var_epi32(first, even, second), _mm512_permutex2var_epi32(first, odd, second));
    const Z digits[2] = {look_up(k_planes.digits[0], bits), look_up(k_planes.digits[1], bits)};
    const auto table = [&](Z words, int t) {
      return _mm512_permutex2var_epi64(load_z(k_levels.of[t]), sub_scales(words), load_z(k_levels.of[t] + 8));
    };
    const Z of_first = table(first, top[0]), of_second = WHOLE ? table(second, top[1]) : of_first;
#pragma GCC unroll 2
    for (unsigned pair = 0; pair < 2; ++pair) { // elements 0 and 1, 4 and 5, then 2 and 3, 6 and 7
      Z nibbles[2];
#pragma GCC unroll 2
      for (unsigned half = 0; half < 2; ++half)
        nibbles[half] =
            either(map_bits<0>(digits[half], digits_map(pair)), map_bits<0>(bits.signs, signs_map(2 * half + pair)),
                   _mm512_set1_epi64(0x0808080800000000)); // the second sub-block of a block's two
      const auto put = [&](int block_of_two, Z both, Z levels) {
        auto* pieces = panel.codes + 4 * (u + block_of_two) + 2 * pair;
        _mm512_store_si512(pieces[0][r], flipped(_mm512_shuffle_epi8(levels, both), flip));
        _mm512_store_si512(pieces[1][r], flipped(_mm512_shuffle_epi8(levels, map_bits<0>(both, upper_map())), flip));
      };
      put(0, _mm512_unpacklo_epi32(nibbles[0], nibbles[1]), of_first);
      if constexpr (WHOLE) put(1, _mm512_unpackhi_epi32(nibbles[0], nibbles[1]), of_second);
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
