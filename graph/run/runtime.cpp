#include "graph/run/runtime.hpp"

#include "core/base/log.hpp"
#include "ops/schema/schema.hpp"

#include <algorithm>

namespace seacliff::graph {
namespace {

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const ops::Schema& schema : ops::catalogue()) names.emplace_back(schema.name);
  return names;
}

plugins::PluginSet load_plugins(const std::shared_ptr<plugins::HostServices>& host, const RuntimeOptions& options) {
  plugins::LoadOptions load;
  load.paths = options.plugin_paths;
  load.options = options.plugin_options;
  if (!options.isa.empty()) load.options["cpu"].push_back({"isa", options.isa});
  return plugins::PluginSet::load(host, load);
}

} // namespace

Runtime::Runtime(const RuntimeOptions& options)
    : team_(topology_, options.threads), host_(std::make_shared<plugins::HostServices>(&team_, op_names())),
      plugins_(load_plugins(host_, options)) {}

std::vector<std::shared_ptr<plugins::Device>> Runtime::open_devices(const std::string& backends) const {
  std::vector<plugins::DeviceRef> refs = plugins_.select(backends);
  for (plugins::DeviceRef& last : plugins_.last_resorts()) {
    const bool listed =
        std::any_of(refs.begin(), refs.end(), [&](const auto& r) { return r.full_id() == last.full_id(); });
    if (!listed) refs.push_back(std::move(last));
  }
  // A device that the user named must open; one that was only found may fail without taking the rest down.
  const bool named = backends != "auto";
  std::vector<std::shared_ptr<plugins::Device>> devices;
  for (const plugins::DeviceRef& ref : refs) {
    try {
      devices.push_back(ref.plugin->open_device(ref.info().id));
    } catch (const Error& error) {
      if (named && !ref.info().last_resort()) throw;
      log::warn("runtime", "going on without {}: {}", ref.full_id(), error.what());
    }
  }
  if (devices.empty())
    throw Error(Code::unavailable, "no device opens", "`seacliff backends --why` tells what is there");
  return devices;
}

} // namespace seacliff::graph
