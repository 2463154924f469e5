// What the kit says: on the console while it runs, and in files for machines.
#pragma once

#include "plugins/conformance/suite.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::conform {

/// A result, and the reason of the xfail that excuses it.
struct Judged {
  Result result;
  std::string excuse;

  bool failed() const { return result.outcome == Outcome::fail && excuse.empty(); }
};

/// A line per failure with the command that repeats it, a line per level, a bar on terminals.
class Console {
public:
  /// `repro` begins the command line: everything but --only.
  Console(std::string repro, bool verbose);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void level_begins(const Level& level);
  void test_begins(const Test& test);
  void test_ends(const Judged& judged);
  void level_ends();
  void summary(const std::vector<Judged>& all, double seconds);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string to_junit(const std::vector<Judged>& all, std::string_view plugin);
/// id, title, op, dtype, outcome, checks, seconds, metrics, text.
std::string to_csv(const std::vector<Judged>& all);
/// The support matrix, op by format: cases passed of cases run, or "-" where every case is declined.
std::string to_markdown(const std::vector<Judged>& all, std::string_view plugin);
std::string to_json(const std::vector<Judged>& all, std::string_view plugin);

} // namespace seacliff::conform
