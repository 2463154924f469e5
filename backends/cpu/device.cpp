#include "device.hpp"

namespace seacliff::cpu {
namespace {

/// "model name" of the first processor in /proc/cpuinfo.
std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

} // namespace

const Isa& choose_isa(std::string_view name) {
  if (name.empty()) return best_isa();
  if (const Isa* isa = find_isa(name)) return *isa;
  throw sdk::Failure(SCF_INVALID_ARGUMENT,
                     "isa '" + std::string(name) + "' is not available here; available: " + usable_isa_names());
}

sdk::DeviceDesc describe_device(const Isa& isa) {
  sdk::DeviceDesc device;
  device.id = "cpu:0";
  device.name = processor_name();
  device.detail = "isa " + std::string(isa.name) + " (available: " + usable_isa_names() + ")";
  device.heaps = {sdk::host_heap()};
  return device;
}

} // namespace seacliff::cpu
