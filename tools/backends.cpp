// `seacliff backends`: every plugin and device found, and why what is missing was not loaded.
#include "tools/commands.hpp"

#include "core/topology/topology.hpp"
#include "plugins/loader/loader.hpp"

#include <fmt/color.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
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

Json heaps_json(const DeviceInfo& device) {
  Json list = Json::array();
  for (const plugins::HeapInfo& heap : device.heaps)
    list.push_back({{"id", heap.id},
                    {"kind", heap.kind == SCF_HEAP_DEVICE_LOCAL ? "device" : "host"},
                    {"total", heap.total},
                    {"budget", heap.budget},
                    {"numa_node", heap.numa_node},
                    {"mappable", heap.mappable()},
                    {"imports", heap.imports()},
                    {"max_alloc", heap.max_alloc},
                    {"max_binding", heap.max_binding},
                    {"bind_align", heap.bind_align}});
  return list;
}

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
          {"last_resort", device.last_resort()},
          {"heaps", heaps_json(device)}};
}

Json to_json(const plugins::PluginSet& set) {
  Json list = Json::array();
  for (const Verdict& verdict : set.verdicts()) {
    Json devices = Json::array();
    Json entry{
        {"name", verdict.name},     {"path", verdict.path},     {"status", plugins::verdict_name(verdict.status)},
        {"reason", verdict.reason}, {"origin", verdict.origin}, {"priority", verdict.priority}};
    if (verdict.plugin) {
      entry["version"] = verdict.plugin->version();
      entry["vendor"] = verdict.plugin->vendor();
      for (const DeviceInfo& device : verdict.plugin->devices())
        devices.push_back(device_json(*verdict.plugin, device));
    }
    entry["devices"] = std::move(devices);
    list.push_back(std::move(entry));
  }
  Json order = Json::array();
  for (const plugins::AutoChoice& choice : set.explain_auto())
    order.push_back({{"id", choice.device.full_id()}, {"taken", choice.taken}, {"why", choice.why}});
  return {{"plugins", std::move(list)}, {"auto", std::move(order)}};
}

/// How much attention a piece of text asks for. Colours on a terminal only, and not with NO_COLOR.
enum class Tone { plain, title, good, bad, dim };

bool colours() {
  static const bool on = [] {
    const char* term = std::getenv("TERM");
    return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr && term != nullptr &&
           std::string_view(term) != "dumb";
  }();
  return on;
}

std::string toned(const std::string& text, Tone tone) {
  if (!colours() || text.empty()) return text;
  switch (tone) {
  case Tone::plain: return text;
  case Tone::title: return fmt::format(fmt::emphasis::bold, "{}", text);
  case Tone::good: return fmt::format(fmt::fg(fmt::terminal_color::green), "{}", text);
  case Tone::bad: return fmt::format(fmt::fg(fmt::terminal_color::red), "{}", text);
  case Tone::dim: return fmt::format(fmt::emphasis::faint, "{}", text);
  }
  return text;
}

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};
using Row = std::vector<Cell>;

/// Columns as wide as their widest cell; the last one is not padded.
void print_table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].text.size());
  }
  for (const Row& row : rows) {
    std::string line, gap;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i].text.empty()) {
        gap += std::string(widths[i] + 2, ' ');
        continue;
      }
      line += gap + toned(row[i].text, row[i].tone);
      gap = std::string(widths[i] - row[i].text.size() + 2, ' ');
    }
    fmt::print("{}\n", line);
  }
}

std::string memory_text(const DeviceInfo& device) {
  constexpr double k_gib = 1024.0 * 1024.0 * 1024.0;
  if (device.memory_total() == 0) return "-";
  return fmt::format("{:.1f} of {:.1f} GiB", static_cast<double>(device.memory_budget()) / k_gib,
                     static_cast<double>(device.memory_total()) / k_gib);
}

/// Instruction sets and features, as the plugin tells them.
std::string detail(const DeviceInfo& device) {
  if (device.driver.empty() || device.detail.empty()) return device.detail + device.driver;
  return device.detail + "; " + device.driver;
}

/// `auto`'s order, then what can only be asked for by name.
void print_devices(const std::vector<plugins::AutoChoice>& choices) {
  std::vector<Row> usable;
  for (const char* title : {"DEVICE", "KIND", "FREE MEMORY", "NAME", "DETAIL"}) {
    if (usable.empty()) usable.emplace_back();
    usable.back().push_back({title, Tone::title});
  }
  std::vector<Row> unusable;
  for (const plugins::AutoChoice& choice : choices) {
    const DeviceInfo& device = choice.device.info();
    if (device.usable())
      usable.push_back({{choice.device.full_id(), usable.size() == 1 && choice.taken ? Tone::good : Tone::plain},
                        {std::string(plugins::device_kind_name(device.kind))},
                        {memory_text(device)},
                        {device.name},
                        {detail(device), Tone::dim}});
    else
      unusable.push_back({{choice.device.full_id()}, {device.name}, {device.reason_unusable, Tone::bad}});
  }
  if (usable.size() > 1)
    print_table(usable);
  else
    fmt::print("{}\n", toned("no usable device", Tone::bad));
  if (unusable.empty()) return;
  fmt::print("\n{}\n", toned("not usable", Tone::title));
  print_table(unusable);
}

void print_auto(const std::vector<plugins::AutoChoice>& choices) {
  std::vector<Row> rows;
  for (const plugins::AutoChoice& choice : choices) {
    if (!choice.device.info().usable()) continue; // it has its line already
    rows.push_back({{choice.taken ? fmt::format("{}.", rows.size() + 1) : "-"},
                    {choice.device.full_id(), rows.empty() && choice.taken ? Tone::good : Tone::plain},
                    {choice.why}});
  }
  if (rows.empty()) return;
  fmt::print("\n{}\n", toned("--backend auto takes", Tone::title));
  print_table(rows);
}

void print_verdicts(const plugins::PluginSet& set, bool with_loaded) {
  std::vector<Row> loaded, refused;
  for (const Verdict& verdict : set.verdicts()) {
    if (verdict.status == VerdictStatus::loaded)
      loaded.push_back({{verdict.name},
                        {verdict.plugin->version()},
                        {verdict.plugin->vendor()},
                        {fmt::format("priority {}", verdict.priority)},
                        {verdict.path}});
    else
      refused.push_back(
          {{verdict.path}, {std::string(plugins::verdict_name(verdict.status)), Tone::bad}, {verdict.reason}});
  }
  if (with_loaded && !loaded.empty()) {
    fmt::print("\n{}\n", toned("loaded", Tone::title));
    print_table(loaded);
  }
  if (refused.empty()) return;
  fmt::print("\n{}\n", toned("not loaded", Tone::title));
  print_table(refused);
}

void print_places(const plugins::LoadOptions& load) {
  fmt::print("\n{}\n", toned("searched, in this order", Tone::title));
  std::vector<Row> rows;
  for (const plugins::SearchPlace& place : plugins::search_places(load)) {
    std::error_code ec;
    const bool there = std::filesystem::exists(place.path, ec);
    rows.push_back({{place.origin}, {place.path.string()}, {there ? "" : "(does not exist)", Tone::dim}});
  }
  print_table(rows);
}

/// What the user named and does not get: empty when all is well.
std::string missing(const plugins::PluginSet& set, const Options& options) {
  bool found = options.paths.empty();
  for (const Verdict& verdict : set.verdicts()) {
    if (verdict.origin != "--plugin") continue;
    if (verdict.status == VerdictStatus::loaded)
      found = true;
    else if (verdict.status != VerdictStatus::shadowed)
      return fmt::format("{} was not loaded: {}", verdict.path, verdict.reason);
  }
  return found ? std::string() : fmt::format("there is no plugin in {}", fmt::join(options.paths, ", "));
}

int run(const Options& options) {
  plugins::LoadOptions load;
  load.paths = options.paths;
  // Nothing runs here: no team of workers, no ops.
  const auto host = std::make_shared<plugins::HostServices>(nullptr, std::vector<std::string>{});
  const plugins::PluginSet set = plugins::PluginSet::load(host, load);
  if (options.json) {
    fmt::print("{}\n", to_json(set).dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    const auto choices = set.explain_auto();
    fmt::print("machine: {}\n\n", Topology().summary());
    print_devices(choices);
    print_auto(choices);
    print_verdicts(set, options.why);
    if (options.why) print_places(load);
  }
  const std::string why = missing(set, options);
  if (!why.empty()) throw Error(Code::not_found, why);
  return 0;
}

} // namespace

void add_backends(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("backends", "every plugin and device found, loaded or why not");
  command->add_option("--plugin", options->paths, "a backend library, manifest or folder to load as well");
  command->add_flag("--json", options->json, "machine-readable");
  command->add_flag("--why", options->why, "also where plugins were looked for and what was loaded from where");
  command->footer(
      "Examples:\n"
      "  seacliff backends                                what can compute here, and what `auto` takes\n"
      "  seacliff backends --why                          also where plugins come from and were looked for\n"
      "  seacliff backends --plugin ./build/scf_mine.so   does my plugin load? Exit code 1 when it does not\n"
      "  seacliff backends --json                         for scripts: plugins, devices, heaps, auto's order\n"
      "Plugins are searched in --plugin, SEACLIFF_PLUGIN_PATH, and lib/seacliff beside the program's folder.");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

} // namespace seacliff::tools
