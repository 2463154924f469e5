#include "plugins/conformance/expectations.hpp"

#include "ops/schema/schema.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

namespace seacliff::conform {
namespace {

[[noreturn]] void wrong(const std::string& file, int line, const std::string& what) {
  throw Error(Code::invalid_argument, fmt::format("{}:{}: {}", file, line, what),
              "lines are `unsupported OP REASON` or `xfail TEST REASON`");
}

Result fault(const Expectations& expectations, const Expectations::Entry& entry, std::string text) {
  Result result;
  result.id = fmt::format("expect:{}", entry.line);
  result.title = entry.name;
  result.outcome = Outcome::fail;
  result.findings.push_back({"stale", fmt::format("{}:{}: {}", expectations.file, entry.line, std::move(text))});
  return result;
}

/// Of the tests of an op: how many there are, how many ran on the device.
struct Claims {
  int tests = 0, claimed = 0;
};

std::map<std::string, Claims> claims_by_op(const std::vector<Result>& results) {
  std::map<std::string, Claims> ops;
  for (const Result& result : results) {
    if (result.op.empty()) continue;
    Claims& claims = ops[result.op];
    ++claims.tests;
    if (result.outcome != Outcome::skip) ++claims.claimed;
  }
  return ops;
}

} // namespace

Expectations Expectations::read(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw Error(Code::invalid_argument, fmt::format("there is no expectation file {}", path.string()));
  Expectations result;
  result.file = path.string();
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string kind;
    Entry entry;
    entry.line = number;
    if (!(words >> kind)) continue;
    words >> entry.name >> std::ws;
    std::getline(words, entry.reason);
    if (kind != "unsupported" && kind != "xfail") wrong(result.file, number, fmt::format("'{}' is no keyword", kind));
    if (entry.reason.empty()) wrong(result.file, number, "every line gives a reason");
    if (kind == "unsupported" && ops::find_schema(entry.name) == nullptr)
      wrong(result.file, number, fmt::format("there is no op '{}'", entry.name));
    (kind == "xfail" ? result.xfails : result.unsupported).push_back(std::move(entry));
  }
  return result;
}

const Expectations::Entry* Expectations::excuse(const Result& result) {
  const Entry* excused_by = nullptr;
  for (Entry& entry : xfails) {
    if (fnmatch(entry.name.c_str(), result.id.c_str(), 0) != 0) continue;
    ++entry.matched;
    if (result.outcome != Outcome::fail) continue;
    ++entry.failed;
    excused_by = &entry;
  }
  return excused_by;
}

std::vector<Result> Expectations::verdicts(const std::vector<Result>& results, bool complete) const {
  std::vector<Result> faults;
  if (file.empty()) return faults;
  for (const Entry& entry : xfails) {
    if (entry.matched > 0 && entry.failed == 0)
      faults.push_back(fault(*this, entry, fmt::format("xfail {} passes: take the line out", entry.name)));
    if (entry.matched == 0 && complete)
      faults.push_back(fault(*this, entry, fmt::format("xfail {} names no test", entry.name)));
  }
  for (const auto& [op, claims] : claims_by_op(results)) {
    const auto listed =
        std::find_if(unsupported.begin(), unsupported.end(), [&](const Entry& e) { return e.name == op; });
    if (listed != unsupported.end() && claims.claimed > 0)
      faults.push_back(fault(*this, *listed, fmt::format("unsupported {} is claimed: take the line out", op)));
    if (listed == unsupported.end() && claims.claimed == 0)
      faults.push_back(
          fault(*this, {op, "", 0, 0, 0},
                fmt::format("no case of {} is claimed, and the file does not list it as unsupported", op)));
  }
  return faults;
}

} // namespace seacliff::conform
