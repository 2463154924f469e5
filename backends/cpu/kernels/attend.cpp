// Attention over shared key/value rows. Rows are decoded to f32 a chunk at a time; the softmax goes along from chunk to
// chunk, and the sums of weighted rows with it. Both products hold a register tile of sums: heads x rows for the
// scores, heads x columns for the weighted rows.
#include "kernels/families.hpp"
#include "kernels/row_tiles.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr std::int64_t k_chunk = 96; // rows decoded at once
static_assert(k_chunk % k_lanes == 0 && k_chunk % 4 == 0);

/// What the softmax of one head carries from chunk to chunk.
struct Running {
  float top, weights;
  float keep; // what the sums so far are worth after this chunk's maximum
};

/// Scores of a chunk become weights. `score` has room for whole vectors.
SCF_INLINE void weigh(float* score, std::int64_t n, float scale, Running& head) {
  for (std::int64_t r = n; r % k_lanes != 0; ++r) score[r] = -__builtin_inff();
  F high = set1(head.top);
  for (std::int64_t r = 0; r < n; r += k_lanes) {
    const F s = load(score + r) * set1(scale);
    store(score + r, s);
    high = max(high, s);
  }
  const float now = top(high);
  F total = zero();
  for (std::int64_t r = 0; r < n; r += k_lanes) {
    const F p = exp(load(score + r) - set1(now)); // of -inf: 1e-38, which adds nothing to sums of 1 and more
    store(score + r, p);
    total = total + p;
  }
  float keep[k_lanes];
  store(keep, exp(set1(head.top - now)));
  head.keep = keep[0];
  head.weights = head.weights * head.keep + sum(total);
  head.top = now;
}

/// o[h] = o[h] * keep + sum over rows of p[h][r] * rows[r], for H heads and V vectors of columns.
template <int H, int V, class Extent>
SCF_INLINE void mix_tile(const float* p, const Running* head, const float* rows, std::int64_t row_stride,
                         std::int64_t n, bool first, float* o, std::int64_t dim, Extent extent) {
  F acc[H][V];
  for (int h = 0; h < H; ++h)
    for (int v = 0; v < V; ++v)
      acc[h][v] = first ? zero() : load(o + h * dim + v * k_lanes, extent) * set1(head[h].keep);
  for (std::int64_t r = 0; r < n; ++r) {
    F w[H];
    for (int h = 0; h < H; ++h) w[h] = set1(p[h * k_chunk + r]);
    for (int v = 0; v < V; ++v) {
      const F x = load(rows + r * row_stride + v * k_lanes, extent);
      for (int h = 0; h < H; ++h) acc[h][v] = fma(w[h], x, acc[h][v]);
    }
  }
  for (int h = 0; h < H; ++h)
    for (int v = 0; v < V; ++v) store(o + h * dim + v * k_lanes, acc[h][v], extent);
}

/// Columns outside, so that those of all rows stay in the first-level cache while all heads use them.
SCF_INLINE void mix_chunk(const AttendArgs& a, const float* p, const Running* head, const float* rows,
                          std::int64_t row_stride, std::int64_t n, bool first) {
  const auto columns = [&](auto V, std::int64_t c, auto extent) {
    cover_by<k_tile_tokens>(a.heads, [&](auto H, std::int64_t h) {
      mix_tile<decltype(H)::value, decltype(V)::value>(p + h * k_chunk, head + h, rows + c, row_stride, n, first,
                                                       a.o + h * a.dim + c, a.dim, extent);
    });
  };
  std::int64_t c = 0;
  for (; c + 4 * k_lanes <= a.dim; c += 4 * k_lanes) columns(Size<4>{}, c, Whole{});
  each(a.dim - c, [&](std::int64_t i, auto part) { columns(Size<1>{}, c + i, part); });
}

} // namespace

std::uint64_t attend_scratch(std::int64_t heads, std::int64_t dim, [[maybe_unused]] bool act8) {
  std::uint64_t bytes =
      static_cast<std::uint64_t>(k_chunk * (attend_stride(dim) + heads) + heads * dim) * sizeof(float);
#ifdef SCF_HAS_TILES
  bytes = greater(bytes, attend_tiles_scratch(heads, dim, act8));
#endif
  return up_to_line(bytes);
}

std::int64_t attend_together([[maybe_unused]] std::int64_t heads, [[maybe_unused]] std::int64_t dim,
                             [[maybe_unused]] bool rounded) {
#ifdef SCF_HAS_TILES
  if (attend_tiles_takes(heads, dim, rounded)) return k_attend_tokens;
#endif
  return 1;
}

void attend(const AttendArgs& args) {
#ifdef SCF_HAS_TILES
  if (attend_tiles_takes(args.heads, args.dim, args.rounded)) return attend_tiles(args);
#endif
  if (args.before != nullptr) args.before(args.context, 0);
  const std::int64_t stride = attend_stride(args.dim);
  auto* rows = reinterpret_cast<float*>(args.scratch);
  float* score = rows + k_chunk * stride;
  const float* q = args.q;
  if (q == args.o) { // needed for each chunk, the results too
    float* copy = score + k_chunk * args.heads;
    __builtin_memcpy(copy, q, static_cast<std::size_t>(args.heads * args.dim) * sizeof(float));
    q = copy;
  }
  Running head[k_attend_heads];
  for (std::int64_t h = 0; h < args.heads; ++h) head[h] = {args.sinks[h], 1.0f, 0.0f};
  RowReader reader(args.segments, args.n_segments);
  bool first = true;
  while (const std::int64_t n = reader.read(k_chunk, args.dim, rows, stride)) {
    score_rows(q, args.heads, args.dim, rows, stride, n, score, k_chunk);
    for (std::int64_t h = 0; h < args.heads; ++h) weigh(score + h * k_chunk, n, args.scale, head[h]);
    mix_chunk(args, score, head, rows, stride, n, first);
    first = false;
  }
  for (std::int64_t h = 0; h < args.heads; ++h) {
    float* o = args.o + h * args.dim;
    if (first) __builtin_memset(o, 0, static_cast<std::size_t>(args.dim) * sizeof(float)); // no rows: the sink has all
    scale_by(o, 1.0f / head[h].weights, nullptr, o, args.dim);
  }
  if (args.after != nullptr) args.after(args.context, 0);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
