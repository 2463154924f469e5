// What the tests of a child share: the host's services, the plugin opened through the loader, its devices. Made when
// first asked for, so that a test which wants a bare process has one.
#pragma once

#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"
#include "plugins/conformance/settings.hpp"
#include "plugins/loader/plugin.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace seacliff::conform {

/// Names of all ops of the catalogue, as the host gives them to plugins.
std::vector<std::string> op_names();

class Context {
public:
  explicit Context(const Settings& chosen) : settings(chosen) {}

  const Settings& settings;

  const std::shared_ptr<plugins::HostServices>& host();
  /// Throws Error: why the plugin does not load or open.
  const std::shared_ptr<plugins::Plugin>& plugin();
  /// Opened once; throws what device_open says.
  const std::shared_ptr<plugins::Device>& device(const std::string& id);

private:
  std::optional<Topology> topology_;
  std::optional<Team> team_;
  std::shared_ptr<plugins::HostServices> host_;
  std::shared_ptr<plugins::Plugin> plugin_;
  std::map<std::string, std::shared_ptr<plugins::Device>> devices_;
};

} // namespace seacliff::conform
