// Products of 1 to 8 quantised tokens with 64 weights to a register, for sets with AVX-512 VNNI: what the formats
// share. A few rows side by side, each weight unpacked once for all tokens. Inside a block of 256 everything is an
// integer, and one float multiplication ends the block.
#pragma once

#include "kernels/formats.hpp"
#include "kernels/quantised_rows.hpp"
#include "kernels/vnni/z_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// 256 weights in four registers, the scale of every lane beside them (IQ2_XXS: the same one for all four).
struct Codes {
  Z c[4], s[4];
};
/// The 256 activations opposite; `start`: what the sums begin with.
struct Opposite256 {
  Z x[4], start;
};

/// Factors of 8 blocks with a token's scales, (d, dmin) of one after the other.
struct alignas(64) Units {
  float of[16];
};
/// Those of `n` rows' blocks from `block` on, 8 of them where there are as many left: f16 pairs, converted together.
template <class Wide, int R, int T>
SCF_INLINE void load_units(const typename Wide::Block* const (&w)[R], const Row (&x)[T], std::int64_t block,
                           std::int64_t left, Units (&out)[R][T]) {
  const auto some = static_cast<__mmask8>((1u << lesser<std::int64_t>(8, left)) - 1u);
  const __m256i at = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                        _mm256_set1_epi32(static_cast<int>(sizeof(typename Wide::Block))));
  F units[R];
  for (int r = 0; r < R; ++r) {
    const std::byte* first = reinterpret_cast<const std::byte*>(w[r] + block) + Wide::units_at;
    units[r] = _mm512_cvtph_ps(_mm256_mmask_i32gather_epi32(_mm256_setzero_si256(), some, at, first, 1));
  }
  const Z twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  for (int t = 0; t < T; ++t) {
    const F scales = _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(some, x[t].scales + block)) * set1(Wide::unit);
    for (int r = 0; r < R; ++r) _mm512_store_ps(out[r][t].of, units[r] * scales);
  }
}

/// A format `Wide`: how a block becomes `Codes`, which activations stand opposite, and the sum of the products in
/// integers; two factors make it a number.
template <class Wide, int R, int T> SCF_INLINE void wide_rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
  const typename Wide::Block* w[R];
  Row x[T];
  F acc[R][T];
  for (int r = 0; r < R; ++r)
    w[r] = reinterpret_cast<const typename Wide::Block*>(a.w + static_cast<std::uint64_t>(row + r) * a.w_stride);
  for (int t = 0; t < T; ++t) {
    x[t] = row_at(a, token + t, 256);
    for (int r = 0; r < R; ++r) acc[r][t] = zero();
  }
  const Ahead ahead = ahead_of(rows_of(a), row, R, R);
  Units units[R][T];
  for (std::int64_t i = 0; i < a.k / 256; ++i) {
    if (i % 8 == 0) load_units<Wide, R, T>(w, x, i, a.k / 256 - i, units);
    typename Wide::Opposite xs[T];
    for (int t = 0; t < T; ++t) Wide::opposite(x[t].codes + 256 * i, xs[t]);
    fetch<R * sizeof(typename Wide::Block)>(w[0] + R * i, ahead);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const typename Wide::Block& block = w[r][i];
      Codes u;
      Wide::unpack(block, u);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const float* unit = units[r][t].of + 2 * (i % 8);
        acc[r][t] = fma(_mm512_cvtepi32_ps(Wide::multiply(u, xs[t])), set1(unit[0]), acc[r][t]);
        if constexpr (Wide::has_min) acc[r][t] = acc[r][t] - Wide::minima(block) * Wide::sums(x[t], i) * set1(unit[1]);
      }
    }
  }
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) out_at(a, token + t)[row + r] = sum(acc[r][t]);
}

template <class Wide> struct WideProduct {
  static constexpr int rows_of_one = 4;
  template <int R, int T> SCF_INLINE void rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
    wide_rows<Wide, R, T>(a, row, token);
  }
};

template <class Product, int R, int T> [[gnu::noinline]] void all_rows(const GemmArgs& a, std::int64_t token) {
  std::int64_t row = 0;
  for (; row + R <= a.rows; row += R) Product::template rows<R, T>(a, row, token);
  if constexpr (R != 1)
    for (; row < a.rows; ++row) Product::template rows<1, T>(a, row, token);
}

/// A product: rows<R, T>, and how many rows side by side suit one token.
/// Tokens 1 to 8; seven are a pass of four and one of three, and so on.
template <class Product> void few(const GemmArgs& a) {
  std::int64_t t = 0;
  for (; t + 8 <= a.tokens; t += 8) all_rows<Product, 2, 8>(a, t);
  for (; t + 4 <= a.tokens; t += 4) all_rows<Product, 2, 4>(a, t);
  if (a.tokens - t == 3) return all_rows<Product, 2, 3>(a, t);
  if (a.tokens - t == 2) return all_rows<Product, 2, 2>(a, t);
  if (a.tokens - t == 1) return all_rows<Product, Product::rows_of_one, 1>(a, t);
}

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
