// top_k, route_weights, route.
#include "gemm.hpp"
#include "op_kernel.hpp"

namespace seacliff::cpu {
namespace {

constexpr std::int64_t k_most = 64; // experts per token

/// Indices of the k largest x + bias, descending, ties to the lower index. Always k valid and different indices, also
/// where some x are NaN.
void pick_one_by_one(const float* x, const float* bias, std::int64_t n, std::int64_t k, std::int32_t* out) {
  for (std::int64_t j = 0; j < k; ++j) {
    std::int32_t best = -1;
    float high = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const float v = bias != nullptr ? x[i] + bias[i] : x[i];
      if (best >= 0 && !(v > high)) continue;
      if (std::find(out, out + j, static_cast<std::int32_t>(i)) != out + j) continue;
      best = static_cast<std::int32_t>(i);
      high = v;
    }
    out[j] = best;
  }
}

/// The same, in one pass over numbers.
void pick_largest(const float* x, const float* bias, std::int64_t n, std::int64_t k, std::int32_t* out) {
  float top[k_most];
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = bias != nullptr ? x[i] + bias[i] : x[i];
    if (v != v) return pick_one_by_one(x, bias, n, k, out);
    if (count == k && (k == 0 || !(v > top[k - 1]))) continue;
    std::int64_t j = count < k ? count++ : k - 1;
    for (; j > 0 && v > top[j - 1]; --j) {
      top[j] = top[j - 1];
      out[j] = out[j - 1];
    }
    top[j] = v;
    out[j] = static_cast<std::int32_t>(i);
  }
}

void weigh(const float* prob, std::int64_t n, const std::int32_t* ids, std::int64_t k, float scale, float* out) {
  float total = 0;
  for (std::int64_t j = 0; j < k; ++j) total += out[j] = ids[j] >= 0 && ids[j] < n ? prob[ids[j]] : 0.0f;
  const float divisor = total < 0x1p-14f ? 0x1p-14f : total;
  for (std::int64_t j = 0; j < k; ++j) out[j] = out[j] / divisor * scale;
}

class TopK final : public OpKernel {
public:
  TopK(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &out = call.output(0);
    const float* bias = call.in.size() > 1 && call.input(1) ? call.input(1).f32() : nullptr;
    const Range mine = worker.share(x.rows());
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      pick_largest(x.f32_row(t), bias, x.cols(), out.cols(), out.i32() + t * out.cols());
  }
};

class RouteWeights final : public OpKernel {
public:
  RouteWeights(const Isa& isa, const NodeView& node)
      : OpKernel(isa), scale_(static_cast<float>(node.attr_float("scale", 1.0))) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &prob = call.input(0), &ids = call.input(1);
    const Range mine = worker.share(prob.rows());
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      weigh(prob.f32_row(t), prob.cols(), ids.i32() + t * ids.cols(), ids.cols(), scale_, call.output(0).f32_row(t));
  }

private:
  float scale_;
};

class Route final : public OpKernel {
public:
  Route(const Isa& isa, const NodeView& node)
      : OpKernel(isa), gemm_(isa, node.in(1), false), quantiser_(isa, gemm_),
        scale_(static_cast<float>(node.attr_float("scale", 1.0))), max_tokens_(node.in(0).dim(0)) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return parts(nullptr, workers).bytes; }
  std::uint32_t tickets() const override { return 1; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& x = call.input(0);
    const std::int64_t tokens = x.rows(), n = gemm_.n();
    const Parts p = parts(call.scratch.data(), worker.count());
    const Activations rows = quantiser_.prepare(x.f32(), tokens, tokens, p.own, worker);
    if (tokens >= k_block * worker.count()) { // all experts of some tokens: then these can be chosen at once
      const std::int64_t some = tokens >= 4 * k_block * worker.count() ? 2 * k_block : k_block;
      return sdk::take_pieces(call.tickets[0], (tokens + some - 1) / some, [&](std::int64_t i) {
        const Range mine{i * some, std::min(tokens, (i + 1) * some)};
        gemm_.multiply(call.input(1), 0, rows, {{0, n}, mine}, p.prob, n, false);
        for (std::int64_t t = mine.begin; t < mine.end; ++t) choose(call, t, p.prob + t * n);
      });
    }
    gemm_.each_part(worker, tokens, call.tickets[0],
                    [&](const Block2& part) { gemm_.multiply(call.input(1), 0, rows, part, p.prob, n); });
    worker.barrier();
    const Range mine = worker.share(tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) choose(call, t, p.prob + t * n);
  }

private:
  static constexpr std::int64_t k_block = 32; // tokens: a tile of the products
  struct Parts {
    float* prob;
    std::byte* own;
    std::uint64_t bytes;
  };
  Parts parts(std::byte* base, std::uint32_t workers) const {
    Carve carve(base);
    auto* prob = carve.take<float>(static_cast<std::uint64_t>(max_tokens_ * gemm_.n()));
    auto* own = carve.take<std::byte>(quantiser_.bytes(max_tokens_, workers));
    return {prob, own, carve.used()};
  }
  static const Tensor* optional(const KernelCall& call, std::size_t i) {
    return call.in.size() > i && call.input(i) ? &call.input(i) : nullptr;
  }
  void choose(const KernelCall& call, std::int64_t t, float* prob) const {
    const std::int64_t n = gemm_.n(), k = call.output(0).cols();
    std::int32_t* ids = call.output(0).i32() + t * k;
    isa_.sqrt_softplus(prob, prob, n);
    if (const Tensor* table = optional(call, 3)) {
      const std::int64_t token = call.input(4).i32()[t];
      const bool known = token >= 0 && token < table->dim(0);
      for (std::int64_t j = 0; j < k; ++j) ids[j] = known ? table->i32()[token * k + j] : 0;
    } else {
      const Tensor* bias = optional(call, 2);
      pick_largest(prob, bias != nullptr ? bias->f32() : nullptr, n, k, ids);
    }
    weigh(prob, n, ids, k, scale_, call.output(1).f32_row(t));
  }

  Gemm gemm_;
  Quantiser quantiser_;
  float scale_;
  std::int64_t max_tokens_;
};

Claim few_choices(std::int64_t k, std::int64_t n) {
  return k <= k_most && k <= n ? Claim::ok()
                               : Claim::no("cannot choose " + std::to_string(k) + " of " + std::to_string(n));
}

} // namespace

Claim claim_top_k(const NodeView& node) { return few_choices(node.out(0).cols(), node.in(0).cols()); }
Claim claim_route_weights(const NodeView&) { return Claim::ok(); }
Claim claim_route(const NodeView& node) {
  return all_of({with_weights(node, {1}), few_choices(node.out(0).cols(), node.in(1).dim(0))});
}

std::unique_ptr<sdk::Kernel> make_top_k(const Isa& i, const NodeView& n) { return make_kernel<TopK>(i, n); }
std::unique_ptr<sdk::Kernel> make_route_weights(const Isa& i, const NodeView& n) {
  return make_kernel<RouteWeights>(i, n);
}
std::unique_ptr<sdk::Kernel> make_route(const Isa& i, const NodeView& n) { return make_kernel<Route>(i, n); }

} // namespace seacliff::cpu
