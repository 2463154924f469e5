// What the worker team costs: a run, a barrier, and the bandwidth it reads memory with. To add a case: write a function
// of benchmark::State and register it.
#include "core/topology/bandwidth.hpp"
#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>

namespace {

using seacliff::Team;

const seacliff::Topology& topology() {
  static const seacliff::Topology instance;
  return instance;
}

void run_nothing(benchmark::State& state) {
  Team team(topology(), static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) team.run([](void*, scf_worker*) {}, nullptr);
}

void barrier(benchmark::State& state) {
  constexpr std::uint32_t per_run = 1000;
  Team team(topology(), static_cast<std::uint32_t>(state.range(0)));
  const auto meet = [](void*, scf_worker* worker) {
    for (std::uint32_t i = 0; i < per_run; ++i) Team::barrier(worker);
  };
  for (auto _ : state) team.run(meet, nullptr);
  state.counters["per_barrier"] = benchmark::Counter(static_cast<double>(state.iterations()) * per_run,
                                                     benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void read_bandwidth(benchmark::State& state) {
  Team team(topology(), static_cast<std::uint32_t>(state.range(0)));
  seacliff::ReadBandwidth memory(team, std::uint64_t{1} << 30);
  double best = 0;
  for (auto _ : state) best = std::max(best, memory.measure(3));
  state.counters["GB/s"] = best;
}

void team_sizes(benchmark::internal::Benchmark* bench) {
  const std::uint32_t cores = topology().physical_cores();
  for (std::uint32_t n = 1; n < cores; n *= 2) bench->Arg(n);
  bench->Arg(cores);
}

BENCHMARK(run_nothing)->Apply(team_sizes)->UseRealTime();
BENCHMARK(barrier)->Apply(team_sizes)->UseRealTime();
BENCHMARK(read_bandwidth)->Apply(team_sizes)->UseRealTime()->Iterations(3);

} // namespace

BENCHMARK_MAIN();
