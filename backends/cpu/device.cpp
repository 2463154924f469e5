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

const Isa& enabled_isa(std::string_view name) {
  const Isa& isa = choose_isa(name);
  if (enable(isa.name)) return isa;
  if (!name.empty())
    throw sdk::Failure(SCF_UNAVAILABLE, "the operating system refuses this process the registers of isa '" +
                                            std::string(name) + "'; leave out the option 'isa' or name another one");
  const Isa* best = compiled_isas().front();
  for (const Isa* other : compiled_isas())
    if (enable(other->name)) best = other;
  return *best;
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
