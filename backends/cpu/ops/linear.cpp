// matmul, matmul_grouped, matmul_id, attn_out_grouped, shared_expert.
#include "gemm.hpp"
#include "op_kernel.hpp"

#include <cstring>

namespace seacliff::cpu {
namespace {

bool act8(const NodeView& node) { return node.attr_int("act8") != 0; }

class Matmul final : public OpKernel {
public:
  Matmul(const Isa& isa, const NodeView& node)
      : OpKernel(isa), gemm_(isa, node.in(1), act8(node)), quantiser_(isa, gemm_), max_rows_(node.in(0).rows()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return quantiser_.unpacked_bytes(max_rows_, workers);
  }
  Form form() const override { return quantiser_.form(max_rows_); }
  std::uint32_t tickets() const override { return 2; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t tokens = call.input(0).rows(), n = gemm_.n();
    const Activations rows = quantiser_.prepare_form(call, worker, call.tickets[1]);
    gemm_.each_part(worker, tokens, call.tickets[0],
                    [&](const Block2& part) { gemm_.multiply(call.input(1), 0, rows, part, call.output(0).f32(), n); });
  }

private:
  Gemm gemm_;
  Quantiser quantiser_;
  std::int64_t max_rows_;
};

/// Block-diagonal product: x is seen as `groups` rows of k per token.
class Grouped {
public:
  static constexpr std::uint32_t k_tickets = 2;
  Grouped(const Isa& isa, const ValueView& weight, std::int64_t groups, bool quantised)
      : gemm_(isa, weight, quantised), quantiser_(isa, gemm_), groups_(groups) {}
  std::int64_t outputs() const { return gemm_.n(); } // of all groups
  std::uint64_t scratch_bytes(std::int64_t max_tokens, std::uint32_t workers) const {
    return quantiser_.packed_bytes(max_tokens, groups_, workers);
  }
  /// Elements of x that can be taken early: into `taken` of so many bytes.
  std::int64_t grain() const {
    return gemm_.k() % k_take == 0 && gemm_.act(1) != Act::none && gemm_.pack() != nullptr ? k_take : 0;
  }
  std::uint64_t taken_bytes(std::int64_t max_tokens) const { return quantiser_.taken_bytes(max_tokens, groups_); }
  void take(const float* x, std::int64_t tokens, Range range, std::byte* taken) const {
    if (quantiser_.packs(tokens)) quantiser_.take(x, range, taken);
  }
  /// `taken`: nullptr, or what has been made of all of x.
  void run(const float* x, std::int64_t tokens, const Tensor& w, float* out, std::byte* scratch, const Worker& worker,
           sdk::Ticket* tickets, const std::byte* taken = nullptr) const {
    const Activations all = taken != nullptr && quantiser_.packs(tokens)
                                ? quantiser_.pack_taken(taken, tokens, groups_, scratch, worker, tickets[1])
                                : quantiser_.prepare_packed(x, tokens, groups_, scratch, worker, tickets[1]);
    gemm_.each_part(worker, tokens, tickets[0], [&](const Block2& part) { multiply(all, part, w, out); });
  }

private:
  static constexpr std::int64_t k_take = 256; // blocks of a scale
  void multiply(const Activations& all, const Block2& mine, const Tensor& w, float* out) const {
    const std::int64_t per_group = gemm_.n() / groups_;
    for (std::int64_t row = mine.rows.begin; row < mine.rows.end;) {
      const std::int64_t group = row / per_group, end = std::min(mine.rows.end, (group + 1) * per_group);
      Activations x_group = all;
      x_group.data += static_cast<std::uint64_t>(group) * (all.packed ? all.group : all.stride);
      if (!all.packed) x_group.stride *= static_cast<std::uint64_t>(groups_);
      gemm_.multiply(w, 0, x_group, {{row, end}, mine.tokens, end < mine.rows.end ? end : mine.next}, out, gemm_.n());
      row = end;
    }
  }

  Gemm gemm_;
  Quantiser quantiser_;
  std::int64_t groups_;
};

class MatmulGrouped final : public OpKernel {
public:
  MatmulGrouped(const Isa& isa, const NodeView& node)
      : OpKernel(isa), grouped_(isa, node.in(1), node.attr_int("groups", 1), act8(node)),
        max_tokens_(node.in(0).dim(0)) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return grouped_.scratch_bytes(max_tokens_, workers);
  }
  std::uint32_t tickets() const override { return Grouped::k_tickets; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    grouped_.run(call.input(0).f32(), call.input(0).dim(0), call.input(1), call.output(0).f32(), call.scratch.data(),
                 worker, call.tickets);
  }

private:
  Grouped grouped_;
  std::int64_t max_tokens_;
};

class AttnOutGrouped final : public OpKernel {
public:
  AttnOutGrouped(const Isa& isa, const NodeView& node)
      : OpKernel(isa), low_(isa, node.in(1), node.attr_int("groups", 1), act8(node)), up_(isa, node.in(2), act8(node)),
        quantiser_(isa, up_), max_tokens_(node.in(0).dim(0)) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return parts(nullptr, max_tokens_, workers).bytes;
  }
  std::uint32_t tickets() const override { return Grouped::k_tickets + 2; }
  std::int64_t takes_early() const override { return low_.grain(); }
  void take(const KernelCall& call, Range range) const noexcept override {
    const Tensor& x = call.input(0);
    low_.take(x.f32(), x.dim(0), range, parts(call.scratch.data(), max_tokens_, 1).taken);
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t tokens = call.input(0).dim(0);
    sdk::Ticket* of_up = call.tickets + Grouped::k_tickets;
    const Parts p = parts(call.scratch.data(), max_tokens_, worker.count());
    low_.run(call.input(0).f32(), tokens, call.input(1), p.low, p.x, worker, call.tickets,
             call.taken ? p.taken : nullptr);
    worker.barrier();
    const Activations rows = quantiser_.prepare_packed(p.low, tokens, 1, p.low_codes, worker, of_up[1]);
    up_.each_part(worker, tokens, of_up[0], [&](const Block2& part) {
      up_.multiply(call.input(2), 0, rows, part, call.output(0).f32(), up_.n());
    });
  }

private:
  struct Parts {
    std::byte* taken; // first: it does not lie where the number of workers says
    float* low;
    std::byte *x, *low_codes;
    std::uint64_t bytes;
  };
  Parts parts(std::byte* base, std::int64_t tokens, std::uint32_t workers) const {
    Carve carve(base);
    Parts p{};
    p.taken = carve.take<std::byte>(low_.taken_bytes(tokens));
    p.low = carve.take<float>(static_cast<std::uint64_t>(tokens * low_.outputs()));
    p.x = carve.take<std::byte>(low_.scratch_bytes(tokens, workers));
    p.low_codes = carve.take<std::byte>(quantiser_.packed_bytes(tokens, 1, workers));
    p.bytes = carve.used();
    return p;
  }
  Grouped low_;
  Gemm up_;
  Quantiser quantiser_;
  std::int64_t max_tokens_;
};

class MatmulId final : public OpKernel {
public:
  MatmulId(const Isa& isa, const NodeView& node)
      : OpKernel(isa), gemm_(isa, node.in(1), act8(node)), quantiser_(isa, gemm_), max_rows_(node.in(0).rows()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return quantiser_.bytes(max_rows_, workers); }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &w = call.input(1), &ids = call.input(2), &out = call.output(0);
    const std::int64_t slots = ids.cols(), pairs = ids.elems(), n = gemm_.n();
    const Activations rows = quantiser_.prepare(x.f32(), x.rows(), 1, call.scratch.data(), worker);
    const Range mine = worker.share(n, k_row_grain);
    for (std::int64_t p = 0; p < pairs; ++p) {
      const std::int64_t id = ids.i32()[p], row = x.rank == 3 ? p : p / slots;
      float* y = out.f32() + p * n;
      if (id < 0 || id >= w.dim(0)) {
        std::fill(y + mine.begin, y + mine.end, 0.0f);
        continue;
      }
      const Activations one{rows.data + static_cast<std::uint64_t>(row) * rows.stride, rows.stride, rows.act,
                            rows.scratch};
      gemm_.multiply(w, id * n, one, {mine, {0, 1}}, y, n);
    }
  }

private:
  Gemm gemm_;
  Quantiser quantiser_;
  std::int64_t max_rows_;
};

class SharedExpert final : public OpKernel {
public:
  SharedExpert(const Isa& isa, const NodeView& node)
      : OpKernel(isa), gate_(isa, node.in(1), act8(node)), up_(isa, node.in(2), act8(node)),
        down_(isa, node.in(3), act8(node)), x_gate_(isa, gate_), x_up_(isa, up_), x_down_(isa, down_),
        clamp_(static_cast<float>(node.attr_float("clamp"))), max_tokens_(node.in(0).dim(0)) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return parts(nullptr, max_tokens_, workers).bytes;
  }
  std::uint32_t tickets() const override { return 5; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t tokens = call.input(0).dim(0), f = gate_.n();
    const Parts p = parts(call.scratch.data(), max_tokens_, worker.count());
    const float* x = call.input(0).f32();
    const Activations xg = x_gate_.prepare_packed(x, tokens, 1, p.x_gate, worker, call.tickets[2]);
    const Activations xu =
        gate_.same_acts(up_) ? xg : x_up_.prepare_packed(x, tokens, 1, p.x_up, worker, call.tickets[3]);
    gate_.each_part(worker, tokens, call.tickets[0], [&](const Block2& part) {
      const std::byte* next = part.next >= 0 ? call.input(1).row(part.next) : nullptr;
      gate_.multiply(call.input(1), 0, xg, part, p.gate, f, false, call.input(2).row(part.rows.begin));
      up_.multiply(call.input(2), 0, xu, part, p.up, f, false, next);
      for (std::int64_t t = part.tokens.begin; t < part.tokens.end; ++t) {
        float* g = p.gate + t * f + part.rows.begin;
        isa_.swiglu(g, p.up + t * f + part.rows.begin, 1.0f, clamp_, g, part.rows.end - part.rows.begin);
      }
    });
    worker.barrier();
    const Activations mid = x_down_.prepare_packed(p.gate, tokens, 1, p.mid, worker, call.tickets[4]);
    down_.each_part(worker, tokens, call.tickets[1], [&](const Block2& part) {
      down_.multiply(call.input(3), 0, mid, part, call.output(0).f32(), down_.n());
    });
  }

private:
  struct Parts {
    float *gate, *up;
    std::byte *x_gate, *x_up, *mid;
    std::uint64_t bytes;
  };
  Parts parts(std::byte* base, std::int64_t tokens, std::uint32_t workers) const {
    Carve carve(base);
    Parts p{};
    p.gate = carve.take<float>(static_cast<std::uint64_t>(tokens * gate_.n()));
    p.up = carve.take<float>(static_cast<std::uint64_t>(tokens * up_.n()));
    p.x_gate = carve.take<std::byte>(x_gate_.packed_bytes(tokens, 1, workers));
    p.x_up = carve.take<std::byte>(x_up_.packed_bytes(tokens, 1, workers));
    p.mid = carve.take<std::byte>(x_down_.packed_bytes(tokens, 1, workers));
    p.bytes = carve.used();
    return p;
  }
  Gemm gate_, up_, down_;
  Quantiser x_gate_, x_up_, x_down_;
  float clamp_;
  std::int64_t max_tokens_;
};

Claim whole_groups(const NodeView& node) {
  const std::int64_t groups = node.attr_int("groups", 1);
  if (groups < 1 || node.in(1).dim(0) % groups != 0)
    return Claim::no(std::to_string(node.in(1).dim(0)) + " rows are no " + std::to_string(groups) + " groups");
  return Claim::ok();
}

} // namespace

Claim claim_matmul(const NodeView& node) { return with_weights(node, {1}); }
Claim claim_matmul_grouped(const NodeView& node) { return all_of({with_weights(node, {1}), whole_groups(node)}); }
Claim claim_matmul_id(const NodeView& node) { return with_weights(node, {1}); }
Claim claim_attn_out_grouped(const NodeView& node) { return all_of({with_weights(node, {1, 2}), whole_groups(node)}); }
Claim claim_shared_expert(const NodeView& node) { return with_weights(node, {1, 2, 3}); }

std::unique_ptr<sdk::Kernel> make_matmul(const Isa& i, const NodeView& n) { return make_kernel<Matmul>(i, n); }
std::unique_ptr<sdk::Kernel> make_matmul_grouped(const Isa& i, const NodeView& n) {
  return make_kernel<MatmulGrouped>(i, n);
}
std::unique_ptr<sdk::Kernel> make_matmul_id(const Isa& i, const NodeView& n) { return make_kernel<MatmulId>(i, n); }
std::unique_ptr<sdk::Kernel> make_attn_out_grouped(const Isa& i, const NodeView& n) {
  return make_kernel<AttnOutGrouped>(i, n);
}
std::unique_ptr<sdk::Kernel> make_shared_expert(const Isa& i, const NodeView& n) {
  return make_kernel<SharedExpert>(i, n);
}

} // namespace seacliff::cpu
