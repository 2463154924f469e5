// Attention over the sliding window and the compressed rows, with one sink per head.
#include "ops/reference/families.hpp"
#include "ops/reference/rows.hpp"
#include "ops/reference/scratch.hpp"

#include <limits>

namespace seacliff::reference {
namespace {

/// The rows that one token attends to, in order: raw ones old to new, then compressed ones.
class SeenRows {
public:
  /// `cache` and `sel` may be absent.
  SeenRows(const Tensor& k, const Tensor& ring, const Tensor& cache, const Tensor& sel, const Batch& batch,
           std::int64_t t, std::int64_t window, std::int64_t ratio)
      : k_(k), ring_(ring), cache_(cache), pos_(batch.pos(t)), first_(batch.first(t)), first_pos_(batch.pos(first_)),
        slot_(batch.slot(t)), oldest_(std::max<std::int64_t>(pos_ + 1 - window, 0)) {
    if (!cache) return;
    const std::int64_t visible = visible_rows(batch, t, ratio, cache.dim(1));
    if (!sel) {
      compressed_ = visible;
      return;
    }
    list_ = sel.i32() + t * sel.cols();
    while (compressed_ < sel.cols() && list_[compressed_] >= 0 && list_[compressed_] < visible) ++compressed_;
  }

  std::int64_t raw() const { return pos_ - oldest_ + 1; }
  std::int64_t count() const { return raw() + compressed_; }

  /// Row i of count().
  void load(std::int64_t i, float* out) const {
    if (i >= raw()) {
      const std::int64_t c = i - raw();
      return load_row(cache_, slot_ * cache_.dim(1) + (list_ ? list_[c] : c), out);
    }
    const std::int64_t p = oldest_ + i;
    if (p >= first_pos_)
      load_row(k_, first_ + p - first_pos_, out); // in this step's batch
    else
      load_row(ring_, slot_ * ring_.dim(1) + p % ring_.dim(1), out);
  }

private:
  const Tensor &k_, &ring_, &cache_;
  std::int64_t pos_, first_, first_pos_, slot_, oldest_;
  const std::int32_t* list_ = nullptr;
  std::int64_t compressed_ = 0;
};

/// Stores the last R rows of each run.
void write_ring(const Tensor& k, const Tensor& ring, const Batch& batch, Range tokens) {
  for (std::int64_t t = tokens.begin; t < tokens.end; ++t)
    if (batch.last(t) - t < ring.dim(1))
      store_row(ring, batch.slot(t) * ring.dim(1) + batch.pos(t) % ring.dim(1), k.f32_row(t));
}

class RingWrite final : public Kernel {
public:
  explicit RingWrite(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    write_ring(call.in[0], call.in[1], Batch(call.in[2], call.in[3]), worker.share(call.in[0].dim(0)));
  }
};

class GatherKv final : public Kernel {
public:
  explicit GatherKv(const NodeView& node) : window_(node.attr_int("window")), ratio_(node.attr_int("ratio")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& rows = call.out[0];
    const Batch batch(call.in[4], call.in[5]);
    const std::int64_t n = rows.dim(1);
    const Range mine = worker.share(rows.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const SeenRows seen(call.in[0], call.in[1], call.in[2], call.in[3], batch, t, window_, ratio_);
      for (std::int64_t i = 0; i < seen.count(); ++i) seen.load(i, rows.f32_row(t * n + i));
      std::fill(rows.f32_row(t * n + seen.count()), rows.f32_row((t + 1) * n), 0.0f);
      call.out[1].i32()[t] = static_cast<std::int32_t>(seen.count());
    }
  }

private:
  std::int64_t window_, ratio_;
};

class AttnScores final : public Kernel {
public:
  explicit AttnScores(const NodeView& node) : scale_(node.attr_float("scale")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &q = call.in[0], &rows = call.in[1], &out = call.out[0];
    const std::int64_t heads = q.dim(1), n = rows.dim(1), width = q.cols();
    const Range mine = worker.share(q.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const std::int64_t t = r / heads, count = call.in[2].i32()[t];
      for (std::int64_t i = 0; i < n; ++i)
        out.f32_row(r)[i] = i < count ? static_cast<float>(dot(q.f32_row(r), rows.f32_row(t * n + i), width) * scale_)
                                      : -std::numeric_limits<float>::infinity();
    }
  }

private:
  double scale_;
};

class SoftmaxSink final : public Kernel {
public:
  explicit SoftmaxSink(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.in[0], &out = call.out[0];
    const std::int64_t heads = s.dim(1), n = s.cols();
    const Range mine = worker.share(s.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const std::int64_t count = call.in[2].i32()[r / heads];
      const float* score = s.f32_row(r);
      const double sink = call.in[1].f32()[r % heads];
      double largest = sink;
      for (std::int64_t i = 0; i < count; ++i) largest = std::max<double>(largest, score[i]);
      double sum = std::exp(sink - largest);
      for (std::int64_t i = 0; i < count; ++i) sum += std::exp(score[i] - largest);
      for (std::int64_t i = 0; i < n; ++i)
        out.f32_row(r)[i] = i < count ? static_cast<float>(std::exp(score[i] - largest) / sum) : 0.0f;
    }
  }
};

class AttnMix final : public Kernel {
public:
  explicit AttnMix(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &p = call.in[0], &rows = call.in[1], &out = call.out[0];
    const std::int64_t heads = p.dim(1), n = p.cols();
    const Range mine = worker.share(p.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const std::int64_t t = r / heads, count = call.in[2].i32()[t];
      for (std::int64_t d = 0; d < out.cols(); ++d) {
        double sum = 0;
        for (std::int64_t i = 0; i < count; ++i)
          sum += static_cast<double>(p.f32_row(r)[i]) * rows.f32_row(t * n + i)[d];
        out.f32_row(r)[d] = static_cast<float>(sum);
      }
    }
  }
};

/// One pass over the rows: whenever a larger score turns up, what was summed so far is scaled down. The sink is where
/// the sum begins.
class AttentionMixed final : public Kernel {
public:
  explicit AttentionMixed(const NodeView& node)
      : window_(node.attr_int("window")), ratio_(node.attr_int("ratio")), scale_(node.attr_float("scale")),
        heads_(node.in(0).dim(1)), width_(node.in(0).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return (scratch_for<float>(width_) + scratch_for<Sum>(heads_) + scratch_for<double>(heads_ * width_)) * workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &q = call.in[0], &k = call.in[1], &ring = call.in[2];
    const Batch batch(call.in[6], call.in[7]);
    Scratch scratch(call.scratch);
    float* row = scratch.take_own<float>(width_, worker.index(), worker.count());
    Sum* sums = scratch.take_own<Sum>(heads_, worker.index(), worker.count());
    double* mixed = scratch.take_own<double>(heads_ * width_, worker.index(), worker.count());

    const Range mine = worker.share(q.rows()); // pairs of token and head
    for (std::int64_t begin = mine.begin; begin < mine.end;) {
      const std::int64_t t = begin / heads_, end = std::min(mine.end, (t + 1) * heads_);
      const SeenRows seen(k, ring, call.in[3], call.in[4], batch, t, window_, ratio_);
      attend(seen, q, call.in[5].f32() - t * heads_, {begin, end}, row, sums, mixed, call.out[0]);
      begin = end;
    }
    worker.barrier(); // all have read the ring
    write_ring(k, ring, batch, worker.share(k.dim(0)));
  }

private:
  struct Sum {
    double largest, weights;
  };

  /// The heads `pairs` of one token; sinks[pair] is the sink of a pair's head.
  void attend(const SeenRows& seen, const Tensor& q, const float* sinks, Range pairs, float* row, Sum* sums,
              double* mixed, const Tensor& out) const {
    const std::int64_t n = pairs.end - pairs.begin;
    for (std::int64_t h = 0; h < n; ++h) sums[h] = {sinks[pairs.begin + h], 1.0};
    std::fill(mixed, mixed + n * width_, 0.0);
    for (std::int64_t i = 0; i < seen.count(); ++i) {
      seen.load(i, row);
      for (std::int64_t h = 0; h < n; ++h) {
        Sum& sum = sums[h];
        double* mix = mixed + h * width_;
        const double score = dot(q.f32_row(pairs.begin + h), row, width_) * scale_;
        if (score > sum.largest) {
          const double shrink = std::exp(sum.largest - score);
          sum = {score, sum.weights * shrink};
          for (std::int64_t d = 0; d < width_; ++d) mix[d] *= shrink;
        }
        const double weight = std::exp(score - sum.largest);
        sum.weights += weight;
        for (std::int64_t d = 0; d < width_; ++d) mix[d] += weight * row[d];
      }
    }
    for (std::int64_t h = 0; h < n; ++h)
      for (std::int64_t d = 0; d < width_; ++d)
        out.f32_row(pairs.begin + h)[d] = static_cast<float>(mixed[h * width_ + d] / sums[h].weights);
  }

  std::int64_t window_, ratio_;
  double scale_;
  std::int64_t heads_, width_;
};

} // namespace

std::vector<sdk::KernelEntry> attention_kernels() {
  return {entry<RingWrite>("ring_write"),     entry<GatherKv>("gather_kv"), entry<AttnScores>("attn_scores"),
          entry<SoftmaxSink>("softmax_sink"), entry<AttnMix>("attn_mix"),   entry<AttentionMixed>("attention_mixed")};
}

} // namespace seacliff::reference
