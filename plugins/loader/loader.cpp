#include "plugins/loader/loader.hpp"

#include "core/base/log.hpp"
#include "plugins/loader/candidate.hpp"

#include <boost/dll/runtime_symbol_info.hpp>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace seacliff::plugins {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> split(std::string_view list, char separator) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const auto end = std::min(list.find(separator), list.size());
    if (end != 0) items.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return items;
}

std::vector<Candidate> find_candidates(const LoadOptions& options) {
  std::vector<Candidate> all;
  std::set<fs::path> seen; // one file reached by two ways is one candidate
  const std::vector<SearchPlace> places = search_places(options);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const bool named = i < options.paths.size();
    std::error_code ec;
    if (named && !fs::exists(places[i].path, ec))
      throw Error(Code::not_found, fmt::format("there is no plugin at {}", places[i].path.string()),
                  "--plugin takes a library, a manifest or a directory");
    for (Candidate& candidate : candidates_in(places[i].path)) {
      const fs::path real = fs::weakly_canonical(candidate.path, ec);
      if (!seen.insert(ec ? candidate.path : real).second) continue;
      candidate.place = i;
      candidate.verdict.origin = places[i].origin;
      candidate.named_by_user = named;
      all.push_back(std::move(candidate));
    }
  }
  return all;
}

bool lies_in(const fs::path& file, const fs::path& folder) {
  std::error_code ec;
  const fs::path relative = fs::weakly_canonical(file, ec).lexically_relative(fs::weakly_canonical(folder, ec));
  return !relative.empty() && *relative.begin() != "..";
}

/// Of two plugins with one name the earlier place wins, within a place the newer version.
void shadow(std::vector<Candidate>& candidates) {
  std::map<std::string, Candidate*> best;
  for (Candidate& candidate : candidates) {
    if (!candidate.ok()) continue;
    Candidate*& holder = best[candidate.verdict.name];
    if (holder == nullptr) {
      holder = &candidate;
      continue;
    }
    Candidate* loser = &candidate;
    if (candidate.place == holder->place && newer(candidate.version, holder->version)) std::swap(holder, loser);
    loser->verdict.status = VerdictStatus::shadowed;
    loser->verdict.reason =
        fmt::format("{} {} at {} comes first", holder->verdict.name, holder->version, holder->verdict.path);
  }
}

void open(Candidate& candidate, const std::shared_ptr<HostServices>& host, const LoadOptions& options) {
  const auto given = options.options.find(candidate.verdict.name);
  const bool has_options = given != options.options.end() && !given->second.empty();
  try {
    auto plugin = std::make_shared<Plugin>(host, candidate.plugin, candidate.library.string(),
                                           has_options ? given->second : Options{});
    candidate.verdict.plugin = plugin;
    const auto usable = [](const DeviceInfo& d) { return d.usable(); };
    if (std::any_of(plugin->devices().begin(), plugin->devices().end(), usable)) return;
    candidate.verdict.status = VerdictStatus::no_usable_device;
    candidate.verdict.reason =
        plugin->devices().empty() ? "it found no device" : plugin->devices().front().reason_unusable;
  } catch (const Error& error) {
    if (has_options && error.code() == Code::invalid_argument) throw;
    const bool incompatible = error.code() == Code::incompatible;
    candidate.verdict.status = incompatible ? VerdictStatus::abi_mismatch : VerdictStatus::open_failed;
    candidate.verdict.reason = error.what();
  }
}

void report(const Candidate& candidate) {
  if (candidate.ok()) {
    log::debug("plugins", "{} {} from {}", candidate.verdict.name, candidate.version, candidate.verdict.path);
  } else if (candidate.named_by_user) {
    log::warn("plugins", "{} not loaded: {}", candidate.verdict.path, candidate.verdict.reason);
  } else {
    log::info("plugins", "{} not loaded: {}", candidate.verdict.path, candidate.verdict.reason);
  }
}

std::vector<DeviceRef> usable_devices(const std::shared_ptr<Plugin>& plugin, bool software) {
  std::vector<DeviceRef> refs;
  for (std::size_t i = 0; i < plugin->devices().size(); ++i)
    if (plugin->devices()[i].usable() && plugin->devices()[i].software() == software) refs.push_back({plugin, i});
  return refs;
}

void append(std::vector<DeviceRef>& to, std::vector<DeviceRef> more) {
  for (DeviceRef& ref : more) {
    const auto same = [&](const DeviceRef& have) { return have.plugin == ref.plugin && have.index == ref.index; };
    if (std::none_of(to.begin(), to.end(), same)) to.push_back(std::move(ref));
  }
}

} // namespace

std::string_view verdict_name(VerdictStatus status) {
  switch (status) {
  case VerdictStatus::loaded: return "loaded";
  case VerdictStatus::bad_manifest: return "bad_manifest";
  case VerdictStatus::missing_library: return "missing_library";
  case VerdictStatus::not_a_library: return "not_a_library";
  case VerdictStatus::no_entry_symbol: return "no_entry_symbol";
  case VerdictStatus::abi_mismatch: return "abi_mismatch";
  case VerdictStatus::sanitizer_mismatch: return "sanitizer_mismatch";
  case VerdictStatus::open_failed: return "open_failed";
  case VerdictStatus::shadowed: return "shadowed";
  case VerdictStatus::no_usable_device: return "no_usable_device";
  }
  return "unknown";
}

std::vector<SearchPlace> search_places(const LoadOptions& options) {
  std::vector<SearchPlace> places;
  for (const std::string& path : options.paths) places.push_back({path, "--plugin"});
  if (!options.search) return places;
  if (const char* list = std::getenv("SEACLIFF_PLUGIN_PATH"))
    for (const std::string& path : split(list, ':')) {
      if (fs::path(path).is_absolute())
        places.push_back({path, "SEACLIFF_PLUGIN_PATH"});
      else
        log::warn("plugins", "SEACLIFF_PLUGIN_PATH: '{}' is ignored, it depends on the current directory", path);
    }
  std::error_code ec;
  const fs::path program = boost::dll::program_location(ec);
  if (!ec) places.push_back({fs::path(program).parent_path().parent_path() / "lib" / "seacliff", "install directory"});
  // A program that was installed must not take plugins from where it was once built: anybody may have written there.
  if (!ec && lies_in(program, SEACLIFF_BUILD_DIR)) places.push_back({SEACLIFF_BUILD_PLUGIN_DIR, "build tree"});
  return places;
}

PluginSet PluginSet::load(std::shared_ptr<HostServices> host, const LoadOptions& options) {
  std::vector<Candidate> candidates = find_candidates(options);
  for (Candidate& candidate : candidates) examine(candidate, *host);
  shadow(candidates);
  for (Candidate& candidate : candidates) {
    if (candidate.ok()) open(candidate, host, options);
    report(candidate);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.priority() > b.priority(); });
  PluginSet set;
  for (Candidate& candidate : candidates) {
    if (candidate.ok()) set.plugins_.push_back(candidate.verdict.plugin);
    candidate.verdict.priority = candidate.priority();
    set.verdicts_.push_back(std::move(candidate.verdict));
  }
  for (const auto& [name, given] : options.options)
    if (!given.empty() && set.find(name) == nullptr)
      throw Error(Code::invalid_argument,
                  fmt::format("option '{}' is for plugin {}, which {}", given.front().key, name, set.why_not(name)));
  return set;
}

std::shared_ptr<Plugin> PluginSet::find(std::string_view name) const {
  const auto it = std::find_if(plugins_.begin(), plugins_.end(), [&](const auto& p) { return p->name() == name; });
  return it == plugins_.end() ? nullptr : *it;
}

std::string PluginSet::why_not(std::string_view name) const {
  for (const Verdict& verdict : verdicts_)
    if (verdict.name == name && !verdict.reason.empty()) return fmt::format("was not loaded: {}", verdict.reason);
  return "was not found";
}

std::vector<DeviceRef> PluginSet::select_one(const std::string& entry) const {
  if (const std::shared_ptr<Plugin> plugin = find(entry)) {
    std::vector<DeviceRef> refs = usable_devices(plugin, false);
    return refs.empty() ? usable_devices(plugin, true) : refs;
  }
  for (const Verdict& verdict : verdicts_) {
    if (!verdict.plugin) continue;
    for (std::size_t i = 0; i < verdict.plugin->devices().size(); ++i) {
      const DeviceInfo& info = verdict.plugin->devices()[i];
      if (info.id != entry && verdict.plugin->full_id(info) != entry) continue;
      if (!info.usable())
        throw Error(Code::unavailable, fmt::format("device '{}' cannot be used: {}", entry, info.reason_unusable));
      return {{verdict.plugin, i}};
    }
  }
  throw Error(Code::not_found, fmt::format("backend '{}' {}", entry, why_not(entry)),
              "`seacliff backends --why` lists what there is");
}

std::vector<DeviceRef> PluginSet::select(std::string_view backends) const {
  std::vector<DeviceRef> refs;
  for (const std::string& entry : split(backends, ',')) {
    if (entry != "auto") {
      append(refs, select_one(entry));
      continue;
    }
    for (const auto& plugin : plugins_)
      for (DeviceRef& ref : usable_devices(plugin, false))
        if (!ref.info().last_resort()) append(refs, {ref});
    append(refs, last_resorts());
  }
  if (refs.empty()) throw Error(Code::not_found, "no usable device", "`seacliff backends --why` lists what there is");
  return refs;
}

std::vector<AutoChoice> PluginSet::explain_auto() const {
  std::vector<AutoChoice> choices;
  std::vector<DeviceRef> taken;
  try {
    taken = select("auto");
  } catch (const Error&) { // no usable device
  }
  for (const DeviceRef& ref : taken) {
    const bool first = choices.empty();
    std::string why = first ? first_because(ref) : "takes what the devices above decline";
    if (ref.info().last_resort())
      why = first ? "last resort, and there is nothing else" : "last resort, slow and complete: " + why;
    choices.push_back({ref, true, std::move(why)});
  }
  for (const Verdict& verdict : verdicts_) {
    if (!verdict.plugin) continue;
    for (std::size_t i = 0; i < verdict.plugin->devices().size(); ++i) {
      const DeviceInfo& info = verdict.plugin->devices()[i];
      if (!info.usable())
        choices.push_back({{verdict.plugin, i}, false, "cannot be used: " + info.reason_unusable});
      else if (info.software())
        choices.push_back({{verdict.plugin, i}, false, "a driver that runs on the CPU; only when asked for by name"});
    }
  }
  return choices;
}

std::string PluginSet::first_because(const DeviceRef& ref) const {
  const auto of = [&](const Verdict& verdict) { return verdict.plugin == ref.plugin; };
  const auto own = std::find_if(verdicts_.begin(), verdicts_.end(), of);
  std::size_t plugins = 0, as_high = 0;
  for (const Verdict& verdict : verdicts_) {
    if (verdict.status != VerdictStatus::loaded) continue;
    const auto& devices = verdict.plugin->devices();
    const auto able = [](const DeviceInfo& d) { return d.usable() && !d.software() && !d.last_resort(); };
    if (std::none_of(devices.begin(), devices.end(), able)) continue;
    ++plugins;
    as_high += verdict.priority == own->priority;
  }
  if (plugins <= 1) return "no other plugin has a usable device but last resorts";
  if (as_high <= 1) return fmt::format("its plugin has the highest priority, {}", own->priority);
  return fmt::format("of {} plugins with priority {} it was found first ({})", as_high, own->priority, own->origin);
}

std::vector<DeviceRef> PluginSet::last_resorts() const {
  std::vector<DeviceRef> refs;
  for (const auto& plugin : plugins_)
    for (DeviceRef& ref : usable_devices(plugin, false))
      if (ref.info().last_resort()) refs.push_back(std::move(ref));
  return refs;
}

} // namespace seacliff::plugins
