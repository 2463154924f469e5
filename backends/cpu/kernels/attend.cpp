// Attention over shared key/value rows, and the indexer's scores. Rows are decoded to f32 in small tiles that stay in
// the first-level cache while all heads use them.
#include "kernels/dot_tile.hpp"
#include "kernels/families.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr std::int64_t k_tile_rows = 16;

/// Up to k_tile_rows rows of a segment as f32: pointers into it, or into `buffer`.
SCF_INLINE void load_rows(const Segment& s, std::int64_t begin, std::int64_t n, std::int64_t dim, float* buffer,
                          const float** rows) {
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t index = s.pick != nullptr ? s.pick[begin + i] : begin + i;
    const std::byte* p = s.base + static_cast<std::uint64_t>(index) * s.stride;
    if (s.half) {
      from_half(p, buffer + i * dim, dim);
      rows[i] = buffer + i * dim;
    } else {
      rows[i] = reinterpret_cast<const float*>(p);
    }
  }
}

/// score[h][r] = scale * q[h] . rows[r]
SCF_INLINE void score_tile(const float* q, std::int64_t heads, std::int64_t dim, const float* const* rows,
                           std::int64_t n, float (*score)[k_tile_rows]) {
  cover<k_tile_tokens>(n, heads, [&](auto R, std::int64_t r, auto T, std::int64_t h) {
    constexpr int nr = decltype(R)::value, nh = decltype(T)::value;
    const float *a[nr], *b[nh];
    for (int i = 0; i < nr; ++i) a[i] = rows[r + i];
    for (int i = 0; i < nh; ++i) b[i] = q + (h + i) * dim;
    float out[nr][nh];
    dot_tile<nr, nh>(a, b, dim, out);
    for (int i = 0; i < nr; ++i)
      for (int j = 0; j < nh; ++j) score[h + j][r + i] = out[i][j];
  });
}

/// One head's share of a tile: new maximum, weights, weighted sum.
SCF_INLINE void absorb(float* score, std::int64_t n, float scale, const float* const* rows, std::int64_t dim,
                       float& top, float& weights, float* o) {
  float high = top;
  for (std::int64_t r = 0; r < n; ++r) {
    score[r] *= scale;
    high = greater(high, score[r]);
  }
  float p[k_tile_rows + 1];
  for (std::int64_t r = 0; r < n; ++r) p[r] = score[r] - high;
  p[n] = top - high;
  each(n + 1, [&](std::int64_t i, auto part) { store(p + i, exp(load(p + i, part)), part); });
  const float keep = p[n];
  float added = 0;
  for (std::int64_t r = 0; r < n; ++r) added += p[r];
  weights = weights * keep + added;
  top = high;
  each(dim, [&](std::int64_t i, auto part) {
    F acc = load(o + i, part) * set1(keep);
    for (std::int64_t r = 0; r < n; ++r) acc = fma(set1(p[r]), load(rows[r] + i, part), acc);
    store(o + i, acc, part);
  });
}

} // namespace

void attend(const AttendArgs& args) {
  alignas(64) float buffer[k_tile_rows * k_attend_dim];
  float score[k_attend_heads][k_tile_rows];
  float top[k_attend_heads], weights[k_attend_heads];
  const float* rows[k_tile_rows];
  const std::int64_t dim = args.dim;
  for (std::int64_t h = 0; h < args.heads; ++h) {
    top[h] = args.sinks[h];
    weights[h] = 1.0f;
    for (std::int64_t i = 0; i < dim; ++i) args.o[h * dim + i] = 0.0f;
  }
  for (std::int64_t s = 0; s < args.n_segments; ++s) {
    const Segment& segment = args.segments[s];
    for (std::int64_t begin = 0; begin < segment.count; begin += k_tile_rows) {
      const std::int64_t n = lesser(k_tile_rows, segment.count - begin);
      load_rows(segment, begin, n, dim, buffer, rows);
      score_tile(args.q, args.heads, dim, rows, n, score);
      for (std::int64_t h = 0; h < args.heads; ++h)
        absorb(score[h], n, args.scale, rows, dim, top[h], weights[h], args.o + h * dim);
    }
  }
  for (std::int64_t h = 0; h < args.heads; ++h)
    scale_by(args.o + h * dim, 1.0f / weights[h], nullptr, args.o + h * dim, dim);
}

void index_score(const IndexScoreArgs& args) {
  alignas(64) float buffer[k_tile_rows * k_attend_dim];
  float score[k_attend_heads][k_tile_rows];
  const float* rows[k_tile_rows];
  for (std::int64_t begin = 0; begin < args.rows.count; begin += k_tile_rows) {
    const std::int64_t n = lesser(k_tile_rows, args.rows.count - begin);
    load_rows(args.rows, begin, n, args.dim, buffer, rows);
    score_tile(args.q, args.heads, args.dim, rows, n, score);
    for (std::int64_t r = 0; r < n; ++r) {
      float total = 0;
      for (std::int64_t h = 0; h < args.heads; ++h) total += greater(0.0f, score[h][r]) * args.w[h];
      args.out[begin + r] = total * args.scale;
    }
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
