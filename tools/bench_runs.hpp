// What `seacliff bench` measures: prefill and decode of one model at a position, repeated.
#pragma once

#include "core/model/inventory.hpp"
#include "graph/run/session.hpp"
#include "tools/measuring.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace seacliff::tools {

enum class BenchPhase { prefill, decode };

/// One line of the table: what to time, and how long it took each time.
struct BenchResult {
  BenchPhase phase = BenchPhase::prefill;
  std::int64_t tokens = 0; // per sequence
  std::int64_t depth = 0;  // tokens already in the context of each sequence when the clock starts
  std::int64_t sequences = 1;
  std::vector<double> seconds{};     // one per repetition that counts
  std::vector<double> memory_gbps{}; // beside each of these; 0: not known
  StepWork work{};                   // of one repetition
  // Of decoding: the part of the time in which the devices had nothing to do, and what one step consists of.
  std::optional<double> idle{};
  std::uint64_t launches = 0, barriers = 0;

  std::string_view phase_name() const; // "prefill", "decode"
  double median_s() const;
  double tokens_per_s() const; // median; of all sequences together
  double fastest() const;      // tokens per second
  double slowest() const;
  double gbps() const;         // weight bytes, 1e9 per second
  double memory_share() const; // of what the memory delivered beside each repetition, the median; 0: not known
  double tflops() const;       // 1e12 per second
};

/// Sessions of one model, all at the same depth.
class Bench {
public:
  /// `tokens`: what is fed, round and round; sequences begin at different places of it. Takes `sequences` slots.
  Bench(graph::Model& model, Yardstick& yardstick, std::vector<std::int32_t> tokens, std::int64_t sequences);

  /// From now on contexts are made up, from this seed, instead of computed.
  void fill_context(std::uint64_t seed) { fill_seed_ = seed; }
  /// From now on every context is kept, to go back to: the bytes of its caches each. Else the latest and the empty one.
  void keep_contexts() { keep_contexts_ = true; }

  /// Computes (or makes up) the context up to `depth`, from the nearest below it. False: interrupted.
  bool reach(std::int64_t depth);
  /// Does the work of `line` once, from its depth on, with logits and without sampling; its time `counts` or warms up.
  /// False: interrupted, and nothing was added.
  bool repeat(BenchResult& line, bool counts);
  /// What the devices say of some steps of decoding: `idle`, `launches`, `barriers` of `line`.
  void watch(BenchResult& line);
  /// Moves on to `depth` and times it, once: one point of a sweep. Nothing when interrupted.
  std::optional<BenchResult> advance(std::int64_t depth);

private:
  /// Is at `depth`, whose context is there; gives up those that need not be kept.
  void settle(std::int64_t depth);
  void go_back(std::size_t sequences);
  bool prefill(BenchResult& line, bool counts);
  bool decode(BenchResult& line, bool counts);
  void decode_step(const std::vector<std::vector<std::int32_t>>& ids, std::size_t step);
  /// What the sequences of a line of decoding feed.
  std::vector<std::vector<std::int32_t>> ids_of(const BenchResult& line) const;
  std::vector<std::int32_t> tokens_at(std::size_t sequence, std::int64_t position, std::int64_t n) const;
  /// Feeds one session; false when interrupted. Adds up the work.
  bool feed_one(std::int64_t tokens, graph::Want want, StepWork* work, std::string_view label);

  graph::Model& model_;
  Yardstick& yardstick_;
  std::vector<std::int32_t> tokens_;
  Inventory inventory_;
  std::vector<std::unique_ptr<graph::Session>> sessions_;
  std::map<std::int64_t, graph::Snapshot> contexts_; // by depth: that of depth_, the empty one, and those kept
  std::int64_t depth_ = 0;
  std::optional<std::uint64_t> fill_seed_;
  bool keep_contexts_ = false;
};

} // namespace seacliff::tools
