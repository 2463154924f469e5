// Products of formats with a scale per 32 weights, 512 weights (a "group") at a time: every dword lane of a register
// belongs to one sub-block of 32, of which register j holds dword j. So sums stay integers over all eight registers,
// and one multiplication by 16 scales ends a group.
#pragma once

#include "kernels/vnni/wide.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// 512 weights plus 128, and the scale of each sub-block.
struct Group {
  Z code[8];
  F scale;
};

/// The activations opposite a group. `start`: what the sums begin with, for the 128 in every weight.
struct alignas(64) OppositeGroup {
  std::int8_t x[8][64];
  std::int32_t start[16];
  float scale[16];
};
SCF_INLINE void store_opposite(const Z (&x)[8], F scale, OppositeGroup& out) {
  Z sum = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    _mm512_store_si512(out.x[j], x[j]);
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), x[j]);
  }
  _mm512_store_si512(out.start, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
  _mm512_store_ps(out.scale, scale);
}

constexpr std::int64_t k_groups = 8; // of activations laid out at a time: 40 KB for eight tokens

template <int T> struct Stretch {
  Rows rows;
  std::int64_t whole; // groups
  bool half;          // and 256 weights more
  bool first;         // sets y, else adds to it
  const OppositeGroup (*x)[k_groups];
  float* y[T];
};

template <int T>
SCF_INLINE void add_group(const Group& group, const OppositeGroup (*x)[k_groups], std::int64_t i, F (&acc)[T]) {
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    const OppositeGroup& o = x[t][i];
    Z even = load_z(o.start);
    Z odd = _mm512_setzero_si512(); // two chains: one of eight is too long to overlap with others
#pragma GCC unroll 4
    for (int j = 0; j < 8; j += 2) {
      even = _mm512_dpbusd_epi32(even, group.code[j], load_z(o.x[j]));
      odd = _mm512_dpbusd_epi32(odd, group.code[j + 1], load_z(o.x[j + 1]));
    }
    acc[t] = fma(_mm512_cvtepi32_ps(_mm512_add_epi32(even, odd)), group.scale * load(o.scale), acc[t]);
  }
}

/// R rows side by side. A format says how many bytes a group has, how it becomes a `Group` and activations (with a
/// scale per `act_block`) what stands opposite, and how many rows ahead lines are wanted in the first level.
template <class Format, int R, int T> SCF_INLINE void rows_together(const Stretch<T>& s, std::int64_t r) {
  const std::byte* w = s.rows.w + r * s.rows.stride;
  const Ahead ahead = ahead_of(s.rows, r, R, Format::near_rows);
  F acc[R][T];
  for (int i = 0; i < R; ++i)
    for (F& a : acc[i]) a = zero();
  Group group;
  for (std::int64_t i = 0; i < s.whole; ++i, w += Format::bytes)
#pragma GCC unroll 2
    for (int j = 0; j < R; ++j) {
      const std::byte* p = w + j * s.rows.stride;
      fetch<Format::bytes / 64 * 64>(p, ahead); // of the few bytes more, most lie in the next group's lines
      Format::template unpack<true>(p, group);
      add_group(group, s.x, i, acc[j]);
    }
  for (int j = 0; j < R && s.half; ++j) {
    Format::template unpack<false>(w + j * s.rows.stride, group);
    add_group(group, s.x, s.whole, acc[j]);
  }
  for (int t = 0; t < T; ++t)
    for (int j = 0; j < R; ++j) s.y[t][r + j] = sum(acc[j][t]) + (s.first ? 0.0f : s.y[t][r + j]);
}
template <class Format, int T> [[gnu::noinline]] void group_rows(const Stretch<T>& s) {
  constexpr int R = T == 1 ? 2 : 1; // more tokens hide what a row costs by itself
  std::int64_t r = 0;
  for (; r + R <= s.rows.count; r += R) rows_together<Format, R>(s, r);
  for (; r < s.rows.count; ++r) rows_together<Format, 1>(s, r);
}

template <class Format, int T> void group_tokens(const GemmArgs& a, std::int64_t token) {
  OppositeGroup x[T][k_groups];
  const std::int64_t halves = a.k / 256;
  for (std::int64_t from = 0; from < halves; from += 2 * k_groups) {
    const std::int64_t n = lesser(2 * k_groups, halves - from);
    Stretch<T> s{rows_of(a), n / 2, n % 2 != 0, from == 0, x, {}};
    s.rows.w += from / 2 * Format::bytes;
    for (int t = 0; t < T; ++t) {
      const Row row = row_at(a, token + t, Format::act_block);
      for (std::int64_t i = 0; i < n; i += 2) Format::lay_opposite(row, from + i, i + 1 < n, x[t][i / 2]);
      s.y[t] = out_at(a, token + t);
    }
    group_rows<Format>(s);
  }
}

template <class Format> void few_groups(const GemmArgs& a) {
  std::int64_t t = 0;
  for (; t + 8 <= a.tokens; t += 8) group_tokens<Format, 8>(a, t);
  for (; t + 4 <= a.tokens; t += 4) group_tokens<Format, 4>(a, t);
  if (a.tokens - t == 3) return group_tokens<Format, 3>(a, t);
  if (a.tokens - t == 2) return group_tokens<Format, 2>(a, t);
  if (a.tokens - t == 1) return group_tokens<Format, 1>(a, t);
}

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
