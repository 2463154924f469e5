// Panels from Q8_0, Q2_K and Q4_K with AVX-512. Q8_0's codes are multiplied by their block's share of the largest
// scale; the others' codes pick from a table that each sub-block makes of its scale and minimum.
#pragma once

#include "kernels/panels/panels.hpp"
#include "kernels/vnni/z_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

SCF_INLINE float largest_of(__m256 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
/// (a & mask) | b
SCF_INLINE Z masked_or(Z a, Z mask, Z b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xea); }
SCF_INLINE Z flipped(Z v, std::uint32_t flip) { return _mm512_xor_si512(v, _mm512_set1_epi32(static_cast<int>(flip))); }

template <> struct OwnFill<FormatQ8_0> {
  static constexpr bool exists = true;
  using Order = PlainOrder;
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q8_0* block, int n, std::uint32_t flip) {
    const __m256i at = _mm256_setr_epi32(0, 34, 68, 102, 136, 170, 204, 238);
    const Z pair = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(1), 1); // words 0-15 and 16-31
    for (int u = 0; u < n / 256; ++u, block += 8) {
      const __m256i halves = _mm256_i32gather_epi32(reinterpret_cast<const int*>(block), at, 1);
      const __m256 d = _mm256_cvtph_ps(_mm256_cvtepi32_epi16(halves));
      const float largest = largest_of(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), d));
      const __m256 share = _mm256_mul_ps(d, _mm256_set1_ps(largest > 0 ? 32767.0f / largest : 0.0f));
      const Z factors = _mm512_castsi128_si512(_mm256_cvtepi32_epi16(_mm256_cvtps_epi32(share))); // of 32768
      panel.scale[u][r] = _mm256_cmp_ps_mask(d, d, _CMP_UNORD_Q) == 0 ? largest : __builtin_nanf("");
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Z factor =
            _mm512_permutexvar_epi16(_mm512_add_epi16(pair, _mm512_set1_epi16(static_cast<short>(2 * i))), factors);
        const Z codes = join_z(block[2 * i].q, block[2 * i + 1].q);
        const Z even = _mm512_srai_epi16(_mm512_slli_epi16(codes, 8), 8), odd = _mm512_srai_epi16(codes, 8);
        const Z low = _mm512_and_si512(_mm512_mulhrs_epi16(even, factor), _mm512_set1_epi16(255));
        const Z high = _mm512_slli_epi16(_mm512_mulhrs_epi16(odd, factor), 8);
        _mm512_store_si512(panel.codes[4 * u + i][r], flipped(_mm512_or_si512(low, high), flip));
      }
    }
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
/// Each lane holds values of its block.
SCF_INLINE Units units_for(F largest) {
  largest = _mm512_max_ps(_mm512_permute_ps(largest, 0x4e), largest);
  largest = _mm512_max_ps(_mm512_permute_ps(largest, 0xb1), largest);
  return {largest * set1(1.0f / 127), _mm512_rcp14_ps(largest) * set1(127.0f * 256)};
}
SCF_INLINE void put_scales(Panel& panel, int r, F scale, int count) {
  const __m128 four = _mm512_castps512_ps128(
      _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), scale));
  alignas(16) float of[4];
  _mm_store_ps(of, four);
  for (int u = 0; u < count; ++u) panel.scale[u][r] = of[u];
}
/// Largest of |top * s - m| and |m|. Numbers that are none come through: they stand second.
SCF_INLINE F largest_value(F s, F m, float top) {
  return _mm512_max_ps(_mm512_abs_ps(m), _mm512_abs_ps(fma(s, set1(top), zero() - m)));
}

template <> struct OwnFill<FormatQ2_K> {
  static constexpr bool exists = true;
  using Order = Halves<0, 128, 32, 160, 64, 192, 96, 224>;
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q2_K* block, int n, std::uint32_t flip) {
    static_assert(k_units == 4);
    const int count = n / 256;
    F s[4], m[4], most[4];
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) {
      const blocks::Q2_K& b = block[lesser(u, count - 1)];
      const F d = _mm512_cvtph_ps(_mm256_set1_epi32(static_cast<int>(load_u32(&b.d)))); // and dmin, in turns
      const Z sc = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b.sc)));
      s[u] = _mm512_cvtepi32_ps(_mm512_and_si512(sc, _mm512_set1_epi32(15))) * _mm512_moveldup_ps(d);
      m[u] = _mm512_cvtepi32_ps(_mm512_srli_epi32(sc, 4)) * _mm512_movehdup_ps(d);
      most[u] = largest_value(s[u], m[u], 3);
    }
    const F first =
        _mm512_max_ps(_mm512_shuffle_f32x4(most[0], most[1], 0x88), _mm512_shuffle_f32x4(most[0], most[1], 0xdd));
    const F last =
        _mm512_max_ps(_mm512_shuffle_f32x4(most[2], most[3], 0x88), _mm512_shuffle_f32x4(most[2], most[3], 0xdd));
    const Units units =
        units_for(_mm512_max_ps(_mm512_shuffle_f32x4(first, last, 0x88), _mm512_shuffle_f32x4(first, last, 0xdd)));
    put_scales(panel, r, units.scale, count);
    const auto block_row = [&](int u, F inverse) {
      const Z levels = four_levels(s[u] * inverse, fma(zero() - m[u], inverse, set1(128)));
      const Z q = load_z(block[u].q);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) { // 32 elements of each half: sub-blocks 2i, 2i+1, 8+2i, 9+2i
        const Z lanes = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 8, 8, 8, 8, 9, 9, 9, 9);
        const Z table = _mm512_permutexvar_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(2 * i)), levels);
        const Z codes = _mm512_and_si512(_mm512_srli_epi16(q, static_cast<unsigned>(2 * i)), _mm512_set1_epi8(3));
        _mm512_store_si512(panel.codes[4 * u + i][r], flipped(_mm512_shuffle_epi8(table, codes), flip));
      }
    };
    block_row(0, _mm512_shuffle_f32x4(units.inverse, units.inverse, 0x00));
    if (count > 1) block_row(1, _mm512_shuffle_f32x4(units.inverse, units.inverse, 0x55));
    if (count > 2) block_row(2, _mm512_shuffle_f32x4(units.inverse, units.inverse, 0xaa));
    if (count > 3) block_row(3, _mm512_shuffle_f32x4(units.inverse, units.inverse, 0xff));
  }

private:
  /// (code * factor + offset) / 256 of codes 0 to 3 as the bytes of each lane.
  SCF_INLINE Z four_levels(F factor, F offset) {
    const Z both = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    const Z step = _mm512_shuffle_epi8(_mm512_cvtps_epi32(factor), both);
    const Z first = _mm512_shuffle_epi8(_mm512_cvtps_epi32(offset), both);
    const Z low = _mm512_add_epi16(_mm512_mullo_epi16(step, _mm512_set1_epi32(2 << 16)), first); // codes 0 and 2
    return masked_or(_mm512_add_epi16(low, step), _mm512_set1_epi16(-256), _mm512_srli_epi16(low, 8));
  }
};

template <> struct OwnFill<FormatQ4_K> {
  static constexpr bool exists = true;
  using Order = Halves<0, 64, 32, 96, 128, 192, 160, 224>;
  SCF_INLINE void row(Panel& panel, int r, const blocks::Q4_K* block, int n, std::uint32_t flip) {
    static_assert(k_units == 4);
    const int count = n / 256;
    F s[2], m[2], most[2]; // eight sub-blocks of two blocks
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const blocks::Q4_K &b = block[lesser(2 * i, count - 1)], &c = block[lesser(2 * i + 1, count - 1)];
      const ScaleBytes of_b = scale_bytes(b), of_c = scale_bytes(c);
      const __m256i halves = _mm256_mask_set1_epi32(_mm256_set1_epi32(static_cast<int>(load_u32(&b.d))), 0xf0,
                                                    static_cast<int>(load_u32(&c.d)));
      const F d = _mm512_cvtph_ps(halves); // and dmin, in turns
      s[i] = bytes_to_floats(of_b.scale, of_c.scale) * _mm512_moveldup_ps(d);
      m[i] = bytes_to_floats(of_b.min, of_c.min) * _mm512_movehdup_ps(d);
      most[i] = largest_value(s[i], m[i], 15);
    }
    const Units units = units_for(
        _mm512_max_ps(_mm512_shuffle_f32x4(most[0], most[1], 0x88), _mm512_shuffle_f32x4(most[0], most[1], 0xdd)));
    put_scales(panel, r, units.scale, count);
    const auto two_blocks = [&](int i, F inverse) {
      const Z factors = words(s[i] * inverse), offsets = words(fma(zero() - m[i], inverse, set1(128)));
      for (int u = 2 * i; u < lesser(count, 2 * i + 2); ++u)
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) { // low nibbles are of sub-blocks 4h and 4h+2, high ones of the next
          const int sub = 8 * (u % 2) + 4 * half;
          const Z q = load_z(block[u].q + 64 * half), low = _mm512_set1_epi8(15);
          const Z a = _mm512_shuffle_epi8(tables(factors, offsets, sub), _mm512_and_si512(q, low));
          const Z b =
              _mm512_shuffle_epi8(tables(factors, offsets, sub + 1), _mm512_and_si512(_mm512_srli_epi16(q, 4), low));
          _mm512_store_si512(panel.codes[4 * u + 2 * half][r], flipped(a, flip));
          _mm512_store_si512(panel.codes[4 * u + 2 * half + 1][r], flipped(b, flip));
        }
    };
    two_blocks(0, _mm512_shuffle_f32x4(units.inverse, units.inverse, 0x50));
    if (count > 2) two_blocks(1, _mm512_shuffle_f32x4(units.inverse, units.inverse, 0xfa));
  }

private:
  SCF_INLINE F bytes_to_floats(std::uint64_t low, std::uint64_t high) {
    const __m128i bytes = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
  }
  SCF_INLINE Z words(F v) { return _mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v))); }
  /// What codes 0 to 15 of a sub-block (lower half) and of the next but one become: (code * factor + offset) / 256.
  SCF_INLINE Z tables(Z factors, Z offsets, int sub) {
    const Z next = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
    const Z which = _mm512_add_epi16(next, _mm512_set1_epi16(static_cast<short>(sub)));
    const Z factor = _mm512_permutexvar_epi16(which, factors), offset = _mm512_permutexvar_epi16(which, offsets);
    const Z even_codes = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 2, 4, 6, 8, 10, 12, 14));
    const Z low = _mm512_add_epi16(_mm512_mullo_epi16(factor, even_codes), offset);
    return masked_or(_mm512_add_epi16(low, factor), _mm512_set1_epi16(-256), _mm512_srli_epi16(low, 8));
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
