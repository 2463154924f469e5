// 32 rows x 16, 32 or 48 tokens with AVX-512 VNNI. Four codes of a row are the same in all lanes, and unsigned: 128 is
// added to them, and the sums begin with -128 times the activations' sum.
#pragma once

#include "kernels/panels/panels.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct Micro {
  static constexpr bool biased = true, unpacks_beside = false;

  SCF_INLINE void begin() {}
  SCF_INLINE void end() {}
  SCF_INLINE void prepare(TokenTile& x, int first, int units) {
    for (int u = first; u < first + units; ++u) {
      __m512i sum = _mm512_setzero_si512();
      for (int w = 0; w < 64; ++w)
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), _mm512_load_si512(x.codes[64 * u + w]));
      _mm512_store_si512(x.start[u], _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    }
  }

  /// sums[t] += panel x tiles[t], of `units` blocks of 256; `first`: sums begin with this.
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int units, TileSums* sums, bool first,
                       const Beside& beside) {
    if (first) __builtin_memset(sums, 0, static_cast<std::size_t>(count) * sizeof *sums);
    int t = 0, line = 0;
    LineWalk walk(beside);
    const auto fetch = [&] { // in the fewest rounds that there are
      const int end = lesser(beside.lines, line + (beside.lines + 3) / 4);
      while (line < end) {
        const Lines lines = walk.next(end);
        for (int i = 0; i < lines.count; ++i) Lines::fetch(lines.first + lines.stride * static_cast<unsigned>(i));
        line += lines.count;
      }
    };
    for (; t + 3 <= count; t += 3)
      for (int r = 0; r < k_panel_rows; r += 4, fetch()) some<4, 3>(panel, r, tiles + t, units, sums + t);
    if (count - t == 2)
      for (int r = 0; r < k_panel_rows; r += 4, fetch()) some<4, 2>(panel, r, tiles + t, units, sums + t);
    if (count - t == 1)
      for (int r = 0; r < k_panel_rows; r += 8, fetch()) some<8, 1>(panel, r, tiles + t, units, sums + t);
  }

private:
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

  template <int R, int T>
  SCF_INLINE void some(const Panel& panel, int first, const TokenTile* x, int units, TileSums* sums) {
    for (int u = 0; u < units; ++u) {
      __m512i s[R][T];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) s[r][t] = _mm512_load_si512(x[t].start[u]);
      for (int i = 4 * u; i < 4 * u + 4; ++i)
#pragma GCC unroll 16
        for (int w = 0; w < 16; ++w)
          dot(
              s, [&](int r) { return panel.codes[i][first + r] + 4 * w; },
              [&](int t) { return x[t].codes[16 * i + w]; });
#pragma GCC unroll 3
      for (int t = 0; t < T; ++t) {
        const F scale = load(x[t].scale[u]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          float* sum = sums[t].sum[first + r];
          store(sum, fma(_mm512_cvtepi32_ps(s[r][t]), scale * set1(panel.scale[u][first + r]), load(sum)));
        }
      }
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
