// 16 rows x 16, 32 or 48 tokens with AVX-512 VNNI. Four codes of a row are the same in all lanes, and unsigned: 128 is
// added to signed ones, and the sums begin with -128 times the activations' sum.
#pragma once

#include "kernels/panels/panels.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct Micro {
  static constexpr bool biased = true;

  template <class Panel> SCF_INLINE void begin() {}
  SCF_INLINE void end() {}

  template <class Panel> SCF_INLINE void prepare(TokenTile& x, int n) {
    if constexpr (Panel::is_signed)
      for (int b = 0; b < n / Panel::sub; ++b) {
        __m512i sum = _mm512_setzero_si512();
        for (int j = 0; j < Panel::sub / 4; ++j)
          sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), codes(x, b * (Panel::sub / 4) + j));
        _mm512_store_si512(x.start[b], _mm512_sub_epi32(_mm512_setzero_si512(), sum));
      }
  }

  template <class Panel>
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int n, float (*y)[16][16]) {
    int t = 0;
    for (; t + 3 <= count; t += 3)
      for (int r = 0; r < 16; r += 4) rows<4, 3>(panel, r, tiles + t, n, y + t);
    if (count - t == 2)
      for (int r = 0; r < 16; r += 4) rows<4, 2>(panel, r, tiles + t, n, y + t);
    if (count - t == 1)
      for (int r = 0; r < 16; r += 8) rows<8, 1>(panel, r, tiles + t, n, y + t);
  }

private:
  SCF_INLINE __m512i codes(const TokenTile& x, int word) { return _mm512_load_si512(x.codes[word]); }
  template <int R, int T> SCF_INLINE void store_all(const F (&acc)[R][T], int first, float (*y)[16][16]) {
    for (int t = 0; t < T; ++t)
      for (int r = 0; r < R; ++r) store(y[t][first + r], acc[r][t]);
  }

  template <int R, int T> SCF_INLINE void clear(F (&v)[R][T]) {
    for (auto& row : v)
      for (F& f : row) f = zero();
  }
  /// Adds four elements of k: weights(r) points at a row's, tokens(t) at a tile's.
  template <int R, int T, class Weights, class Tokens>
  SCF_INLINE void dot(__m512i (&s)[R][T], Weights weights, Tokens tokens) {
    __m512i v[T];
#pragma GCC unroll 3
    for (int t = 0; t < T; ++t) v[t] = _mm512_load_si512(tokens(t));
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const __m512i w = _mm512_set1_epi32(static_cast<int>(load_u32(weights(r))));
#pragma GCC unroll 3
      for (int t = 0; t < T; ++t) s[r][t] = _mm512_dpbusd_epi32(s[r][t], w, v[t]);
    }
  }
  /// Adds the sums times both scales.
  template <int R, int T, class Scale>
  SCF_INLINE void absorb(F (&acc)[R][T], const __m512i (&s)[R][T], const float* rows, Scale scale) {
#pragma GCC unroll 3
    for (int t = 0; t < T; ++t) {
      const F x = load(scale(t));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[r][t] = fma(_mm512_cvtepi32_ps(s[r][t]), x * set1(rows[r]), acc[r][t]);
    }
  }

  template <int R, int T, int SUB, bool SIGNED, bool MIN, int PER>
  SCF_INLINE void rows(const ScaledPanel<SUB, SIGNED, MIN, PER>& panel, int first, const TokenTile* x, int n,
                       float (*y)[16][16]) {
    F acc[R][T];
    clear(acc);
    for (int b = 0; b < n / SUB; ++b) {
      __m512i s[R][T];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) s[r][t] = SIGNED ? _mm512_load_si512(x[t].start[b]) : _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int j = 0; j < SUB / 4; ++j)
        dot(
            s, [&](int r) { return panel.codes[b][first + r] + 4 * j; },
            [&](int t) { return x[t].codes[b * (SUB / 4) + j]; });
      absorb(acc, s, panel.scale[b] + first, [&](int t) { return x[t].scale[b * SUB / PER]; });
      if constexpr (MIN)
        for (int t = 0; t < T; ++t)
          for (int r = 0; r < R; ++r) acc[r][t] = fma(load(x[t].sums[b]), set1(-panel.min[b][first + r]), acc[r][t]);
    }
    store_all(acc, first, y);
  }

  template <int R, int T>
  SCF_INLINE void rows(const FoldedPanel& panel, int first, const TokenTile* x, int n, float (*y)[16][16]) {
    F acc[R][T];
    clear(acc);
    for (int i = 0; i < n / 256; ++i) {
      __m512i sum[R][T] = {}, min[R][T] = {};
      const auto scale = [&](int t) { return x[t].scale[i]; };
      const auto minima = [&](int part) { // of the sums' high or low parts
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j)
          dot(
              min, [&](int r) { return panel.min[i][first + r] + 4 * j; },
              [&](int t) { return x[t].cut[i][part + j]; });
      };
      minima(0);
      for (auto& row : min)
        for (__m512i& v : row) v = _mm512_slli_epi32(v, 6);
      minima(4);
      absorb(acc, min, panel.min_scale[i] + first, scale);
      for (int j = 0; j < 4; ++j)
#pragma GCC unroll 16
        for (int word = 0; word < 16; ++word)
          dot(
              sum, [&](int r) { return panel.codes[4 * i + j][first + r] + 4 * word; },
              [&](int t) { return x[t].codes[64 * i + 16 * j + word]; });
      absorb(acc, sum, panel.scale[i] + first, scale);
    }
    store_all(acc, first, y);
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
