// The adapter for plugins that are a set of kernels over main memory. A plugin derives from KernelPlugin, says which
// devices there are and which kernels each has, and ends with one line:
//
//   class Mine final : public seacliff::sdk::KernelPlugin {
//   public:
//     static constexpr std::string_view k_name = "mine", k_vendor = "Example", k_version = "1.0.0";
//     std::vector<DeviceDesc> devices() override { ... }
//     std::span<const KernelEntry> kernels(const DeviceDesc&) override { return k_kernels; }
//   };
//   SEACLIFF_PLUGIN(Mine)
//
// The adapter does the rest of the ABI: a claim per node, scratch with reuse, barriers only where needed, one launch of
// the host's team per submit, timelines that carry failure, profiling, errors as statuses.
#pragma once

#include <seacliff/sdk/exec.hpp>
#include <seacliff/sdk/timeline.hpp>

#include <mutex>
#include <type_traits>

namespace seacliff::sdk {

/// A way to lay out the rows of a weight that the plugin's kernels like better than the file's.
struct LayoutDesc {
  std::string name; // "cpu.q8_0.r8/1": plugin, format, tile, version
  std::uint32_t id = 0;
  std::uint64_t bytes = 0, align = 64, row_granularity = 1;
};

class KernelPlugin {
public:
  virtual ~KernelPlugin() = default;

  /// Options that open() takes; any other key is refused with INVALID_ARGUMENT.
  virtual std::vector<OptionSpec> options() const { return {}; }
  /// Called once, before anything else. Throw Failure(INVALID_ARGUMENT) for a value that makes no sense.
  virtual void configure(const Options&) {}
  /// Every device, the unusable ones with their reason. Asked once, after configure().
  virtual std::vector<DeviceDesc> devices() = 0;
  /// The catalogue of a device, asked when it is opened: the place to pick kernels for an instruction set. The span
  /// lives as long as the plugin.
  virtual std::span<const KernelEntry> kernels(const DeviceDesc& device) = 0;

  /// Override all three to offer layouts. Pure and thread-safe. The pointers are where the rows of the range begin.
  virtual std::vector<LayoutDesc> layouts(const DeviceDesc&, const ValueView&) const { return {}; }
  virtual void repack(const DeviceDesc&, const ValueView&, std::uint32_t, Range, const std::byte*, std::byte*) const {}
  virtual void unpack(const DeviceDesc&, const ValueView&, std::uint32_t, Range, const std::byte*, std::byte*) const {}

  void attach(const scf_host* host, std::string_view name) {
    host_ = host;
    name_ = name;
  }

protected:
  const scf_host& host() const { return *host_; }
  void log(std::uint32_t level, std::string_view message) const {
    if (*host_->log_level >= level) host_->log(host_->ctx, level, str(name_), str(message));
  }

private:
  const scf_host* host_ = nullptr;
  std::string_view name_;
};

} // namespace seacliff::sdk

#include <seacliff/sdk/kernel_tables.hpp>

/// Defines the one exported symbol. `Class` has k_name, k_vendor and k_version and a default constructor.
#define SEACLIFF_PLUGIN(Class)                                                                                         \
  extern "C" SCF_EXPORT uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {                   \
    return ::seacliff::sdk::query<Class>(host, out);                                                                   \
  }
