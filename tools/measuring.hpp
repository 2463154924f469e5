// What commands that measure have in common: what is fed, and the yardstick.
#pragma once

#include "graph/run/model.hpp"

#include <cstdint>
#include <string>
#include <vector>

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
/// With buffers that leave the weights in memory.
MemorySpeed measure_memory(graph::Model& model);

} // namespace seacliff::tools
