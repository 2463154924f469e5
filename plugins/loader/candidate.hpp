// One file that may be a plugin, on its way through the checks: manifest, library, entry symbol, versions.
#pragma once

#include "plugins/loader/loader.hpp"
#include "plugins/loader/manifest.hpp"

#include <optional>

namespace seacliff::plugins {

struct Candidate {
  std::filesystem::path path; // of the manifest or the library
  std::size_t place = 0;      // index of the search place: lower wins
  bool named_by_user = false;

  Verdict verdict;
  std::filesystem::path library;
  std::optional<Manifest> manifest;
  const scf_plugin* plugin = nullptr; // set when every check passed
  std::string version;

  bool ok() const { return verdict.status == VerdictStatus::loaded; }
  int priority() const { return manifest ? manifest->priority : 0; }
};

/// Manifests and libraries without one in a place, sorted by name. A missing directory has none.
std::vector<Candidate> candidates_in(const std::filesystem::path& place);
/// Reads, loads and queries, up to but without open(). The outcome is in `verdict`; nothing throws.
void examine(Candidate& candidate, const HostServices& host);
/// Whether version `a` ("1.10.0") is newer than `b`, number by number.
bool newer(std::string_view a, std::string_view b);

} // namespace seacliff::plugins
