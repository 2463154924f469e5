// The expectation file of a backend: what it never will do, and what it does not do yet.
//
//   unsupported OP REASON   permanent: no case of OP is claimed. An op that is declined and not listed is a failure,
//   and
//                           so is a listed one that is claimed.
//   xfail TEST REASON       must shrink: TEST, an id or a pattern with `*`, fails. Where none of what it names fails,
//                           that is a failure.
// `#` begins a comment.
#pragma once

#include "plugins/conformance/suite.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace seacliff::conform {

struct Expectations {
  struct Entry {
    std::string name, reason;
    int line = 0;
    int matched = 0, failed = 0; // tests, counted by apply()
  };
  std::string file; // empty: none was given
  std::vector<Entry> unsupported, xfails;

  /// Throws Error(invalid_argument) with the line at fault.
  static Expectations read(const std::filesystem::path& path);

  /// The xfail entry that a failed test is excused by; nullptr: none. Counts the test.
  const Entry* excuse(const Result& result);
  /// Failures of the file itself. `complete`: the whole list of tests ran, so that a name without a test is a mistake.
  std::vector<Result> verdicts(const std::vector<Result>& results, bool complete) const;
};

} // namespace seacliff::conform
