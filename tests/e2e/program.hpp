// Runs the `seacliff` program as a user would.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace seacliff::test {

struct Ran {
  int exit_code = -1; // 128 + signal when one ended it
  std::string out, err;
};

/// build/bin/seacliff with these arguments. `interrupt_after_bytes` > 0: sends SIGINT once that much was written to
/// standard output. `environment` is added to that of the test.
Ran seacliff(const std::vector<std::string>& arguments, std::size_t interrupt_after_bytes = 0,
             const std::map<std::string, std::string>& environment = {});

} // namespace seacliff::test
