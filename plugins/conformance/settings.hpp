// What the user asked for.
#pragma once

#include "plugins/loader/plugin.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace seacliff::conform {

struct Settings {
  std::filesystem::path given, library, manifest; // as named; the shared object; empty when there is none
  plugins::Options options;                       // for open()
  std::vector<std::string> devices;               // ids; empty: every usable one
  std::vector<std::string> ops;                   // empty: all
  std::vector<std::string> only;                  // ids or their beginnings; empty: all
  std::uint32_t threads = 2;                      // of the host's team
  std::uint64_t seed = 1;
  std::int64_t cases = 4; // random cases per op
  std::int64_t every = 1; // of the fixed cases take one in so many
  double limit_s = 30;    // time that a test may take
  double wait_s = 10;     // time that a semaphore may take
};

} // namespace seacliff::conform
