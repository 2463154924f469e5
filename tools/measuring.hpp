// What commands that measure have in common: what is fed, and the yardstick.
#pragma once

#include "graph/run/model.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace seacliff {
class ReadBandwidth;
} // namespace seacliff

namespace seacliff::tools {

/// Ids of the model's vocabulary, the same for the same seed: long before anything repeats in a way that routing could
/// notice.
std::vector<std::int32_t> random_tokens(const graph::Model& model, std::uint64_t seed);

/// Of the flag --fill.
inline constexpr const char* k_fill_help = "make the context of --depth up: random rows in the caches, there at once "
                                           "and as slow to work with as computed ones";

/// What the memory delivers that the model's weights lie in.
struct MemorySpeed {
  double gbps = 0;          // 0: not known
  bool by_copies = false;   // of a device within its own memory, bytes read and written; else reads of the workers
  std::string text() const; // "memory reads 12.3 GB/s"
  /// The key of gbps in JSON.
  const char* key() const { return by_copies ? "measured_copy_gbps" : "measured_read_gbps"; }
};

/// The memory's speed beside what is timed. A host's memory has other users and another speed each second, so it is
/// measured anew; a device's own, once. Holds a buffer of up to 2 GiB, an eighth of what is free at most, so that the
/// weights stay in memory. The model must outlive it.
class Yardstick {
public:
  /// Throws Error(resource_exhausted) without memory for the buffer.
  explicit Yardstick(graph::Model& model);
  ~Yardstick();

  /// 1e9 bytes per second, measured within the last second; 0: not known. Between steps only: the workers do it.
  double gbps();
  /// The first of these.
  const MemorySpeed& at_first() const { return first_; }
  /// Of all that were measured.
  MemorySpeed median() const;

private:
  using Clock = std::chrono::steady_clock;

  std::unique_ptr<ReadBandwidth> reads_; // none: a device's memory
  MemorySpeed first_;
  Clock::time_point measured_;
  std::vector<double> all_; // GB/s
};

/// The middle one, or the mean of the two in the middle; of at least one.
double median(std::vector<double> values);

} // namespace seacliff::tools
