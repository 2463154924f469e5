// rms_norm, rope_tail, kv_round, index_round: one row at a time.
#include "op_kernel.hpp"
#include "rotary.hpp"

#include <cmath>

namespace seacliff::cpu {
namespace {

class RmsNorm final : public OpKernel {
public:
  RmsNorm(const Isa& isa, const NodeView& node)
      : OpKernel(isa), eps_(static_cast<float>(node.attr_float("eps"))), row_(node.out(0).cols()) {}
  bool in_place() const override { return true; }
  std::int64_t part() const override { return row_; }
  void run_part(const KernelCall& call, Range range) const noexcept override {
    rows(call, {range.begin / row_, range.end / row_});
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    rows(call, worker.share(call.output(0).rows()));
  }

private:
  /// The rows are those of the output: `heads` and `flatten` only name the same elements anew.
  void rows(const KernelCall& call, Range mine) const {
    const float* weights = call.in.size() > 1 && call.input(1) ? call.input(1).f32() : nullptr;
    for (std::int64_t r = mine.begin; r < mine.end; ++r)
      rms_norm_row(isa_, call.input(0).f32() + r * row_, weights, eps_, call.output(0).f32_row(r), row_);
  }

  float eps_;
  std::int64_t row_;
};

class RopeTail final : public OpKernel {
public:
  RopeTail(const Isa& isa, const NodeView& node) : OpKernel(isa), rotary_(node), row_(node.out(0).cols()) {}
  bool in_place() const override { return true; }
  std::int64_t part() const override { return row_; }
  void run_part(const KernelCall& call, Range range) const noexcept override {
    rows(call, {range.begin / row_, range.end / row_});
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    rows(call, worker.share(call.output(0).rows()));
  }

private:
  void rows(const KernelCall& call, Range mine) const {
    const Tensor& out = call.output(0);
    const std::int32_t* pos = call.input(1).i32();
    const std::int64_t n = row_, tokens = call.input(1).elems();
    const std::int64_t per_token = out.rows() / std::max<std::int64_t>(tokens, 1);
    Rotary::Turn turn;
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      if (r == mine.begin || r % per_token == 0) rotary_.angles(pos[r / per_token], turn);
      if (out.data != call.input(0).data) std::copy_n(call.input(0).f32() + r * n, n, out.f32_row(r));
      rotary_.rotate(out.f32_row(r), n, turn);
    }
  }

  Rotary rotary_;
  std::int64_t row_;
};

template <RoundTrip::Kind KIND> class Rounding final : public OpKernel {
public:
  Rounding(const Isa& isa, const NodeView& node) : OpKernel(isa), round_(isa, node, KIND) {}
  bool in_place() const override { return true; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &out = call.output(0);
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      if (out.data != x.data) std::copy_n(x.f32_row(r), x.cols(), out.f32_row(r));
      round_.apply(out.f32_row(r), out.cols());
    }
  }

private:
  RoundTrip round_;
};

} // namespace

void rms_norm_row(const Isa& isa, const float* x, const float* w, float eps, float* out, std::int64_t n) {
  const float mean = isa.sum_squares(x, n) / static_cast<float>(n);
  isa.scale_by(x, 1.0f / std::sqrt(mean + eps), w, out, n);
}

Claim claim_rms_norm(const NodeView&) { return Claim::ok(); }
Claim claim_rope_tail(const NodeView& node) { return can_rotate(node); }
Claim claim_kv_round(const NodeView& node) { return can_round(node, RoundTrip::Kind::kv, node.in(0).cols()); }
Claim claim_index_round(const NodeView& node) { return can_round(node, RoundTrip::Kind::index, node.in(0).cols()); }

std::unique_ptr<sdk::Kernel> make_rms_norm(const Isa& i, const NodeView& n) { return make_kernel<RmsNorm>(i, n); }
std::unique_ptr<sdk::Kernel> make_rope_tail(const Isa& i, const NodeView& n) { return make_kernel<RopeTail>(i, n); }
std::unique_ptr<sdk::Kernel> make_kv_round(const Isa& i, const NodeView& n) {
  return make_kernel<Rounding<RoundTrip::Kind::kv>>(i, n);
}
std::unique_ptr<sdk::Kernel> make_index_round(const Isa& i, const NodeView& n) {
  return make_kernel<Rounding<RoundTrip::Kind::index>>(i, n);
}

} // namespace seacliff::cpu
