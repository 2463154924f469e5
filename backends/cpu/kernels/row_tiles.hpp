// Tiles of cached rows as f32, and their dot products with all heads of a token: the core of attention and indexer.
#pragma once

#include "kernels/families.hpp"
#include "kernels/simd.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct RowAt {
  const std::byte* data;
  bool half; // f16, else f32
};

/// Walks the rows of several segments, one segment after another.
class RowReader {
public:
  RowReader(const Segment* segments, std::int64_t n) : segment_(segments), end_(segments + n) {}

  /// Up to `most` further rows. Returns how many.
  std::int64_t point(std::int64_t most, RowAt* out) {
    std::int64_t n = 0;
    while (n < most && segment_ < end_) {
      const Segment& s = *segment_;
      const std::int64_t count = lesser(most - n, s.count - at_);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t index = s.pick != nullptr ? s.pick[at_ + i] : at_ + i;
        out[n++] = {s.base + static_cast<std::uint64_t>(index) * s.stride, s.half};
      }
      at_ += count;
      if (at_ < s.count) break;
      ++segment_;
      at_ = 0;
    }
    return n;
  }
  /// The same, decoded: rows of f32, `stride` elements apart.
  std::int64_t read(std::int64_t most, std::int64_t dim, float* out, std::int64_t stride) {
    std::int64_t n = 0;
    for (RowAt row; n < most && point(1, &row) == 1; ++n)
      if (row.half)
        from_half(row.data, out + n * stride, dim);
      else
        __builtin_memcpy(out + n * stride, row.data, static_cast<std::size_t>(dim) * sizeof(float));
    return n;
  }

private:
  const Segment *segment_, *end_;
  std::int64_t at_ = 0; // row of the segment
};

/// score[h * score_stride + r] = q[h] . rows[r] for T heads and 4 rows.
template <int T>
SCF_INLINE void score_4_rows(const float* q, std::int64_t dim, const float* const (&rows)[4], float* score,
                             std::int64_t score_stride) {
  F acc[4][T];
  for (auto& of_row : acc)
    for (F& v : of_row) v = zero();
  each(dim, [&](std::int64_t i, auto part) {
    F x[T];
    for (int t = 0; t < T; ++t) x[t] = load(q + t * dim + i, part);
    for (int r = 0; r < 4; ++r) {
      const F w = load(rows[r] + i, part);
      for (int t = 0; t < T; ++t) acc[r][t] = fma(w, x[t], acc[r][t]);
    }
  });
  for (int t = 0; t < T; ++t) store_sums(score + t * score_stride, acc[0][t], acc[1][t], acc[2][t], acc[3][t]);
}

/// Scores of all heads with n rows, `row_stride` elements apart. score_stride >= n rounded up to 4, and so far it is
/// written.
SCF_INLINE void score_rows(const float* q, std::int64_t heads, std::int64_t dim, const float* rows,
                           std::int64_t row_stride, std::int64_t n, float* score, std::int64_t score_stride) {
  constexpr std::int64_t tile = 16; // rows that stay in the first-level cache
  for (std::int64_t begin = 0; begin < n; begin += tile) {
    const std::int64_t end = lesser(n, begin + tile);
    cover_by<k_tile_tokens>(heads, [&](auto T, std::int64_t h) {
      for (std::int64_t r = begin; r < end; r += 4) {
        const float* p[4];
        for (std::int64_t i = 0; i < 4; ++i) p[i] = rows + lesser(r + i, n - 1) * row_stride;
        score_4_rows<decltype(T)::value>(q + h * dim, dim, p, score + h * score_stride + r, score_stride);
      }
    });
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
