// A plugin of some kernels, linked into the test and called through the ABI like any other.
#pragma once

#include <seacliff/sdk/kernel_plugin.hpp>

#include <atomic>

namespace seacliff::plugins {

/// c = a + b
struct ToyAdd final : sdk::Kernel {
  void run(const sdk::KernelCall& call, const sdk::Worker& worker) const noexcept override {
    const sdk::Range part = worker.share(call.output(0).elems());
    for (std::int64_t i = part.begin; i < part.end; ++i)
      call.output(0).f32()[i] = call.input(0).f32()[i] + call.input(1).f32()[i];
  }
};

/// y = x * factor
struct ToyScale final : sdk::Kernel {
  explicit ToyScale(float f) : factor(f) {}
  bool in_place() const override { return true; }
  void run(const sdk::KernelCall& call, const sdk::Worker& worker) const noexcept override {
    const sdk::Range part = worker.share(call.output(0).elems());
    for (std::int64_t i = part.begin; i < part.end; ++i) call.output(0).f32()[i] = call.input(0).f32()[i] * factor;
  }
  float factor;
};

/// y = x * factor, plus a second input if there is one; ten elements can be made alone
struct ToyPart final : sdk::Kernel {
  explicit ToyPart(float f) : factor(f) {}
  bool in_place() const override { return true; }
  std::int64_t part() const override { return 10; }
  void run_part(const sdk::KernelCall& call, sdk::Range range) const noexcept override {
    for (std::int64_t i = range.begin; i < range.end; ++i)
      call.output(0).f32()[i] = call.input(0).f32()[i] * factor + (call.in.size() > 1 ? call.input(1).f32()[i] : 0.0f);
  }
  void run(const sdk::KernelCall& call, const sdk::Worker& worker) const noexcept override {
    run_part(call, worker.share(call.output(0).elems()));
  }
  float factor;
};

/// y = x + 1 by pieces of `grain` elements, as they come; with those who have joined
struct ToyPieces final : sdk::Kernel {
  explicit ToyPieces(std::int64_t g) : grain(g) {}
  bool in_place() const override { return true; }
  std::uint32_t tickets() const override { return 1; }
  std::int64_t takes_before() const override { return grain; }
  std::int64_t takes_after() const override { return grain; }
  void run(const sdk::KernelCall& call, const sdk::Worker&) const noexcept override {
    const std::int64_t n = call.output(0).elems();
    sdk::take_pieces(call.tickets[0], (n + grain - 1) / grain, [&](std::int64_t piece) {
      const sdk::Range mine{piece * grain, std::min(n, (piece + 1) * grain)};
      call.run_before(mine);
      for (std::int64_t i = mine.begin; i < mine.end; ++i) call.output(0).f32()[i] = call.input(0).f32()[i] + 1;
      call.run_after(mine);
    });
  }
  std::int64_t grain;
};

/// y = 2 x, and 1000 where x has been taken early, into scratch
struct ToyTaker final : sdk::Kernel {
  explicit ToyTaker(std::int64_t elems) : n(elems) {}
  std::uint64_t scratch_bytes(std::uint32_t) const override { return static_cast<std::uint64_t>(n) * sizeof(float); }
  std::int64_t takes_early() const override { return 10; }
  void take(const sdk::KernelCall& call, sdk::Range range) const noexcept override {
    auto* taken = reinterpret_cast<float*>(call.scratch.data());
    for (std::int64_t i = range.begin; i < range.end; ++i) taken[i] = 2 * call.input(0).f32()[i] + 1000;
  }
  void run(const sdk::KernelCall& call, const sdk::Worker& worker) const noexcept override {
    const auto* taken = reinterpret_cast<const float*>(call.scratch.data());
    const sdk::Range part = worker.share(call.output(0).elems());
    for (std::int64_t i = part.begin; i < part.end; ++i)
      call.output(0).f32()[i] = call.taken ? taken[i] : 2 * call.input(0).f32()[i];
  }
  std::int64_t n;
};

/// y = 2 x + the mark of the kernel that has made the form of x; kernels of one kind share it
struct ToyFormer final : sdk::Kernel {
  ToyFormer(std::int64_t elems, std::int64_t kind_, float mark_) : n(elems), kind(kind_), mark(mark_) {}
  Form form() const override {
    static constexpr char kinds[2] = {};
    return {kinds + kind, static_cast<std::uint64_t>(n) * sizeof(float)};
  }
  void run(const sdk::KernelCall& call, const sdk::Worker& worker) const noexcept override {
    auto* made = reinterpret_cast<float*>(call.form);
    const std::int64_t all = call.output(0).elems();
    const sdk::Range part = worker.share(all);
    if (!call.formed) {
      for (std::int64_t i = part.begin; i < part.end; ++i) made[i] = 2 * call.input(0).f32()[i] + mark;
      worker.barrier();
    }
    for (std::int64_t i = part.begin; i < part.end; ++i) call.output(0).f32()[i] = made[all - 1 - i]; // others' parts
  }
  std::int64_t n, kind;
  float mark;
};

/// state[D] += sum over rows of x[T,D]; partial sums per worker in scratch, a barrier in between
struct ToyAccumulate final : sdk::Kernel {
  explicit ToyAccumulate(std::int64_t columns) : cols(columns) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return static_cast<std::uint64_t>(workers) * static_cast<std::uint64_t>(cols) * sizeof(float);
  }
  void run(const sdk::KernelCall& call, const sdk::Worker& worker) const noexcept override {
    const sdk::Tensor& x = call.input(0);
    auto* sums = reinterpret_cast<float*>(call.scratch.data());
    float* mine = sums + worker.index() * cols;
    std::fill_n(mine, cols, 0.0f);
    const sdk::Range rows = worker.share(x.rows());
    for (std::int64_t r = rows.begin; r < rows.end; ++r)
      for (std::int64_t c = 0; c < cols; ++c) mine[c] += x.f32_row(r)[c];
    worker.barrier();
    const sdk::Range part = worker.share(cols);
    for (std::int64_t c = part.begin; c < part.end; ++c)
      for (std::uint32_t w = 0; w < worker.count(); ++w) call.output(0).f32()[c] += sums[w * cols + c];
  }
  std::int64_t cols;
};

inline sdk::Claim claim_f32(const sdk::NodeView& node) {
  for (std::uint32_t i = 0; i < node.n_in(); ++i)
    if (node.in(i) && node.in(i).dtype() != DType::f32) return sdk::Claim::no("needs f32");
  return sdk::Claim::ok();
}

inline constexpr sdk::KernelEntry k_toy_kernels[] = {
    {"add", claim_f32, [](const sdk::NodeView&) -> std::unique_ptr<sdk::Kernel> { return std::make_unique<ToyAdd>(); }},
    {"scale", claim_f32,
     [](const sdk::NodeView& n) -> std::unique_ptr<sdk::Kernel> {
       return std::make_unique<ToyScale>(static_cast<float>(n.attr_float("factor", 1.0)));
     }},
    {"part", claim_f32,
     [](const sdk::NodeView& n) -> std::unique_ptr<sdk::Kernel> {
       return std::make_unique<ToyPart>(static_cast<float>(n.attr_float("factor", 1.0)));
     }},
    {"pieces", claim_f32,
     [](const sdk::NodeView& n) -> std::unique_ptr<sdk::Kernel> {
       return std::make_unique<ToyPieces>(n.attr_int("grain", 20));
     }},
    {"taker", claim_f32,
     [](const sdk::NodeView& n) -> std::unique_ptr<sdk::Kernel> {
       return std::make_unique<ToyTaker>(n.in(0).rows() * n.in(0).cols());
     }},
    {"former", claim_f32,
     [](const sdk::NodeView& n) -> std::unique_ptr<sdk::Kernel> {
       return std::make_unique<ToyFormer>(n.in(0).rows() * n.in(0).cols(), n.attr_int("kind"),
                                          static_cast<float>(n.attr_float("mark")));
     }},
    {"accumulate", claim_f32,
     [](const sdk::NodeView& n) -> std::unique_ptr<sdk::Kernel> {
       return std::make_unique<ToyAccumulate>(n.in(0).cols());
     }},
    {"liar", [](const sdk::NodeView&) { return sdk::Claim::preferred(); },
     [](const sdk::NodeView&) -> std::unique_ptr<sdk::Kernel> { throw sdk::Failure(SCF_INTERNAL, "no such thing"); }},
    {"shy", [](const sdk::NodeView&) { return sdk::Claim::ok(); },
     [](const sdk::NodeView&) -> std::unique_ptr<sdk::Kernel> { return nullptr; }},
};

class ToyPlugin final : public sdk::KernelPlugin {
public:
  static constexpr std::string_view k_name = "toy", k_vendor = "Sea Cliff tests", k_version = "1.2.3";

  std::vector<sdk::OptionSpec> options() const override { return {{"label", "name of the device"}}; }
  void configure(const sdk::Options& options) override { label_ = options.get_string("label", "toys"); }
  std::vector<sdk::DeviceDesc> devices() override {
    sdk::DeviceDesc good;
    good.id = "toy:0";
    good.name = label_;
    good.heaps = {sdk::host_heap()};
    sdk::DeviceDesc bad;
    bad.id = "toy:1";
    bad.reason_unusable = "it is broken";
    return {good, bad};
  }
  std::span<const sdk::KernelEntry> kernels(const sdk::DeviceDesc&) override { return k_toy_kernels; }

private:
  std::string label_;
};

} // namespace seacliff::plugins
