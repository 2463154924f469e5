// compress_pool, cache_append, compress.
#include "op_kernel.hpp"
#include "rotary.hpp"
#include "state.hpp"

#include <cmath>

namespace seacliff::cpu {
namespace {

constexpr std::int64_t k_most_rows = 512; // rows pooled into one
constexpr std::int64_t k_most_width = 4096;

/// Pools windows of kv weighted by the softmax of score = gate + ape, and keeps both in the carry.
class Pool {
public:
  Pool(const Isa& isa, const NodeView& node)
      : isa_(isa), ape_(isa.find(node.in(2).dtype())), ratio_(node.attr_int("ratio", 1)), width_(node.in(0).cols()),
        dim_(ratio_ == 4 ? width_ / 2 : width_), max_tokens_(node.in(0).dim(0)) {}

  std::int64_t ratio() const { return ratio_; }
  std::int64_t dim() const { return dim_; }
  bool completes(std::int64_t p) const { return (p + 1) % ratio_ == 0; }

  /// Scores of the batch, [tokens, width].
  std::uint64_t scratch_bytes() const {
    return up_to_line(static_cast<std::uint64_t>(max_tokens_ * width_) * sizeof(float));
  }
  float* scores(const KernelCall& call) const { return reinterpret_cast<float*>(call.scratch.data()); }

  void score(const KernelCall& call, const Batch& batch, const Worker& worker) const {
    const Tensor& ape = call.input(2);
    const Range mine = worker.share(batch.tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      float* out = scores(call) + t * width_;
      ape_->decode(ape.row(batch.pos[t] % ratio_), out, width_);
      isa_.add(call.input(1).f32_row(t), out, out, width_);
    }
  }

  /// The row that token t completes; before it `score` and a barrier.
  void row(const KernelCall& call, const Batch& batch, const State& carry, std::int64_t t, float* out) const {
    const float *value[k_most_rows], *weight[k_most_rows];
    const std::int64_t p = batch.pos[t], begin = p + 1 - ratio_;
    std::int64_t n = 0;
    const auto add = [&](std::int64_t q, std::int64_t lane) {
      if (q >= batch.start(t)) {
        const std::int64_t at = batch.first(t) + q - batch.start(t);
        value[n] = call.input(0).f32_row(at) + lane;
        weight[n] = scores(call) + at * width_ + lane;
      } else {
        const auto* kept = reinterpret_cast<const float*>(carry.row(batch.slot(t), q % carry.rows()));
        value[n] = kept + lane;
        weight[n] = kept + width_ + lane;
      }
      ++n;
    };
    if (ratio_ == 4)
      for (std::int64_t q = std::max<std::int64_t>(0, begin - ratio_); q < begin; ++q) add(q, 0);
    for (std::int64_t q = begin; q <= p; ++q) add(q, width_ - dim_);
    isa_.pool(value, weight, n, dim_, out);
  }

  /// After a barrier: the last rows of each run.
  void keep(const KernelCall& call, const Batch& batch, const State& carry, const Worker& worker) const {
    const Range mine = worker.share(batch.tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      if (batch.last(t) - t >= carry.rows()) continue;
      auto* to = reinterpret_cast<float*>(carry.row(batch.slot(t), batch.pos[t] % carry.rows()));
      std::copy_n(call.input(0).f32_row(t), width_, to);
      std::copy_n(scores(call) + t * width_, width_, to + width_);
    }
  }

private:
  const Isa& isa_;
  const Format* ape_;
  std::int64_t ratio_, width_, dim_, max_tokens_;
};

class CompressPool final : public OpKernel {
public:
  CompressPool(const Isa& isa, const NodeView& node) : OpKernel(isa), pool_(isa, node) {}
  std::uint64_t scratch_bytes(std::uint32_t) const override { return pool_.scratch_bytes(); }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Batch batch(call.input(4), call.input(5));
    const State carry(call.input(3));
    const Tensor& rows = call.output(0);
    pool_.score(call, batch, worker);
    worker.barrier();
    const Range mine = worker.share(batch.tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      if (pool_.completes(batch.pos[t])) {
        pool_.row(call, batch, carry, t, rows.f32_row(t));
      } else {
        std::fill_n(rows.f32_row(t), rows.cols(), 0.0f);
      }
    }
    worker.barrier();
    pool_.keep(call, batch, carry, worker);
  }

private:
  Pool pool_;
};

class CacheAppend final : public OpKernel {
public:
  CacheAppend(const Isa& isa, const NodeView& node) : OpKernel(isa), ratio_(node.attr_int("ratio", 1)) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Batch batch(call.input(2), call.input(3));
    const State cache(call.input(1));
    const Range mine = worker.share(batch.tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const std::int64_t p = batch.pos[t];
      if ((p + 1) % ratio_ == 0 && p / ratio_ < cache.rows())
        cache.write(isa_, batch.slot(t), p / ratio_, call.input(0).f32_row(t));
    }
  }

private:
  std::int64_t ratio_;
};

class Compress final : public OpKernel {
public:
  Compress(const Isa& isa, const NodeView& node)
      : OpKernel(isa), pool_(isa, node), rotary_(node),
        round_(isa, node, node.attr_int("index") != 0 ? RoundTrip::Kind::index : RoundTrip::Kind::kv),
        eps_(static_cast<float>(node.attr_float("rms_eps", 1e-6))) {}
  std::uint64_t scratch_bytes(std::uint32_t) const override { return pool_.scratch_bytes(); }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Batch batch(call.input(6), call.input(7));
    const State carry(call.input(4)), cache(call.input(5));
    pool_.score(call, batch, worker);
    worker.barrier();
    const Range mine = worker.share(batch.tokens / pool_.ratio() + 1); // windows are spread, not tokens
    std::int64_t seen = 0;
    for (std::int64_t t = 0; t < batch.tokens; ++t) {
      if (!pool_.completes(batch.pos[t])) continue;
      const std::int64_t index = seen++ % std::max<std::int64_t>(1, batch.tokens / pool_.ratio() + 1);
      if (index >= mine.begin && index < mine.end) window(call, batch, carry, cache, t);
    }
    worker.barrier();
    pool_.keep(call, batch, carry, worker);
  }

private:
  void window(const KernelCall& call, const Batch& batch, const State& carry, const State& cache,
              std::int64_t t) const {
    const std::int64_t p = batch.pos[t], n = pool_.dim();
    if (p / pool_.ratio() >= cache.rows()) return;
    float row[k_most_width];
    Rotary::Turn turn;
    pool_.row(call, batch, carry, t, row);
    rms_norm_row(isa_, row, call.input(3).f32(), eps_, row, n);
    rotary_.angles(p + 1 - pool_.ratio(), turn);
    rotary_.rotate(row, n, turn);
    round_.apply(row, n);
    cache.write(isa_, batch.slot(t), p / pool_.ratio(), row);
  }

  Pool pool_;
  Rotary rotary_;
  RoundTrip round_;
  float eps_;
};

Claim can_pool(const NodeView& node) {
  const std::int64_t ratio = node.attr_int("ratio", 1);
  if (ratio < 1 || ratio > k_most_rows) return Claim::no("cannot pool " + std::to_string(ratio) + " rows");
  if (node.in(0).cols() > k_most_width) return Claim::no("rows wider than " + std::to_string(k_most_width));
  return with_weights(node, {2});
}

} // namespace

Claim claim_compress_pool(const NodeView& node) { return can_pool(node); }
Claim claim_cache_append(const NodeView& node) { return with_states(node, {1}); }
Claim claim_compress(const NodeView& node) {
  const bool index = node.attr_int("index") != 0;
  return all_of({can_pool(node), with_states(node, {5}), can_rotate(node),
                 can_round(node, index ? RoundTrip::Kind::index : RoundTrip::Kind::kv, node.in(3).cols())});
}

std::unique_ptr<sdk::Kernel> make_compress_pool(const Isa& i, const NodeView& n) {
  return make_kernel<CompressPool>(i, n);
}
std::unique_ptr<sdk::Kernel> make_cache_append(const Isa& i, const NodeView& n) {
  return make_kernel<CacheAppend>(i, n);
}
std::unique_ptr<sdk::Kernel> make_compress(const Isa& i, const NodeView& n) { return make_kernel<Compress>(i, n); }

} // namespace seacliff::cpu
