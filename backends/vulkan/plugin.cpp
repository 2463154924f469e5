// The Vulkan plugin: its entry and its devices.
#include "device.hpp"
#include "layouts.hpp"

#include <seacliff/sdk/kernel_plugin.hpp>

namespace seacliff::vulkan {
namespace {

constexpr std::string_view k_name = "vulkan", k_vendor = "Sea Cliff", k_version = "0.1.0";

scf_status* open(const scf_host* host, const scf_kv* pairs, std::uint32_t count, scf_instance** out) {
  return sdk::guard(host,
                    [&] { *out = reinterpret_cast<scf_instance*>(new Instance(host, read_settings(pairs, count))); });
}

scf_status* close(scf_instance* handle) {
  delete Instance::of(handle);
  return nullptr;
}

scf_status* enumerate(scf_instance* handle, void (*sink)(void*, const scf_device_desc*), void* user) {
  Instance* instance = Instance::of(handle);
  return sdk::guard(instance->host(), [&] {
    for (const Adapter& adapter : instance->described()) sdk::report(adapter.desc, sink, user);
  });
}

scf_status* device_open(scf_instance* handle, scf_str id, const scf_kv* pairs, std::uint32_t count, scf_device** out) {
  Instance* instance = Instance::of(handle);
  return sdk::guard(instance->host(), [&] {
    const sdk::Options none(pairs, count, {});
    const Adapter* adapter = instance->find(sdk::view(id));
    if (adapter == nullptr)
      throw sdk::Failure(SCF_NOT_FOUND, "there is no device '" + std::string(sdk::view(id)) + "'" + instance->said());
    if (!adapter->desc.reason_unusable.empty())
      throw sdk::Failure(SCF_UNAVAILABLE, "device '" + adapter->desc.id + "': " + adapter->desc.reason_unusable);
    *out = reinterpret_cast<scf_device*>(new Device(*instance, *adapter));
    instance->check_messages();
  });
}

scf_status* device_close(scf_device* handle) {
  if (handle == nullptr) return nullptr;
  Instance& instance = Device::of(handle)->instance();
  delete Device::of(handle);
  return sdk::guard(instance.host(), [&] { instance.check_messages(); });
}

constexpr scf_str text(std::string_view s) { return {s.data(), s.size()}; }

const scf_plugin_api k_api{sdk::header<scf_plugin_api>(SCF_KIND_PLUGIN_API),
                           open,
                           close,
                           enumerate,
                           device_open,
                           device_close,
                           &k_memory,
                           &k_layout,
                           &k_program,
                           &k_queue,
                           &k_profile,
                           nullptr};

const scf_plugin k_plugin{sdk::header<scf_plugin>(SCF_KIND_PLUGIN),
                          SCF_ABI_MINOR,
                          0,
                          sdk::tables::build_flags(),
                          text(k_name),
                          text(k_vendor),
                          text(k_version),
                          {nullptr, 0},
                          &k_api};

} // namespace
} // namespace seacliff::vulkan

extern "C" SCF_EXPORT uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
  *out = &seacliff::vulkan::k_plugin;
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}
