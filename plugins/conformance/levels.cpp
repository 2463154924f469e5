#include "plugins/conformance/levels.hpp"

#include "plugins/conformance/context.hpp"

#include <algorithm>

namespace seacliff::conform {
namespace {

/// Whether --only names this test: its id, or the beginning of it up to a colon.
bool names(const Settings& settings, const std::string& id) {
  if (settings.only.empty()) return true;
  return std::any_of(settings.only.begin(), settings.only.end(), [&](const std::string& name) {
    return id == name || id.starts_with(name + ":") || id.starts_with(name + "@");
  });
}

void append(std::vector<Test>& all, std::vector<Test> more, const Settings& settings) {
  for (Test& test : more)
    if (names(settings, test.id)) all.push_back(std::move(test));
}

/// Whether any test of the level can be wanted: making the list of L4 costs a second.
bool may_want(const Settings& settings, const std::string& level) {
  return settings.only.empty() || std::any_of(settings.only.begin(), settings.only.end(),
                                              [&](const std::string& id) { return id.starts_with(level); });
}

} // namespace

Test probe_test() {
  return {"probe", "the plugin loads, opens and reports its devices", [](Trial& trial, Context& context) {
            for (const plugins::DeviceInfo& device : context.plugin()->devices())
              trial.note(device.usable() ? "usable " + device.id
                                         : fmt::format("unusable {}\t{}", device.id, device.reason_unusable));
          }};
}

std::vector<Level> all_levels(const Settings& settings, const std::vector<Target>& targets,
                              const std::vector<std::string>& chosen) {
  std::vector<Level> levels{
      {"L0", "load", {}, true}, {"L1", "devices", {}}, {"L2", "memory", {}}, {"L3", "queues", {}},
      {"L4", "ops", {}},        {"L5", "layouts", {}}, {"L6", "graphs", {}}, {"L7", "stress and speed", {}}};
  for (Level& level : levels) {
    const auto add = [&](std::vector<Test> tests) { append(level.tests, std::move(tests), settings); };
    const bool on = std::find(chosen.begin(), chosen.end(), level.name) != chosen.end();
    if (!on || !may_want(settings, level.name)) continue;
    if (level.name == "L0") add(load_tests()), add(host_age_tests());
    if (level.name == "L1") add(device_tests());
    for (const Target& target : targets) {
      if (level.name == "L0") add(program_age_tests(target));
      if (level.name == "L2") add(memory_tests(target));
      if (level.name == "L3") add(queue_tests(target));
      if (level.name == "L4") add(op_tests(target, settings));
      if (level.name == "L5") add(layout_tests(target));
      if (level.name == "L6") add(graph_tests(target, settings));
      if (level.name == "L7") add(stress_tests(target)), add(speed_tests(target, settings));
    }
  }
  std::erase_if(levels, [](const Level& level) { return level.tests.empty(); });
  return levels;
}

} // namespace seacliff::conform
