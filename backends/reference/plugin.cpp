// Every op of the catalogue in float32 and float64, written to be read. `auto` uses it only for what nothing else
// claims; `--backend reference` makes it the oracle that other backends are compared with.
#include "ops/reference/kernels.hpp"

#include <seacliff/sdk/kernel_plugin.hpp>

namespace seacliff::reference {

class ReferencePlugin final : public sdk::KernelPlugin {
public:
  static constexpr std::string_view k_name = "reference", k_vendor = "Sea Cliff", k_version = "0.1.0";

  std::vector<sdk::DeviceDesc> devices() override {
    sdk::DeviceDesc device;
    device.id = "reference:0";
    device.name = "reference kernels";
    device.detail = "float32 and float64, every op, for checking";
    device.flags |= SCF_DEVICE_LAST_RESORT;
    device.heaps = {sdk::host_heap()};
    return {device};
  }

  std::span<const sdk::KernelEntry> kernels(const sdk::DeviceDesc&) override { return reference_kernels(); }
};

} // namespace seacliff::reference

SEACLIFF_PLUGIN(seacliff::reference::ReferencePlugin)
