// A plugin against the rules: its open() lets an exception out. THROWS_GUARDED: the same mistake inside the SDK's
// adapter, which turns it into a status.
#include <seacliff/sdk/kernel_plugin.hpp>

#include <stdexcept>

namespace {

class Throws final : public seacliff::sdk::KernelPlugin {
public:
  static constexpr std::string_view k_name = "throws", k_vendor = "Sea Cliff tests", k_version = "1.0.0";

  std::vector<seacliff::sdk::DeviceDesc> devices() override { throw std::runtime_error("the table fell over"); }
  std::span<const seacliff::sdk::KernelEntry> kernels(const seacliff::sdk::DeviceDesc&) override { return {}; }
};

} // namespace

#ifdef THROWS_GUARDED
SEACLIFF_PLUGIN(Throws)
#else
namespace {

scf_status* unguarded_open(const scf_host*, const scf_kv*, std::uint32_t, scf_instance**) {
  throw std::runtime_error("the table fell over");
}

} // namespace

extern "C" SCF_EXPORT std::uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
  static const scf_plugin_api api = [] {
    scf_plugin_api made = seacliff::sdk::tables::k_api<Throws>;
    made.open = unguarded_open;
    return made;
  }();
  static const scf_plugin plugin = [] {
    scf_plugin made = seacliff::sdk::tables::k_plugin<Throws>;
    made.api = &api;
    return made;
  }();
  *out = &plugin;
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}
#endif
