// The plugin to copy. It computes two ops of the catalogue and declines the rest, which the host then gives to somebody
// else. Read it from the bottom up: the plugin has devices, a device has kernels, a kernel runs a node.
#include <seacliff/sdk/kernel_plugin.hpp>

#include <algorithm>
#include <cmath>

namespace {

using namespace seacliff::sdk;
using seacliff::DType;

// ---- 3. Kernels ---------------------------------------------------------------------------------------------------
// Made once per node: parse attributes here, in the constructor. Run once per step, on all workers at the same time:
// take your share, and meet at worker.barrier() where one phase needs what another worker wrote.

/// add: (a, b) -> a + b
class Add final : public Kernel {
public:
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const float *a = call.input(0).f32(), *b = call.input(1).f32();
    float* out = call.output(0).f32();
    const auto [begin, end] = worker.share(call.output(0).elems(), 16);
    for (std::int64_t i = begin; i < end; ++i) out[i] = a[i] + b[i];
  }
};

/// swiglu: (g, u, w?) -> silu(min(g, c)) * clamp(u, -c, c) * w, one w per row; c <= 1e-6 means no limit
class SwiGlu final : public Kernel {
public:
  explicit SwiGlu(double clamp) : limit_(clamp <= 1e-6 ? INFINITY : static_cast<float>(clamp)) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &g = call.input(0), &u = call.input(1), &w = call.input(2), &out = call.output(0);
    const auto [begin, end] = worker.share(out.rows());
    for (std::int64_t r = begin; r < end; ++r) {
      const float weight = w ? w.f32()[r] : 1.0f; // an absent optional operand is false
      for (std::int64_t c = 0; c < out.cols(); ++c) {
        const float gate = std::min(g.f32_row(r)[c], limit_);
        const float up = std::clamp(u.f32_row(r)[c], -limit_, limit_);
        out.f32_row(r)[c] = gate / (1.0f + std::exp(-gate)) * up * weight;
      }
    }
  }

private:
  float limit_;
};

// ---- 2. Claims ----------------------------------------------------------------------------------------------------
// A pure function of the node. Say NO with a reason: users read it when they ask why a node runs elsewhere. What you
// claim you must be able to run; a claim taken back at compile time is reported as a defect of the plugin.

Claim all_f32(const NodeView& node) {
  for (std::uint32_t i = 0; i < node.n_in(); ++i)
    if (node.in(i) && node.in(i).dtype() != DType::f32) return Claim::no("every operand must be f32");
  return Claim::slow(); // correct, please avoid; ok() and preferred() attract work
}

constexpr KernelEntry k_kernels[] = {
    {"add", all_f32, [](const NodeView&) -> std::unique_ptr<Kernel> { return std::make_unique<Add>(); }},
    {"swiglu", all_f32,
     [](const NodeView& node) -> std::unique_ptr<Kernel> {
       return std::make_unique<SwiGlu>(node.attr_float("clamp"));
     }},
};

// ---- 1. The plugin ------------------------------------------------------------------------------------------------

class TemplatePlugin final : public KernelPlugin {
public:
  static constexpr std::string_view k_name = "template", k_vendor = "Sea Cliff", k_version = "0.1.0";

  /// Report what cannot be used as well, with `reason_unusable` filled.
  std::vector<DeviceDesc> devices() override {
    DeviceDesc device;
    device.id = "template:0";
    device.name = "two ops on the CPU";
    device.heaps = {host_heap()};
    return {device};
  }

  std::span<const KernelEntry> kernels(const DeviceDesc&) override { return k_kernels; }
};

} // namespace

SEACLIFF_PLUGIN(TemplatePlugin)
