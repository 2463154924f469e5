#include "core/topology/bandwidth.hpp"

#include "core/base/status.hpp"
#include "core/topology/team.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

namespace seacliff {
namespace {

// 64 bytes: one cache line. The compiler splits it where the machine's registers are narrower.
using Line = std::uint64_t __attribute__((vector_size(64)));
constexpr std::size_t unroll = 8; // independent sums, so that the loads and not the additions limit
// Lines asked for ahead of the loads, into the second level: a core has more of those under way than its first level
// waits for. Kernels do so too and would seem to read faster than memory is.
constexpr std::size_t ahead = 128;
constexpr std::size_t piece_lines = 16384; // 1 MiB, that a worker takes at a time

[[gnu::always_inline]] inline std::uint64_t sum_lines(const Line* lines, std::size_t count) {
  Line sums[unroll] = {};
  std::size_t i = 0;
  for (; i + unroll <= count; i += unroll) {
    for (std::size_t k = 0; k < unroll; ++k) {
      __builtin_prefetch(lines + i + k + ahead, 0, 2);
      sums[k] += lines[i + k];
    }
  }
  for (; i < count; ++i) sums[0] += lines[i];
  std::uint64_t total = 0;
  for (const Line& sum : sums) {
    for (std::size_t lane = 0; lane < 8; ++lane) total += sum[lane];
  }
  return total;
}

std::uint64_t sum_plain(const Line* lines, std::size_t count) { return sum_lines(lines, count); }
#if defined(__x86_64__)
[[gnu::target("avx2")]] std::uint64_t sum_avx2(const Line* lines, std::size_t count) { return sum_lines(lines, count); }
[[gnu::target("avx512f")]] std::uint64_t sum_avx512(const Line* lines, std::size_t count) {
  return sum_lines(lines, count);
}
#endif

auto pick_sum() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return sum_avx512;
  if (__builtin_cpu_supports("avx2")) return sum_avx2;
#endif
  return sum_plain;
}

struct alignas(64) Cursor {
  std::atomic<std::size_t> next{0}; // piece of a slice that nobody has taken
};

struct Job {
  using Clock = std::chrono::steady_clock;

  Line* lines;
  std::size_t lines_per_worker;
  std::uint32_t repeats = 0;
  std::uint64_t (*sum)(const Line*, std::size_t) = nullptr;
  std::vector<Cursor> cursors = {}; // of each repeat, of each slice
  std::atomic<std::uint64_t> total{0};
  double best_seconds = 0; // worker 0's

  Line* slice(std::uint32_t index) const { return lines + index * lines_per_worker; }
  void touch(const scf_worker* worker) const {
    std::memset(static_cast<void*>(slice(worker->index)), 1, lines_per_worker * sizeof(Line));
  }
  std::uint64_t rest_of(std::uint32_t index, Cursor& cursor) const {
    std::uint64_t sums = 0;
    for (std::size_t at; (at = cursor.next.fetch_add(1, std::memory_order_relaxed) * piece_lines) < lines_per_worker;)
      sums += sum(slice(index) + at, std::min(piece_lines, lines_per_worker - at));
    return sums;
  }
  void read(scf_worker* worker) {
    std::uint64_t sums = 0;
    for (std::uint32_t i = 0; i < repeats; ++i) {
      Team::barrier(worker);
      const Clock::time_point start = Clock::now();
      for (std::uint32_t k = 0; k < worker->count; ++k) { // its own slice, then what others have not come to
        const std::uint32_t index = (worker->index + k) % worker->count;
        sums += rest_of(index, cursors[std::size_t{i} * worker->count + index]);
      }
      Team::barrier(worker);
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      if (worker->index == 0 && (i == 0 || seconds < best_seconds)) best_seconds = seconds;
    }
    total.fetch_add(sums, std::memory_order_relaxed);
  }
};

std::uint64_t lines_of(const Team& team, std::uint64_t bytes) {
  const std::uint64_t lines = bytes / sizeof(Line) / team.size();
  if (lines == 0)
    throw Error(Code::invalid_argument,
                fmt::format("a bandwidth test of {} bytes and {} workers measures nothing", bytes, team.size()));
  return lines;
}

} // namespace

ReadBandwidth::ReadBandwidth(Team& team, std::uint64_t bytes)
    : team_(team), lines_per_worker_(lines_of(team, bytes)),
      buffer_(lines_per_worker_ * team.size() * sizeof(Line), "the memory bandwidth test") {
  Job job{reinterpret_cast<Line*>(buffer_.data()), static_cast<std::size_t>(lines_per_worker_)};
  team_.run([](void* arg, scf_worker* worker) { static_cast<Job*>(arg)->touch(worker); }, &job);
}

double ReadBandwidth::measure(std::uint32_t repeats) {
  if (repeats == 0) throw Error(Code::invalid_argument, "a bandwidth test of 0 repeats measures nothing");
  Job job{reinterpret_cast<Line*>(buffer_.data()), static_cast<std::size_t>(lines_per_worker_), repeats, pick_sum(),
          std::vector<Cursor>(std::size_t{repeats} * team_.size())};
  team_.run([](void* arg, scf_worker* worker) { static_cast<Job*>(arg)->read(worker); }, &job);
  const std::uint64_t bytes = lines_per_worker_ * team_.size() * sizeof(Line);
  // Every byte was 1: a sum that the compiler or a race has spoiled must not pass for a measurement.
  const std::uint64_t expected = bytes / sizeof(std::uint64_t) * repeats * 0x0101010101010101u;
  if (job.total.load() != expected) throw Error(Code::internal, "the memory bandwidth test read wrong data");
  return static_cast<double>(bytes) / std::max(job.best_seconds, 1e-9) / 1e9;
}

} // namespace seacliff
