// What a model will need, stated before anything is allocated.
#pragma once

#include "graph/place/placement.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace seacliff::graph {

/// Bytes. `weights` are pages of the mapped file, which the kernel may drop and read again, unless they are copied; the
/// rest is allocated.
struct MemoryPlan {
  std::uint64_t weights = 0;     // distinct bytes of the file that tensors cover
  std::uint64_t state = 0;       // caches of all slots
  std::uint64_t checkpoints = 0; // what sessions keep to rewind, at most
  std::uint64_t scratch = 0;     // of the largest program
  std::uint64_t io = 0;          // step inputs, logits, values that change device
  std::uint64_t process = 0;     // code, tokenizer, graphs: what the process holds and will yet touch

  bool copied_weights = false;
  std::string weight_pages; // said beside them: "mapped file, 40 % in memory, 98 % of it in large pages"

  std::uint64_t allocated() const { return (copied_weights ? weights : 0) + state + checkpoints + scratch + io; }
  std::uint64_t total() const { return (copied_weights ? 0 : weights) + process + allocated(); }
  /// "memory: 0.02 GiB weights (mapped) + ... = 0.1 GiB of 23 GiB"
  std::string summary(std::uint64_t limit) const;
};

/// Throws Error(does_not_fit) with details need, free and heap when what has to be allocated exceeds `limit` bytes.
void check_fit(const MemoryPlan& plan, std::uint64_t limit);

} // namespace seacliff::graph
