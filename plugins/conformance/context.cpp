#include "plugins/conformance/context.hpp"

#include "ops/schema/schema.hpp"
#include "plugins/loader/candidate.hpp"

namespace seacliff::conform {

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const ops::Schema& schema : ops::catalogue()) names.emplace_back(schema.name);
  return names;
}

const std::shared_ptr<plugins::HostServices>& Context::host() {
  if (!host_) {
    topology_.emplace();
    team_.emplace(*topology_, settings.threads);
    host_ = std::make_shared<plugins::HostServices>(&*team_, op_names());
  }
  return host_;
}

const std::shared_ptr<plugins::Plugin>& Context::plugin() {
  if (plugin_) return plugin_;
  std::vector<plugins::Candidate> found = plugins::candidates_in(settings.given);
  if (found.size() != 1) throw Error(Code::not_found, fmt::format("there is no plugin at {}", settings.given.string()));
  plugins::Candidate& candidate = found.front();
  plugins::examine(candidate, *host());
  if (!candidate.ok())
    throw Error(Code::unavailable, fmt::format("it does not load ({}): {}", verdict_name(candidate.verdict.status),
                                               candidate.verdict.reason));
  plugin_ = std::make_shared<plugins::Plugin>(host(), candidate.plugin, candidate.library.string(), settings.options);
  return plugin_;
}

const std::shared_ptr<plugins::Device>& Context::device(const std::string& id) {
  std::shared_ptr<plugins::Device>& opened = devices_[id];
  if (!opened) opened = plugin()->open_device(id);
  return opened;
}

} // namespace seacliff::conform
