// All levels and their tests. A test is a lambda in the file of its level; its id is LEVEL:SUBJECT:NAME.
#pragma once

#include "plugins/conformance/settings.hpp"
#include "plugins/conformance/suite.hpp"

#include <string>
#include <vector>

namespace seacliff::conform {

/// A usable device to be tested. `suffix` ends the ids of its tests: empty when it is the only one.
struct Target {
  std::string id, suffix;
};

std::vector<Test> load_tests();                                                // L0
std::vector<Test> host_age_tests();                                            // L0: hosts of other ages
std::vector<Test> program_age_tests(const Target& target);                     // L0: structs of other ages
std::vector<Test> device_tests();                                              // L1, of all devices together
std::vector<Test> memory_tests(const Target& target);                          // L2
std::vector<Test> queue_tests(const Target& target);                           // L3
std::vector<Test> op_tests(const Target& target, const Settings& settings);    // L4
std::vector<Test> layout_tests(const Target& target);                          // L5
std::vector<Test> graph_tests(const Target& target, const Settings& settings); // L6
std::vector<Test> stress_tests(const Target& target);                          // L7
std::vector<Test> speed_tests(const Target& target, const Settings& settings); // L7, informational

/// Asks a child which devices there are; their ids stand in the notes of the result, the usable ones behind "usable ",
/// the others behind "unusable " with the reason after a tab.
Test probe_test();

/// Those of L0 ... L7 that `chosen` names, with what --ops, --only and the other settings leave of their tests.
std::vector<Level> all_levels(const Settings& settings, const std::vector<Target>& targets,
                              const std::vector<std::string>& chosen);

} // namespace seacliff::conform
