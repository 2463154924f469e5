// Runs tests of a plugin where they can do no harm: in child processes. A child announces each test before it runs it,
// so that a crash, an exit() or a hang has a name; the tests behind it go on in a new child.
#pragma once

#include "plugins/conformance/settings.hpp"
#include "plugins/conformance/suite.hpp"

#include <functional>
#include <vector>

namespace seacliff::conform {

/// Called in this process: before a test, and with what came out of it.
struct Watcher {
  std::function<void(const Test&)> begin;
  std::function<void(Result)> end;
};

/// Every test gets exactly one result, in order. A crash between the tests, while the plugin is closed, is a result of
/// its own: "L4:close". This process must have one thread only.
void run_level(const Level& level, const Settings& settings, const Watcher& watcher);

/// Runs one test in a child and returns its result.
Result run_alone(const Test& test, const Settings& settings);

} // namespace seacliff::conform
