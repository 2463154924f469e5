#include "tools/bench_report.hpp"

#include "core/memory/memory_limit.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace seacliff::tools {
namespace {

/// Four digits that count, whatever the magnitude.
std::string rate(double value) { return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 100 ? 2 : 1); }

} // namespace

BenchReport::BenchReport(BenchFormat format, BenchSubject subject) : format_(format), subject_(std::move(subject)) {
  switch (format_) {
  case BenchFormat::table:
    fmt::print("{} ({}, {})\n", subject_.model, subject_.name, subject_.recipe);
    fmt::print("{}, {} threads, {}\n\n", subject_.backend, subject_.threads, subject_.memory.text());
    fmt::print("{:<8}{:>8}{:>9}{:>6}{:>12}{:>21}{:>9}{:>11}{:>9}{:>8}\n", "phase", "tokens", "depth", "seqs",
               "tokens/s", "min .. max", "GB/s", "of memory", "TFLOP/s", "idle");
    break;
  case BenchFormat::csv:
    fmt::print("phase,tokens,depth,sequences,tokens_per_s,min,max,gbps,bandwidth_share,tflops,backend,threads,"
               "{},idle_share,launches_per_step,barriers_per_step\n",
               subject_.memory.key());
    break;
  case BenchFormat::json: break;
  }
  std::fflush(stdout);
}

void BenchReport::add(BenchResult result) {
  const BenchResult& r = result;
  if (format_ == BenchFormat::table)
    fmt::print("{:<8}{:>8}{:>9}{:>6}{:>12}{:>21}{:>9.2f}{:>9.1f} %{:>9.3f}{:>8}\n", r.phase_name(), r.tokens, r.depth,
               r.sequences, rate(r.tokens_per_s()), rate(r.slowest()) + " .. " + rate(r.fastest()), r.gbps(),
               100 * r.memory_share(), r.tflops(), r.idle ? fmt::format("{:.1f} %", 100 * *r.idle) : "-");
  if (format_ == BenchFormat::csv)
    fmt::print("{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{},{},{:.6g},{:.6g},{},{}\n", r.phase_name(),
               r.tokens, r.depth, r.sequences, r.tokens_per_s(), r.slowest(), r.fastest(), r.gbps(), r.memory_share(),
               r.tflops(), subject_.backend, subject_.threads, median(r.memory_gbps), r.idle.value_or(0), r.launches,
               r.barriers);
  std::fflush(stdout);
  results_.push_back(std::move(result));
}

void BenchReport::finish(bool interrupted) {
  if (format_ == BenchFormat::json) print_json(interrupted);
  if (interrupted && format_ == BenchFormat::table) fmt::print("interrupted\n");
  std::fflush(stdout);
}

void BenchReport::print_json(bool interrupted) const {
  nlohmann::ordered_json out{{"model", subject_.model},
                             {"name", subject_.name},
                             {"recipe", subject_.recipe},
                             {"backend", subject_.backend},
                             {"threads", subject_.threads},
                             {"step", subject_.step},
                             {subject_.memory.key(), subject_.memory.gbps},
                             {"rss", process_memory().rss},
                             {"interrupted", interrupted},
                             {"results", nlohmann::ordered_json::array()}};
  for (const BenchResult& r : results_) {
    nlohmann::ordered_json row{{"phase", r.phase_name()},
                               {"tokens", r.tokens},
                               {"depth", r.depth},
                               {"sequences", r.sequences},
                               {"tokens_per_s", r.tokens_per_s()},
                               {"tokens_per_s_min", r.slowest()},
                               {"tokens_per_s_max", r.fastest()},
                               {"gbps", r.gbps()},
                               {"bandwidth_share", r.memory_share()},
                               {"tflops", r.tflops()},
                               {"weight_bytes", r.work.weight_bytes},
                               {"seconds", r.seconds},
                               {"memory_gbps", r.memory_gbps}};
    if (r.idle)
      row.update({{"idle_share", *r.idle}, {"launches_per_step", r.launches}, {"barriers_per_step", r.barriers}});
    out["results"].push_back(std::move(row));
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

} // namespace seacliff::tools
