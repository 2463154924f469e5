// The machine as one object: topology, worker team, plugins. One per process; models share it.
#pragma once

#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"
#include "plugins/loader/loader.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace seacliff::graph {

struct RuntimeOptions {
  std::uint32_t threads = 0;                                // 0: one per allowed physical core
  std::vector<std::string> plugin_paths;                    // --plugin
  std::string isa;                                          // instruction set of the cpu plugin, empty: its own choice
  std::map<std::string, plugins::Options> plugin_options{}; // more options, by name of the plugin
};

class Runtime {
public:
  /// Bad plugins are verdicts, not errors. Throws Error for options that cannot be honoured.
  explicit Runtime(const RuntimeOptions& options);

  const Topology& topology() const { return topology_; }
  Team& team() { return team_; }
  const plugins::PluginSet& plugins() const { return plugins_; }
  const plugins::HostServices& host() const { return *host_; }

  /// Opens the devices of `--backend LIST`, most preferred first; the last resorts follow (--strict refuses a plan
  /// that needs them, not the devices). Throws Error(not_found) naming what is missing and why.
  std::vector<std::shared_ptr<plugins::Device>> open_devices(const std::string& backends) const;

private:
  Topology topology_;
  Team team_;
  std::shared_ptr<plugins::HostServices> host_;
  plugins::PluginSet plugins_;
};

} // namespace seacliff::graph
