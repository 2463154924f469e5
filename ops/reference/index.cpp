// The lightning indexer: which compressed rows a token looks at.
#include "ops/reference/families.hpp"
#include "ops/reference/row_math.hpp"
#include "ops/reference/rows.hpp"
#include "ops/reference/scratch.hpp"

#include <limits>

namespace seacliff::reference {
namespace {

constexpr float k_hidden = -std::numeric_limits<float>::infinity();

/// Sum over heads of max(0, key·iq_h)·w_h.
double row_score(const float* key, const float* iq, const float* weights, std::int64_t heads, std::int64_t width) {
  double sum = 0;
  for (std::int64_t h = 0; h < heads; ++h) sum += std::max(0.0, dot(iq + h * width, key, width)) * weights[h];
  return sum;
}

/// The k = sel.size() rows with the largest scores, ascending, then -1. `order` has room for scores.size() indices.
void select_rows(std::span<const float> scores, std::int32_t* order, std::span<std::int32_t> sel) {
  std::int32_t* end = order;
  for (std::size_t c = 0; c < scores.size(); ++c)
    if (scores[c] > k_hidden) *end++ = static_cast<std::int32_t>(c); // not for NaN
  const auto better = [&](std::int32_t a, std::int32_t b) {
    const float x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const std::ptrdiff_t kept = std::min<std::ptrdiff_t>(end - order, static_cast<std::ptrdiff_t>(sel.size()));
  if (kept < end - order) std::nth_element(order, order + kept, end, better);
  std::sort(order, order + kept);
  std::copy_n(order, kept, sel.begin());
  std::fill(sel.begin() + kept, sel.end(), -1);
}

class IndexScore final : public Kernel {
public:
  explicit IndexScore(const NodeView& node)
      : ratio_(node.attr_int("ratio")), scale_(node.attr_float("scale")), width_(node.in(2).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return scratch_for<float>(width_) * workers; }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &iq = call.in[0], &w = call.in[1], &cache = call.in[2], &out = call.out[0];
    const Batch batch(call.in[3], call.in[4]);
    const std::int64_t heads = iq.dim(1), rows = cache.dim(1);
    float* key = Scratch(call.scratch).take_own<float>(width_, worker.index(), worker.count());
    const Range mine = worker.share(rows);
    for (std::int64_t t = 0; t < iq.dim(0); ++t) {
      const std::int64_t visible = visible_rows(batch, t, ratio_, rows);
      for (std::int64_t c = mine.begin; c < mine.end; ++c) {
        if (c >= visible) {
          out.f32_row(t)[c] = k_hidden;
          continue;
        }
        load_row(cache, batch.slot(t) * rows + c, key);
        out.f32_row(t)[c] =
            static_cast<float>(row_score(key, iq.f32() + t * heads * width_, w.f32_row(t), heads, width_) * scale_);
      }
    }
  }

private:
  std::int64_t ratio_;
  double scale_;
  std::int64_t width_;
};

class TopKRows final : public Kernel {
public:
  explicit TopKRows(const NodeView& node) : rows_(node.in(0).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<std::int32_t>(rows_) * workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.in[0], &sel = call.out[0];
    std::int32_t* order = Scratch(call.scratch).take_own<std::int32_t>(rows_, worker.index(), worker.count());
    const Range mine = worker.share(s.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      select_rows({s.f32_row(t), static_cast<std::size_t>(s.cols())}, order,
                  {sel.i32() + t * sel.cols(), static_cast<std::size_t>(sel.cols())});
  }

private:
  std::int64_t rows_;
};

/// Queries are made for all tokens together, each weight row being decoded once; then every token scores the rows it
/// sees, if they are more than it may select.
class IndexSelect final : public Kernel {
public:
  explicit IndexSelect(const NodeView& node)
      : rope_(node), round_(node.attr_int("idx4") != 0, false), ratio_(node.attr_int("ratio")),
        heads_(node.in(3).rows()), width_(node.in(4).cols()), rows_(node.in(4).dim(1)), tokens_(node.in(0).dim(0)),
        cols_(std::max(node.in(2).cols(), node.in(3).cols())) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<float>(tokens_ * heads_ * width_) + scratch_for<float>(tokens_ * heads_) +
           (scratch_for<float>(std::max(cols_, width_)) + scratch_for<float>(rows_) +
            scratch_for<std::int32_t>(rows_)) *
               workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &qr = call.in[0], &x = call.in[1], &wq_b = call.in[2], &proj = call.in[3], &cache = call.in[4],
                 &sel = call.out[0];
    const Batch batch(call.in[5], call.in[6]);
    Scratch scratch(call.scratch);
    float* iq = scratch.take<float>(tokens_ * heads_ * width_);
    float* weights = scratch.take<float>(tokens_ * heads_);
    float* row = scratch.take_own<float>(std::max(cols_, width_), worker.index(), worker.count());
    float* scores = scratch.take_own<float>(rows_, worker.index(), worker.count());
    std::int32_t* order = scratch.take_own<std::int32_t>(rows_, worker.index(), worker.count());

    product(qr.f32(), qr.dim(0), wq_b, worker.share(wq_b.rows()), row, iq, wq_b.rows());
    product(x.f32(), x.dim(0), proj, worker.share(proj.rows()), row, weights, proj.rows());
    worker.barrier();

    const double scale = 1.0 / std::sqrt(static_cast<double>(heads_ * width_));
    const Range mine = worker.share(qr.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const std::int64_t visible = visible_rows(batch, t, ratio_, rows_);
      if (visible <= sel.cols()) { // all of them
        for (std::int64_t i = 0; i < sel.cols(); ++i)
          sel.i32()[t * sel.cols() + i] = i < visible ? static_cast<std::int32_t>(i) : -1;
        continue;
      }
      float* query = iq + t * heads_ * width_;
      for (std::int64_t h = 0; h < heads_; ++h) {
        const std::span<float> head(query + h * width_, static_cast<std::size_t>(width_));
        rope_.apply(head, batch.pos(t));
        round_.apply(head);
      }
      for (std::int64_t c = 0; c < visible; ++c) {
        load_row(cache, batch.slot(t) * rows_ + c, row);
        scores[c] = static_cast<float>(row_score(row, query, weights + t * heads_, heads_, width_) * scale);
      }
      select_rows({scores, static_cast<std::size_t>(visible)}, order,
                  {sel.i32() + t * sel.cols(), static_cast<std::size_t>(sel.cols())});
    }
  }

private:
  Rope rope_;
  IndexRound round_;
  std::int64_t ratio_, heads_, width_, rows_, tokens_, cols_;
};

} // namespace

std::vector<sdk::KernelEntry> index_kernels() {
  return {entry<IndexScore>("index_score"), entry<TopKRows>("top_k_rows"), entry<IndexSelect>("index_select")};
}

} // namespace seacliff::reference
