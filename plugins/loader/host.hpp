// What the host gives to plugins: the scf_host table and the statuses that travel back.
#pragma once

#include "core/base/status.hpp"

#include <seacliff/abi/scf_abi.h>

#include <memory>
#include <string>
#include <vector>

namespace seacliff {
class Team;
}

namespace seacliff::plugins {

/// The minors of the ABI that this host serves: all from 1.0 on.
inline constexpr std::uint32_t k_minor_min = 10;
inline constexpr std::uint32_t k_minor_max = SCF_ABI_MINOR;
/// How people write a minor: 9 is "0.9", 10 is "1.0".
std::string abi_version(std::uint32_t minor);

/// One host table, shared by all plugins of a PluginSet and alive as long as any of them.
class HostServices {
public:
  /// `team` runs the kernels of CPU plugins and must outlive this object; nullptr: every team_run is one worker, the
  /// caller. `op_names` are the ops of domain "scf", version 1, that this host knows; id = index + 1.
  HostServices(Team* team, std::vector<std::string> op_names);
  ~HostServices();
  HostServices(const HostServices&) = delete;
  HostServices& operator=(const HostServices&) = delete;

  const scf_host* table() const;
  /// Id of an op as graph views carry it; 0: unknown.
  std::uint32_t op_id(std::string_view name) const;
  std::uint32_t team_size() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Turns a status of a plugin into the host's own and frees it; nullptr is OK.
Status take_status(scf_status* status);
/// Throws Error unless `status` is nullptr. `what` names the call: "cpu: compile".
void check(scf_status* status, std::string_view what);
/// A status for a plugin, e.g. for Semaphore::fail; the receiver owns it.
scf_status* make_status(const Status& status);

} // namespace seacliff::plugins
