// Step 5: a second op and a third format.
#include "f16_row.hpp"
#include "matmul.hpp"
#include "rms_norm.hpp"

#include <seacliff/sdk/kernel_plugin.hpp>

namespace {

using namespace seacliff::sdk;

constexpr KernelEntry k_kernels[] = {
    {"matmul", kernels::claim_matmul<kernels::F32Row>, kernels::make_matmul<kernels::F32Row>},
    {"matmul", kernels::claim_matmul<kernels::Q8Row>, kernels::make_matmul<kernels::Q8Row>},
    {"matmul", kernels::claim_matmul<kernels::F16Row>, kernels::make_matmul<kernels::F16Row>},
    {"rms_norm", kernels::claim_rms_norm, kernels::make_rms_norm},
};

class TemplatePlugin final : public KernelPlugin {
public:
  static constexpr std::string_view k_name = "template", k_vendor = "Sea Cliff", k_version = "0.1.0";

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
