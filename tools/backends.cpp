// `seacliff backends`: every plugin and device found, and why what is missing was not loaded.
#include "tools/commands.hpp"

#include "core/topology/topology.hpp"
#include "plugins/loader/loader.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>

namespace seacliff::tools {
namespace {

using Json = nlohmann::ordered_json;
using plugins::DeviceInfo;
using plugins::Verdict;
using plugins::VerdictStatus;

struct Options {
  bool json = false;
  bool why = false;
  std::vector<std::string> paths;
};

Json device_json(const plugins::Plugin& plugin, const DeviceInfo& device) {
  return {{"id", plugin.full_id(device)},
          {"name", device.name},
          {"kind", plugins::device_kind_name(device.kind)},
          {"usable", device.usable()},
          {"reason", device.reason_unusable},
          {"memory_total", device.memory_total()},
          {"memory_budget", device.memory_budget()},
          {"driver", device.driver},
          {"detail", device.detail},
          {"software", device.software()},
          {"last_resort", device.last_resort()}};
}

Json to_json(const plugins::PluginSet& set) {
  Json list = Json::array();
  for (const Verdict& verdict : set.verdicts()) {
    Json devices = Json::array();
    Json entry{{"name", verdict.name},
               {"path", verdict.path},
               {"status", plugins::verdict_name(verdict.status)},
               {"reason", verdict.reason}};
    if (verdict.plugin) {
      entry["version"] = verdict.plugin->version();
      entry["vendor"] = verdict.plugin->vendor();
      for (const DeviceInfo& device : verdict.plugin->devices())
        devices.push_back(device_json(*verdict.plugin, device));
    }
    entry["devices"] = std::move(devices);
    list.push_back(std::move(entry));
  }
  return {{"plugins", std::move(list)}};
}

std::string memory_text(const DeviceInfo& device) {
  constexpr double k_gib = 1024.0 * 1024.0 * 1024.0;
  if (device.memory_total() == 0) return "-";
  return fmt::format("{:.1f} of {:.1f} GiB", static_cast<double>(device.memory_budget()) / k_gib,
                     static_cast<double>(device.memory_total()) / k_gib);
}

/// Columns as wide as their widest cell; the last one is not padded.
void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

std::string remarks(const DeviceInfo& device) {
  std::string text = device.detail;
  const auto add = [&](std::string_view more) { text += fmt::format("{}{}", text.empty() ? "" : "; ", more); };
  if (!device.driver.empty()) add(device.driver);
  if (device.software()) add("runs on the CPU, never chosen by auto");
  if (device.last_resort()) add("last resort");
  return text;
}

void print_devices(const plugins::PluginSet& set) {
  std::vector<std::vector<std::string>> usable{{"DEVICE", "KIND", "FREE MEMORY", "NAME", "DETAIL"}};
  std::vector<std::vector<std::string>> unusable;
  for (const Verdict& verdict : set.verdicts()) {
    if (!verdict.plugin) continue;
    for (const DeviceInfo& device : verdict.plugin->devices()) {
      const std::string id = verdict.plugin->full_id(device);
      if (device.usable())
        usable.push_back({id, std::string(plugins::device_kind_name(device.kind)), memory_text(device), device.name,
                          remarks(device)});
      else
        unusable.push_back({id, device.name, device.reason_unusable});
    }
  }
  if (usable.size() > 1)
    print_table(usable);
  else
    fmt::print("no usable device\n");
  if (unusable.empty()) return;
  fmt::print("\nnot usable\n");
  print_table(unusable);
}

void print_verdicts(const plugins::PluginSet& set, bool with_loaded) {
  std::vector<std::vector<std::string>> loaded, refused;
  for (const Verdict& verdict : set.verdicts()) {
    if (verdict.status == VerdictStatus::loaded)
      loaded.push_back({verdict.name, verdict.plugin->version(), verdict.plugin->vendor(), verdict.path});
    else
      refused.push_back({verdict.path, std::string(plugins::verdict_name(verdict.status)), verdict.reason});
  }
  if (with_loaded && !loaded.empty()) {
    fmt::print("\nloaded\n");
    print_table(loaded);
  }
  if (refused.empty()) return;
  fmt::print("\nnot loaded\n");
  print_table(refused);
}

void print_places(const plugins::LoadOptions& load) {
  fmt::print("\nsearched, in this order\n");
  std::vector<std::vector<std::string>> rows;
  for (const plugins::SearchPlace& place : plugins::search_places(load)) {
    std::error_code ec;
    const bool there = std::filesystem::exists(place.path, ec);
    rows.push_back({place.origin, place.path.string(), there ? "" : "(does not exist)"});
  }
  print_table(rows);
}

int run(const Options& options) {
  plugins::LoadOptions load;
  load.paths = options.paths;
  // Nothing runs here: no team of workers, no ops.
  const auto host = std::make_shared<plugins::HostServices>(nullptr, std::vector<std::string>{});
  const plugins::PluginSet set = plugins::PluginSet::load(host, load);
  if (options.json) {
    fmt::print("{}\n", to_json(set).dump(2, ' ', false, Json::error_handler_t::replace));
    return 0;
  }
  fmt::print("machine: {}\n\n", Topology().summary());
  print_devices(set);
  print_verdicts(set, options.why);
  if (options.why) print_places(load);
  return 0;
}

} // namespace

void add_backends(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("backends", "every plugin and device found, loaded or why not");
  command->add_option("--plugin", options->paths, "a backend library, manifest or folder to load as well");
  command->add_flag("--json", options->json, "machine-readable");
  command->add_flag("--why", options->why, "also where plugins were looked for and what was loaded from where");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

} // namespace seacliff::tools
