// The plugin to copy. It computes one op of the catalogue in two formats and declines the rest, which the host then
// gives to somebody else.
//
// The host asks in this order, and everything follows from it:
//   1. query     what are you, which ABI? No work, no driver: a listing must not wake a device.
//   2. open      with the user's options, and devices(): what is there, what is unusable and why.
//   3. propose   which nodes of this graph? Asked before any memory is taken, many times, from any thread: a claim is
//                a pure function of the node, or plans would change while they are made.
//   4. compile   a run of claimed nodes at once: `make` below, once per node. Parse attributes and choose here.
//   5. bind      weights, state and scratch get addresses. The last moment at which anything is allocated.
//   6. submit    per step: `run` below, on all workers at the same time. It allocates nothing and throws nothing.
// KernelPlugin does all of it for a set of kernels over main memory; the SDK's headers say how.
#include "matmul.hpp"

#include <seacliff/sdk/kernel_plugin.hpp>

namespace {

using namespace seacliff::sdk;

// Several lines may name one op: the first whose claim takes the node wins. What is claimed must run: the host reports
// a claim that is taken back at compile time as a defect of the plugin, and shows a NO's reason to users as it is.
constexpr KernelEntry k_kernels[] = {
    {"matmul", kernels::claim_matmul<kernels::F32Row>, kernels::make_matmul<kernels::F32Row>},
    {"matmul", kernels::claim_matmul<kernels::Q8Row>, kernels::make_matmul<kernels::Q8Row>},
};

class TemplatePlugin final : public KernelPlugin {
public:
  static constexpr std::string_view k_name = "template", k_vendor = "Sea Cliff", k_version = "0.1.0";

  /// Every device, also one that cannot be used: then fill `reason_unusable`, and users read why.
  std::vector<DeviceDesc> devices() override {
    DeviceDesc device;
    device.id = "template:0"; // the same on every start: scripts write it down
    device.name = "one op on the CPU";
    device.heaps = {host_heap()};
    return {device};
  }

  /// Asked when a device is opened: the place to choose kernels for what the device can do.
  std::span<const KernelEntry> kernels(const DeviceDesc&) override { return k_kernels; }
};

} // namespace

SEACLIFF_PLUGIN(TemplatePlugin) // the one exported symbol
