// The CPU backend as a plugin: every op of the catalogue, on the host's team of workers, in the best instruction set of
// the machine or the one that the option `isa` names.
#include "catalogue.hpp"
#include "device.hpp"

#include <seacliff/sdk/kernel_plugin.hpp>

namespace seacliff::cpu {

class CpuPlugin final : public sdk::KernelPlugin {
public:
  static constexpr std::string_view k_name = "cpu", k_vendor = "Sea Cliff", k_version = "0.1.0";

  std::vector<sdk::OptionSpec> options() const override {
    return {{"isa", "instruction set of the kernels; default: the best that runs here"}};
  }
  void configure(const sdk::Options& options) override {
    isa_ = options.get_string("isa");
    choose_isa(isa_);
  }
  std::vector<sdk::DeviceDesc> devices() override { return {describe_device(choose_isa(isa_))}; }
  std::span<const sdk::KernelEntry> kernels(const sdk::DeviceDesc&) override { return catalogue(enabled_isa(isa_)); }

private:
  std::string isa_; // as the user named it; empty: the best
};

} // namespace seacliff::cpu

SEACLIFF_PLUGIN(seacliff::cpu::CpuPlugin)
