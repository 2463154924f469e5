// Finds plugins, checks them and opens them. Order: explicit paths, SEACLIFF_PLUGIN_PATH, the install directory, the
// build tree. Never the current directory. Every candidate keeps a verdict.
#pragma once

#include "plugins/loader/plugin.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::plugins {

enum class VerdictStatus {
  loaded,
  bad_manifest,       // not JSON, or a field is missing or wrong
  missing_library,    // the manifest names a library that is not there, or one that the library needs is not
  not_a_library,      // the system's loader refuses the file
  no_entry_symbol,    // no scf_plugin_query_v1
  abi_mismatch,       // no common minor, or a broken table
  sanitizer_mismatch, // built with another -fsanitize than the program
  open_failed,        // open() or enumerate() returned an error
  shadowed,           // another plugin of that name came first or is newer
  no_usable_device,   // opened, but there is nothing to run on
};

/// "loaded", "bad_manifest", ...
std::string_view verdict_name(VerdictStatus status);

struct Verdict {
  std::string path; // of the manifest, or of the library when there is no manifest
  std::string name; // from the plugin, else the manifest, else the file name
  VerdictStatus status = VerdictStatus::loaded;
  std::string reason;             // one sentence; empty when loaded
  std::string origin;             // of the place it was found in: "--plugin", "install directory", see search_places
  int priority = 0;               // of its manifest: higher comes first in `auto`
  std::shared_ptr<Plugin> plugin; // set when loaded or no_usable_device
};

struct LoadOptions {
  std::vector<std::string> paths;         // --plugin: a library, a manifest or a directory
  std::map<std::string, Options> options; // plugin name -> its options: {"cpu", {{"isa", "avx2"}}}
  bool search = true;                     // false: only `paths`
};

/// A device that exists, not opened yet.
struct DeviceRef {
  std::shared_ptr<Plugin> plugin;
  std::size_t index = 0; // in plugin->devices()

  const DeviceInfo& info() const { return plugin->devices()[index]; }
  std::string full_id() const { return plugin->full_id(info()); }
};

/// What `auto` does with a device, and why.
struct AutoChoice {
  DeviceRef device;
  bool taken = false;
  std::string why; // one sentence about the device, without a full stop
};

class PluginSet {
public:
  /// Never throws for a bad candidate: that is a verdict. Throws Error(not_found) when an explicit path does not exist,
  /// and Error(invalid_argument) when a plugin rejects an option that the caller gave for it.
  static PluginSet load(std::shared_ptr<HostServices> host, const LoadOptions& options);

  const std::vector<Verdict>& verdicts() const { return verdicts_; }
  /// The loaded ones, by priority.
  const std::vector<std::shared_ptr<Plugin>>& plugins() const { return plugins_; }
  /// nullptr: not loaded.
  std::shared_ptr<Plugin> find(std::string_view name) const;

  /// `backends`: "auto" or a comma list of plugin names, device ids ("cpu:0", "vulkan:pci:...", "pci:...") in order of
  /// preference. "auto" is every usable device but software ones, by priority, the last resorts at the end. Throws
  /// Error(not_found) that names the entry, why its plugin was not loaded or why the device cannot be used.
  std::vector<DeviceRef> select(std::string_view backends) const;
  /// Every device: those that `auto` takes first and in its order, then the others.
  std::vector<AutoChoice> explain_auto() const;
  /// The slow and complete devices: what a plan falls back to. May be empty.
  std::vector<DeviceRef> last_resorts() const;

private:
  std::string why_not(std::string_view name) const; // "was not found"
  std::string first_because(const DeviceRef& ref) const;
  std::vector<DeviceRef> select_one(const std::string& entry) const;

  std::vector<Verdict> verdicts_;
  std::vector<std::shared_ptr<Plugin>> plugins_;
};

/// Where `load` looks, in order, with what each place is ("SEACLIFF_PLUGIN_PATH", "install directory", ...).
struct SearchPlace {
  std::filesystem::path path;
  std::string origin;
};
std::vector<SearchPlace> search_places(const LoadOptions& options);

} // namespace seacliff::plugins
