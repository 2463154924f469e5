// NAME.scplugin.json, the small file beside a plugin's library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace seacliff::plugins {

/// {"name": "cpu", "library": "scf_cpu.so", "abi": {"min": 9, "max": 9}, "kind": "cpu", "needs": [], "priority": 10}
struct Manifest {
  std::string name;
  std::filesystem::path library; // relative to the manifest
  std::uint32_t minor_min = 0, minor_max = 0;
  std::string kind;               // for people: "cpu", "gpu", "reference"
  std::vector<std::string> needs; // for people: what must be installed
  int priority = 0;               // higher comes first in `auto`
};

inline constexpr std::string_view k_manifest_suffix = ".scplugin.json";

bool is_manifest(const std::filesystem::path& path);
/// Throws Error(invalid_argument) that names the field at fault.
Manifest read_manifest(const std::filesystem::path& path);

} // namespace seacliff::plugins
