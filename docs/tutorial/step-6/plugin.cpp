// Step 6: a device with memory and queues of its own.
#include "f16_row.hpp"
#include "matmul.hpp"
#include "queue.hpp"
#include "rms_norm.hpp"

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
    HeapDesc own;
    own.id = device::k_device_heap;
    own.kind = SCF_HEAP_DEVICE_LOCAL;
    own.total = own.budget = memory.total;
    own.flags = 0; // not mappable: bytes come and go by copy
    own.import_kinds = 0;
    DeviceDesc device;
    device.id = "template:0";
    device.name = "a device with its own memory";
    device.kind = SCF_DEVICE_ACCEL;
    device.flags = SCF_DEVICE_USABLE | SCF_DEVICE_ASYNC; // no UNIFIED_MEMORY
    HeapDesc host = host_heap();
    host.id = device::k_host_heap;
    host.import_kinds = 0;
    device.heaps = {own, host}; // the one to compute in first
    return {device};
  }

  std::span<const KernelEntry> kernels(const DeviceDesc&) override { return k_kernels; }

  device::Memory memory;
};

// KernelPlugin's tables, with ours in the places where the device is different.
constexpr scf_plugin_api k_api = [] {
  scf_plugin_api api = tables::k_api<TemplatePlugin>;
  api.memory = &device::k_memory;
  api.program = &device::k_program;
  api.queue = &device::k_queue;
  api.profile = nullptr; // optional: the host times whole submits
  return api;
}();

constexpr scf_plugin k_plugin = [] {
  scf_plugin plugin = tables::k_plugin<TemplatePlugin>;
  plugin.api = &k_api;
  return plugin;
}();

} // namespace

device::Memory& device::memory_of(scf_device* handle) {
  return static_cast<TemplatePlugin&>(*tables::DeviceObject::of(handle)->instance->plugin).memory;
}

extern "C" SCF_EXPORT std::uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
  *out = &k_plugin; // also when refusing: the loader prints both versions
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}
