// Routing to experts, and the experts.
#include "ops/reference/families.hpp"
#include "ops/reference/row_math.hpp"
#include "ops/reference/rows.hpp"
#include "ops/reference/scratch.hpp"

namespace seacliff::reference {
namespace {

constexpr double k_least_sum = 0x1p-14;

/// weights = prob[ids]/max(sum, 2^-14)·scale; an id that names no expert counts as probability 0.
template <class P>
void route_weights(const P* prob, std::int64_t experts, std::span<const std::int32_t> ids, double scale,
                   float* weights) {
  const auto prob_of = [&](std::int32_t id) { return id >= 0 && id < experts ? static_cast<double>(prob[id]) : 0.0; };
  double sum = 0;
  for (const std::int32_t id : ids) sum += prob_of(id);
  for (std::size_t i = 0; i < ids.size(); ++i)
    weights[i] = static_cast<float>(prob_of(ids[i]) / std::max(sum, k_least_sum) * scale);
}

std::span<std::int32_t> ids_of(const Tensor& ids, std::int64_t t) {
  return {ids.i32() + t * ids.cols(), static_cast<std::size_t>(ids.cols())};
}

class TopK final : public Kernel {
public:
  explicit TopK(const NodeView& node) : columns_(node.in(0).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return scratch_for<double>(columns_) * workers; }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& x = call.in[0];
    double* score = Scratch(call.scratch).take_own<double>(columns_, worker.index(), worker.count());
    const Range mine = worker.share(x.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      for (std::int64_t i = 0; i < columns_; ++i)
        score[i] = static_cast<double>(x.f32_row(t)[i]) + (call.in[1] ? call.in[1].f32()[i] : 0.0f);
      top_k({score, static_cast<std::size_t>(columns_)}, ids_of(call.out[0], t));
    }
  }

private:
  std::int64_t columns_;
};

class RouteWeights final : public Kernel {
public:
  explicit RouteWeights(const NodeView& node) : scale_(node.attr_float("scale")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& prob = call.in[0];
    const Range mine = worker.share(prob.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      route_weights(prob.f32_row(t), prob.cols(), ids_of(call.in[1], t), scale_, call.out[0].f32_row(t));
  }

private:
  double scale_;
};

class Route final : public Kernel {
public:
  explicit Route(const NodeView& node)
      : scale_(node.attr_float("scale")), tokens_(node.in(0).dim(0)), experts_(node.in(1).rows()),
        cols_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<double>(tokens_ * experts_) +
           (scratch_for<float>(cols_) + scratch_for<double>(experts_)) * workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &w = call.in[1], &bias = call.in[2], &table = call.in[3], &tokens = call.in[4];
    Scratch scratch(call.scratch);
    double* probs = scratch.take<double>(tokens_ * experts_); // logits first
    float* row = scratch.take_own<float>(cols_, worker.index(), worker.count());
    double* score = scratch.take_own<double>(experts_, worker.index(), worker.count());
    product(x.f32(), x.dim(0), w, worker.share(experts_), row, probs, experts_);
    worker.barrier();

    const Range mine = worker.share(x.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      double* prob = probs + t * experts_;
      const std::span<std::int32_t> ids = ids_of(call.out[0], t);
      for (std::int64_t e = 0; e < experts_; ++e) prob[e] = sqrt_softplus(prob[e]);
      if (table) {
        const std::int32_t token = tokens.i32()[t];
        const bool known = token >= 0 && token < table.dim(0);
        for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = known ? ids_of(table, token)[i] : 0;
      } else {
        for (std::int64_t e = 0; e < experts_; ++e) score[e] = prob[e] + (bias ? bias.f32()[e] : 0.0f);
        top_k({score, static_cast<std::size_t>(experts_)}, ids);
      }
      route_weights(prob, experts_, ids, scale_, call.out[1].f32_row(t));
    }
  }

private:
  double scale_;
  std::int64_t tokens_, experts_, cols_;
};

/// Expert after expert, so that each row of a matrix is decoded once for all the (token, slot) pairs that use it.
class MoeExperts final : public Kernel {
public:
  explicit MoeExperts(const NodeView& node)
      : clamp_(node.attr_float("clamp")), pairs_(node.in(1).rows() * node.in(1).cols()), hidden_(node.in(3).dim(1)),
        width_(node.in(3).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<double>(pairs_ * hidden_) +
           (2 * scratch_for<float>(std::max(width_, hidden_)) + scratch_for<double>(pairs_)) * workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &ids = call.in[1], &gate = call.in[3], &up = call.in[4], &down = call.in[5];
    const std::int64_t pairs = ids.elems(), slots = ids.cols(), experts = gate.dim(0);
    const auto used = [&](std::int64_t e) { return std::find(ids.i32(), ids.i32() + pairs, e) != ids.i32() + pairs; };
    Scratch scratch(call.scratch);
    double* mid = scratch.take<double>(pairs_ * hidden_);
    float* row = scratch.take_own<float>(std::max(width_, hidden_), worker.index(), worker.count());
    float* second = scratch.take_own<float>(std::max(width_, hidden_), worker.index(), worker.count());
    double* part = scratch.take_own<double>(pairs_, worker.index(), worker.count());

    const Range units = worker.share(hidden_);
    for (std::int64_t e = 0; e < experts; ++e)
      for (std::int64_t f = units.begin; used(e) && f < units.end; ++f) {
        decode(gate, e * hidden_ + f, row);
        decode(up, e * hidden_ + f, second);
        for (std::int64_t pair = 0; pair < pairs; ++pair)
          if (ids.i32()[pair] == e) {
            const float* in = x.f32_row(pair / slots);
            mid[pair * hidden_ + f] =
                swiglu(dot(in, row, width_), dot(in, second, width_), clamp_) * call.in[2].f32()[pair];
          }
      }
    worker.barrier();

    const Range outputs = worker.share(width_);
    for (std::int64_t d = outputs.begin; d < outputs.end; ++d) {
      std::fill(part, part + pairs, 0.0);
      for (std::int64_t e = 0; e < experts; ++e) {
        if (!used(e)) continue;
        decode(down, e * width_ + d, row);
        for (std::int64_t pair = 0; pair < pairs; ++pair)
          if (ids.i32()[pair] == e) part[pair] = dot(mid + pair * hidden_, row, hidden_);
      }
      for (std::int64_t t = 0; t < x.dim(0); ++t) {
        double sum = 0; // in slot order
        for (std::int64_t s = 0; s < slots; ++s) sum += part[t * slots + s];
        call.out[0].f32_row(t)[d] = static_cast<float>(sum);
      }
    }
  }

private:
  double clamp_;
  std::int64_t pairs_, hidden_, width_;
};

class SharedExpert final : public Kernel {
public:
  explicit SharedExpert(const NodeView& node)
      : clamp_(node.attr_float("clamp")), tokens_(node.in(0).dim(0)), hidden_(node.in(1).rows()),
        width_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<double>(tokens_ * hidden_) + 2 * scratch_for<float>(std::max(width_, hidden_)) * workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &gate = call.in[1], &up = call.in[2], &down = call.in[3];
    Scratch scratch(call.scratch);
    double* mid = scratch.take<double>(tokens_ * hidden_);
    float* row = scratch.take_own<float>(std::max(width_, hidden_), worker.index(), worker.count());
    float* second = scratch.take_own<float>(std::max(width_, hidden_), worker.index(), worker.count());
    const Range units = worker.share(hidden_);
    for (std::int64_t f = units.begin; f < units.end; ++f) {
      decode(gate, f, row);
      decode(up, f, second);
      for (std::int64_t t = 0; t < x.dim(0); ++t)
        mid[t * hidden_ + f] = swiglu(dot(x.f32_row(t), row, width_), dot(x.f32_row(t), second, width_), clamp_);
    }
    worker.barrier();
    product(mid, x.dim(0), down, worker.share(width_), row, call.out[0].f32(), width_);
  }

private:
  double clamp_;
  std::int64_t tokens_, hidden_, width_;
};

} // namespace

std::vector<sdk::KernelEntry> router_moe_kernels() {
  return {entry<TopK>("top_k"), entry<RouteWeights>("route_weights"), entry<Route>("route"),
          entry<MoeExperts>("moe_experts"), entry<SharedExpert>("shared_expert")};
}

} // namespace seacliff::reference
