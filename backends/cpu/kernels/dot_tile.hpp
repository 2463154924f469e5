// Register tiles of f32 dot products, the core of matmul, attention and indexer.
#pragma once

#include "kernels/simd.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// out[t][r] = a[r] . b[t] over n elements, for R rows and T columns.
/// Not inlined: among other code GCC 12 now and then keeps the sums in memory.
template <int R, int T>
[[gnu::noinline]] void dot_tile(const float* const (&a)[R], const float* const (&b)[T], std::int64_t n,
                                float (&out)[T][R]) {
  F acc[R][T];
  for (auto& row : acc)
    for (F& v : row) v = zero();
  each(n, [&](std::int64_t i, auto part) {
    F x[T];
    for (int t = 0; t < T; ++t) x[t] = load(b[t] + i, part);
    for (int r = 0; r < R; ++r) {
      const F w = load(a[r] + i, part);
      for (int t = 0; t < T; ++t) acc[r][t] = fma(w, x[t], acc[r][t]);
    }
  });
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    if constexpr (R == 4)
      store_sums(out[t], acc[0][t], acc[1][t], acc[2][t], acc[3][t]);
    else
      for (int r = 0; r < R; ++r) out[t][r] = sum(acc[r][t]);
  }
}

/// Calls tile(integral constant R, first row, integral constant T, first column) so that all of [0,rows) x [0,cols) is
/// covered: tiles of 4 x COLS, then what is left one by one.
template <int N> struct Count { static constexpr int value = N; };
template <int COLS, class Tile> SCF_INLINE void cover(std::int64_t rows, std::int64_t cols, Tile tile) {
  std::int64_t c = 0;
  for (; c + COLS <= cols; c += COLS) {
    std::int64_t r = 0;
    for (; r + 4 <= rows; r += 4) tile(Count<4>{}, r, Count<COLS>{}, c);
    for (; r < rows; ++r) tile(Count<1>{}, r, Count<COLS>{}, c);
  }
  for (; c < cols; ++c) {
    std::int64_t r = 0;
    for (; r + 4 <= rows; r += 4) tile(Count<4>{}, r, Count<1>{}, c);
    for (; r < rows; ++r) tile(Count<1>{}, r, Count<1>{}, c);
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
