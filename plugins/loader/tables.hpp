// A plugin's tables as the host calls them: full size, zero where the plugin knew less (rule E8), every required entry
// set. Call sites test a pointer, never a size.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <string>

namespace seacliff::plugins {

struct Tables {
  scf_plugin_api api{};
  scf_memory_api memory{};
  scf_layout_api layout{}; // zero when the plugin has none; so is profile
  scf_program_api program{};
  scf_queue_api queue{};
  scf_profile_api profile{};

  bool has_layout() const { return layout.candidates != nullptr; }
  bool has_profile() const { return profile.begin != nullptr; }
};

/// Throws Error(incompatible) naming a table or entry that is missing. The result's sub-table pointers are those of the
/// plugin; use the members instead.
Tables normalise(const scf_plugin& plugin);

} // namespace seacliff::plugins
