// What `seacliff bench` measures: prefill and decode of one model at a position, repeated.
#pragma once

#include "core/model/inventory.hpp"
#include "graph/run/session.hpp"
#include "tools/measuring.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace seacliff::tools {

/// One line of the table: the same work, timed several times.
struct BenchResult {
  std::string_view phase;  // "prefill" or "decode"
  std::int64_t tokens = 0; // per sequence
  std::int64_t depth = 0;  // tokens already in the context of each sequence when the clock starts
  std::int64_t sequences = 1;
  std::vector<double> seconds{};     // one per repetition that counts
  std::vector<double> memory_gbps{}; // beside each of these; 0: not known
  StepWork work{};                   // of one repetition
  // Of decoding: the part of the time in which the devices had nothing to do, and what one step consists of.
  std::optional<double> idle{};
  std::uint64_t launches = 0, barriers = 0;

  double median_s() const;
  double tokens_per_s() const; // median; of all sequences together
  double fastest() const;      // tokens per second
  double slowest() const;
  double gbps() const;         // weight bytes, 1e9 per second
  double memory_share() const; // of what the memory delivered beside each repetition, the median; 0: not known
  double tflops() const;       // 1e12 per second
};

struct BenchRepeats {
  std::int64_t warmup = 1; // not counted
  std::int64_t counted = 3;
};

/// Sessions of one model, all at the same depth. Every method that computes stops when the user interrupts and then
/// returns what is finished.
class Bench {
public:
  /// `tokens`: what is fed, round and round; sequences begin at different places of it. Takes `sequences` slots.
  Bench(graph::Model& model, Yardstick& yardstick, std::vector<std::int32_t> tokens, std::int64_t sequences);

  /// From now on `reach` makes the context up, from this seed, instead of computing it.
  void fill_context(std::uint64_t seed) { fill_seed_ = seed; }

  std::int64_t depth() const { return depth_; }
  /// Computes (or makes up) the context up to `depth`, from the depth reached so far when that is smaller. False:
  /// interrupted.
  bool reach(std::int64_t depth);

  /// Of one sequence; the session goes back to `depth()` after each repetition. Nothing when interrupted before the
  /// first repetition that counts.
  std::optional<BenchResult> prefill(std::int64_t tokens, const BenchRepeats& repeats);
  /// `sequences` tokens per step, each with logits; no sampling.
  std::optional<BenchResult> decode(std::int64_t tokens, std::int64_t sequences, const BenchRepeats& repeats);
  /// Moves on to `depth` and times it, once: one point of a sweep.
  std::optional<BenchResult> advance(std::int64_t depth);

private:
  void go_back(std::size_t sequences);
  /// The first of these steps once more, timed by the devices.
  void watch(const std::vector<std::vector<std::int32_t>>& ids, BenchResult& result);
  void decode_step(const std::vector<std::vector<std::int32_t>>& ids, std::size_t step);
  std::vector<std::int32_t> tokens_at(std::size_t sequence, std::int64_t position, std::int64_t n) const;
  /// Feeds one session; false when interrupted. Adds up the work.
  bool feed_one(std::int64_t tokens, graph::Want want, StepWork* work, std::string_view label);

  graph::Model& model_;
  Yardstick& yardstick_;
  std::vector<std::int32_t> tokens_;
  Inventory inventory_;
  std::vector<std::unique_ptr<graph::Session>> sessions_;
  std::int64_t depth_ = 0;
  std::optional<std::uint64_t> fill_seed_;
  graph::Snapshot at_depth_;
};

} // namespace seacliff::tools
