// Compression of key-value rows: windows of `ratio` tokens pooled into one cached row.
#include "ops/reference/families.hpp"
#include "ops/reference/row_math.hpp"
#include "ops/reference/rows.hpp"
#include "ops/reference/scratch.hpp"

#include <limits>

namespace seacliff::reference {
namespace {

/// The pooling of one token after another. The carry is long enough that a token can store its own row first and then
/// find its whole window there.
class Pool {
public:
  Pool(const NodeView& node, std::uint32_t carry)
      : ratio_(node.attr_int("ratio")), ring_(node.in(carry).dim(1)), width_(node.in(0).cols()) {}

  bool overlaps() const { return ratio_ == 4; }
  std::int64_t ratio() const { return ratio_; }
  std::int64_t width() const { return width_; } // of kv, gate and ape
  std::int64_t pooled_width() const { return overlaps() ? width_ / 2 : width_; }

  /// Stores elements `j` of all tokens, and of the second lane, too; rows[t][j] = the pooled element, or zero where no
  /// window ends. `ape` is decoded: [ratio, width]. Elements do not depend on each other.
  void run(const Tensor& kv, const Tensor& gate, const float* ape, const Tensor& carry, const Batch& batch, Range js,
           float* rows) const {
    for (std::int64_t t = 0; t < kv.dim(0); ++t) {
      const std::int64_t pos = batch.pos(t);
      for (std::int64_t lane = 0; lane < width_ / pooled_width(); ++lane)
        for (std::int64_t j = js.begin + lane * pooled_width(); j < js.end + lane * pooled_width(); ++j) {
          row(carry, batch.slot(t), pos, k_kv)[j] = kv.f32_row(t)[j];
          row(carry, batch.slot(t), pos, k_score)[j] = gate.f32_row(t)[j] + ape[pos % ratio_ * width_ + j];
        }
      for (std::int64_t j = js.begin; j < js.end; ++j)
        rows[t * pooled_width() + j] =
            batch.ends_window(t, ratio_) ? static_cast<float>(pooled(carry, batch.slot(t), pos, j)) : 0.0f;
    }
  }

private:
  static constexpr std::int64_t k_kv = 0, k_score = 1;

  float* row(const Tensor& carry, std::int64_t slot, std::int64_t pos, std::int64_t which) const {
    return carry.f32_row((slot * ring_ + pos % ring_) * 2 + which);
  }

  /// Softmax over the window that ends at `pos`: lane B of these tokens and, in ratio 4, lane A of those before (there
  /// are none before the first window).
  double pooled(const Tensor& carry, std::int64_t slot, std::int64_t pos, std::int64_t j) const {
    const std::int64_t begin = pos + 1 - ratio_;
    const std::int64_t from = overlaps() ? std::max<std::int64_t>(begin - ratio_, 0) : begin;
    const auto element = [&](std::int64_t p) { return overlaps() && p >= begin ? pooled_width() + j : j; };
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t p = from; p <= pos; ++p)
      largest = std::max<double>(largest, row(carry, slot, p, k_score)[element(p)]);
    double sum = 0, weighted = 0;
    for (std::int64_t p = from; p <= pos; ++p) {
      const double e = std::exp(row(carry, slot, p, k_score)[element(p)] - largest);
      sum += e;
      weighted += e * row(carry, slot, p, k_kv)[element(p)];
    }
    return weighted / sum;
  }

  std::int64_t ratio_, ring_, width_;
};

/// The decoded ape, shared by all workers.
void decode_ape(const Tensor& ape, const Worker& worker, float* out) {
  const Range mine = worker.share(ape.rows());
  for (std::int64_t r = mine.begin; r < mine.end; ++r) decode(ape, r, out + r * ape.cols());
  worker.barrier();
}

class CompressPool final : public Kernel {
public:
  explicit CompressPool(const NodeView& node) : pool_(node, 3) {}
  std::uint64_t scratch_bytes(std::uint32_t) const override {
    return scratch_for<float>(pool_.ratio() * pool_.width());
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    float* ape = Scratch(call.scratch).take<float>(pool_.ratio() * pool_.width());
    decode_ape(call.in[2], worker, ape);
    pool_.run(call.in[0], call.in[1], ape, call.in[3], Batch(call.in[4], call.in[5]),
              worker.share(pool_.pooled_width()), call.out[0].f32());
  }

private:
  Pool pool_;
};

/// Row of the cache that token t completes; -1 when it completes none, or the cache is full.
std::int64_t completed_row(const Batch& batch, std::int64_t t, std::int64_t ratio, const Tensor& cache) {
  const std::int64_t row = batch.pos(t) / ratio;
  return batch.ends_window(t, ratio) && row < cache.dim(1) ? batch.slot(t) * cache.dim(1) + row : -1;
}

class CacheAppend final : public Kernel {
public:
  explicit CacheAppend(const NodeView& node) : ratio_(node.attr_int("ratio")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &rows = call.in[0], &cache = call.in[1];
    const Batch batch(call.in[2], call.in[3]);
    const Range mine = worker.share(rows.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      if (const std::int64_t row = completed_row(batch, t, ratio_, cache); row >= 0)
        store_row(cache, row, rows.f32_row(t));
  }

private:
  std::int64_t ratio_;
};

class Compress final : public Kernel {
public:
  explicit Compress(const NodeView& node)
      : pool_(node, 4), rope_(node), kv_round_(node), index_round_(node), index_(node.attr_int("index") != 0),
        rms_eps_(node.attr_float("rms_eps")), tokens_(node.in(0).dim(0)) {}
  std::uint64_t scratch_bytes(std::uint32_t) const override {
    return scratch_for<float>(pool_.ratio() * pool_.width()) + scratch_for<float>(tokens_ * pool_.pooled_width());
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& cache = call.in[5];
    const Batch batch(call.in[6], call.in[7]);
    const std::int64_t width = pool_.pooled_width();
    Scratch scratch(call.scratch);
    float* ape = scratch.take<float>(pool_.ratio() * pool_.width());
    float* rows = scratch.take<float>(tokens_ * width);
    decode_ape(call.in[2], worker, ape);
    pool_.run(call.in[0], call.in[1], ape, call.in[4], batch, worker.share(width), rows);
    worker.barrier();

    const Range mine = worker.share(call.in[0].dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const std::int64_t to = completed_row(batch, t, pool_.ratio(), cache);
      if (to < 0) continue;
      const std::span<float> row(rows + t * width, static_cast<std::size_t>(width));
      rms_norm(row, call.in[3].f32(), rms_eps_);
      rope_.apply(row, batch.pos(t) + 1 - pool_.ratio()); // where its window begins
      if (index_)
        index_round_.apply(row);
      else
        kv_round_.apply(row);
      store_row(cache, to, row.data());
    }
  }

private:
  Pool pool_;
  Rope rope_;
  KvRound kv_round_;
  IndexRound index_round_;
  bool index_;
  double rms_eps_;
  std::int64_t tokens_;
};

} // namespace

std::vector<sdk::KernelEntry> compress_kernels() {
  return {entry<CompressPool>("compress_pool"), entry<CacheAppend>("cache_append"), entry<Compress>("compress")};
}

} // namespace seacliff::reference
