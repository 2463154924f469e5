// What a plugin must leave alone in its process (rules N1 and F1), taken before and after.
#pragma once

#include "plugins/conformance/suite.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace seacliff::conform {

struct ProcessState {
  std::vector<std::string> threads;     // names of all threads
  std::vector<std::string> descriptors; // what the open file descriptors lead to
  std::vector<std::string> environment;
  std::vector<std::string> signals; // those with a handler
  std::string signal_mask, locale, directory;
  std::uint32_t file_mask = 0, float_mode = 0; // umask; rounding and denormal control

  static ProcessState now();
};

/// A finding for each thing that is different: "threads", "descriptors", "environment", "signals", "locale",
/// "directory", "float-mode". `when` goes on in words: "loading the library".
void compare(Trial& trial, const ProcessState& before, const ProcessState& after, const std::string& when);

/// Bytes that the C library's allocator has handed out; 0 where it does not tell (sanitizers).
std::uint64_t allocated_bytes();

/// Starts this program again, once, without the allocator's caches of each thread: what rests in them counts as handed
/// out, some kilobytes more or less from one look to the next. Returns where that is so already, or cannot be had.
void begin_without_malloc_caches(char** argv);

/// Whether a file is mapped into this process.
bool is_mapped(const std::string& file);

} // namespace seacliff::conform
