// gather_rows, add, swiglu, sum_slots, repeat_streams, sqrt_softplus.
#include "op_kernel.hpp"

#include <cmath>
#include <cstring>

namespace seacliff::cpu {
namespace {

constexpr std::int64_t k_cell = 1024; // elements of one piece of work

class GatherRows final : public OpKernel {
public:
  GatherRows(const Isa& isa, const NodeView& node) : OpKernel(isa) {
    const ValueView table = node.in(0);
    if (table.value->dtype != SCF_DTYPE_I32) format_ = isa.find(table.dtype());
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &table = call.input(0), &ids = call.input(1), &out = call.output(0);
    const std::int64_t tokens = ids.elems(), vocabulary = table.dim(0);
    const std::int64_t n = out.elems() / std::max<std::int64_t>(tokens, 1);
    const std::uint64_t stride = row_bytes(table.dtype, static_cast<std::uint64_t>(n));
    const sdk::Range mine = worker.share(tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const std::int64_t id = ids.i32()[t];
      const bool known = id >= 0 && id < vocabulary;
      const auto* row = static_cast<const std::byte*>(table.data) + static_cast<std::uint64_t>(known ? id : 0) * stride;
      auto* to = static_cast<std::byte*>(out.data) + t * n * 4;
      if (!known) {
        std::memset(to, 0, static_cast<std::size_t>(n) * 4);
      } else if (format_ == nullptr) {
        std::memcpy(to, row, static_cast<std::size_t>(n) * 4);
      } else {
        format_->decode(row, reinterpret_cast<float*>(to), n);
      }
    }
  }

private:
  const Format* format_ = nullptr; // nullptr: i32
};

class Add final : public OpKernel {
public:
  Add(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  bool in_place() const override { return true; }
  std::int64_t part() const override { return 1; }
  void run_part(const KernelCall& call, sdk::Range part) const noexcept override {
    isa_.add(call.input(0).f32() + part.begin, call.input(1).f32() + part.begin, call.output(0).f32() + part.begin,
             part.end - part.begin);
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    run_part(call, worker.share(call.output(0).elems(), k_cell));
  }
};

class Swiglu final : public OpKernel {
public:
  Swiglu(const Isa& isa, const NodeView& node) : OpKernel(isa), clamp_(static_cast<float>(node.attr_float("clamp"))) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &g = call.input(0), &u = call.input(1), &out = call.output(0);
    const float* weights = call.in.size() > 2 && call.input(2) ? call.input(2).f32() : nullptr;
    each_cell(worker, out.rows(), out.cols(), k_cell, [&](std::int64_t row, Range cols) {
      isa_.swiglu(g.f32_row(row) + cols.begin, u.f32_row(row) + cols.begin, weights != nullptr ? weights[row] : 1.0f,
                  clamp_, out.f32_row(row) + cols.begin, cols.end - cols.begin);
    });
  }

private:
  float clamp_;
};

class SumSlots final : public OpKernel {
public:
  SumSlots(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &out = call.output(0);
    const std::int64_t slots = x.dim(1), n = x.dim(2);
    each_cell(worker, out.rows(), n, k_cell, [&](std::int64_t row, Range cols) {
      const std::int64_t width = cols.end - cols.begin;
      float* to = out.f32_row(row) + cols.begin;
      const float* from = x.f32() + row * slots * n + cols.begin;
      std::fill_n(to, width, 0.0f);
      for (std::int64_t s = 0; s < slots; ++s) isa_.add(to, from + s * n, to, width);
    });
  }
};

class RepeatStreams final : public OpKernel {
public:
  RepeatStreams(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &out = call.output(0);
    const std::int64_t n = out.dim(1);
    each_cell(worker, out.rows(), out.cols(), k_cell, [&](std::int64_t row, Range cols) {
      std::copy_n(x.f32_row(row / n) + cols.begin, cols.end - cols.begin, out.f32_row(row) + cols.begin);
    });
  }
};

class SqrtSoftplus final : public OpKernel {
public:
  SqrtSoftplus(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const sdk::Range mine = worker.share(call.output(0).elems(), 16);
    isa_.sqrt_softplus(call.input(0).f32() + mine.begin, call.output(0).f32() + mine.begin, mine.end - mine.begin);
  }
};

} // namespace

Claim claim_gather_rows(const NodeView& node) {
  return node.in(0).value->dtype == SCF_DTYPE_I32 ? Claim::ok() : with_weights(node, {0});
}
Claim claim_add(const NodeView&) { return Claim::ok(); }
Claim claim_swiglu(const NodeView&) { return Claim::ok(); }
Claim claim_sum_slots(const NodeView&) { return Claim::ok(); }
Claim claim_repeat_streams(const NodeView&) { return Claim::ok(); }
Claim claim_sqrt_softplus(const NodeView&) { return Claim::ok(); }

std::unique_ptr<sdk::Kernel> make_gather_rows(const Isa& i, const NodeView& n) { return make_kernel<GatherRows>(i, n); }
std::unique_ptr<sdk::Kernel> make_add(const Isa& i, const NodeView& n) { return make_kernel<Add>(i, n); }
std::unique_ptr<sdk::Kernel> make_swiglu(const Isa& i, const NodeView& n) { return make_kernel<Swiglu>(i, n); }
std::unique_ptr<sdk::Kernel> make_sum_slots(const Isa& i, const NodeView& n) { return make_kernel<SumSlots>(i, n); }
std::unique_ptr<sdk::Kernel> make_repeat_streams(const Isa& i, const NodeView& n) {
  return make_kernel<RepeatStreams>(i, n);
}
std::unique_ptr<sdk::Kernel> make_sqrt_softplus(const Isa& i, const NodeView& n) {
  return make_kernel<SqrtSoftplus>(i, n);
}

} // namespace seacliff::cpu
