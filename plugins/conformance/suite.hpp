// What a test of the kit is and what comes out of it. A test runs in a child process: it says what is wrong through its
// Trial; crashes and hangs are the supervisor's to see (supervise.hpp).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace seacliff::conform {

class Context;

enum class Outcome { pass, fail, skip };

/// One thing that is wrong. `check` names the promise that is broken: "result", "bounds", "threads", "crash", ...
struct Finding {
  std::string check, text;
};

struct Result {
  std::string id;        // "L4:matmul:17"
  std::string title;     // for people: "q8_0 T=5"
  std::string op, dtype; // for the support matrix; empty outside L4
  Outcome outcome = Outcome::pass;
  std::string reason; // of a skip
  std::vector<Finding> findings;
  std::vector<std::string> notes;        // worth saying, not wrong
  std::map<std::string, double> metrics; // "GB/s", "GFLOP/s"
  double seconds = 0;
};

/// How a test tells what it sees. Lives in the child, for one test.
class Trial {
public:
  using Tell = std::function<void(const Finding&)>;
  /// `tell` hears of every finding at once: what is found before a crash is not lost with the process.
  Trial(Result& result, Tell tell) : result_(result), tell_(std::move(tell)) {}

  /// The test goes on.
  void fail(std::string check, std::string text) {
    result_.findings.push_back({std::move(check), std::move(text)});
    tell_(result_.findings.back());
  }
  /// Fails and ends the test.
  [[noreturn]] void stop(std::string check, std::string text);
  /// There is nothing to test here.
  [[noreturn]] void skip(std::string reason);
  bool expect(bool good, std::string_view check, std::string_view text) {
    if (!good) fail(std::string(check), std::string(text));
    return good;
  }
  void note(std::string text) { result_.notes.push_back(std::move(text)); }
  void metric(const std::string& name, double value) { result_.metrics[name] = value; }

private:
  Result& result_;
  Tell tell_;
};

/// What Trial::stop and Trial::skip throw.
struct Stop {};
struct Skip {
  std::string reason;
};

struct Test {
  std::string id, title;
  std::function<void(Trial&, Context&)> run;
  std::string op{}, dtype{};
  double patience = 1; // times the time limit of a test
};

struct Level {
  std::string name, about; // "L4", "ops: ..."
  std::vector<Test> tests;
  bool isolated = false; // every test in a process of its own
};

} // namespace seacliff::conform
