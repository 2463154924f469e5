// load_plugin PATH: exit code 0 when the plugin there loads and has a usable device; else prints the verdict.
#include "plugins/loader/loader.hpp"

#include <cstdio>

int main(int argc, char** argv) {
  using namespace seacliff::plugins;
  if (argc != 2) return 2;
  try {
    const auto host = std::make_shared<HostServices>(nullptr, std::vector<std::string>{"add"});
    const PluginSet set = PluginSet::load(host, {{argv[1]}, {}, false});
    bool good = !set.verdicts().empty();
    for (const Verdict& verdict : set.verdicts()) {
      std::printf("%s: %s %s\n", verdict.path.c_str(), std::string(verdict_name(verdict.status)).c_str(),
                  verdict.reason.c_str());
      good = good && verdict.status == VerdictStatus::loaded;
    }
    for (const auto& plugin : set.plugins())
      for (const DeviceInfo& device : plugin->devices())
        if (device.usable()) plugin->open_device(device.id);
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
