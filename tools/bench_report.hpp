// How `seacliff bench` shows what it measured: a table that grows, CSV, or one JSON object.
#pragma once

#include "tools/bench_runs.hpp"
#include "tools/measuring.hpp"

#include <string>
#include <vector>

namespace seacliff::tools {

enum class BenchFormat { table, csv, json };

/// What was measured on.
struct BenchSubject {
  std::string model; // path
  std::string name;  // general.name
  std::string recipe;
  std::string backend; // device that takes precedence
  std::uint32_t threads = 0;
  std::int64_t step = 0; // tokens of one prefill step at most
  MemorySpeed memory;    // at the beginning
};

/// Rows of table and CSV are printed as they come, JSON at the end.
class BenchReport {
public:
  BenchReport(BenchFormat format, BenchSubject subject);
  void add(BenchResult result);
  void finish(bool interrupted);

private:
  void print_json(bool interrupted) const;

  BenchFormat format_;
  BenchSubject subject_;
  std::vector<BenchResult> results_;
};

} // namespace seacliff::tools
