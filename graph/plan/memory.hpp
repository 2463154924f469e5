// What a model will need, stated before anything is allocated.
#pragma once

#include "graph/place/placement.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace seacliff::graph {

/// Bytes in one heap of one device.
struct HeapPlan {
  std::string device; // full id
  std::uint32_t heap = 0;
  bool in_host_memory = false; // counts for the machine, too
  std::uint64_t weights = 0, state = 0, scratch = 0;
  std::uint64_t io = 0;      // step inputs, logits, values that change device
  std::uint64_t staging = 0; // what bytes pass through on their way
  std::uint64_t free = 0;    // that may be taken of it; 0: unknown

  std::uint64_t total() const { return weights + state + scratch + io + staging; }
  /// "memory: 3.9 GiB weights + ... = 4.2 of 7.8 GiB on vulkan:0, heap 0"
  std::string summary() const;
};

/// Bytes in host memory, and what devices hold. `weights` are pages of the mapped file, which the kernel may drop and
/// read again, unless they are copied; the rest is allocated.
struct MemoryPlan {
  std::uint64_t weights = 0;     // distinct bytes of the file that devices read in place
  std::uint64_t state = 0;       // caches of all slots
  std::uint64_t checkpoints = 0; // what sessions keep to rewind, at most
  std::uint64_t scratch = 0;     // of the largest program
  std::uint64_t io = 0;          // step inputs, logits, values that change device
  std::uint64_t process = 0;     // code, tokenizer, graphs: what the process holds and will yet touch
  std::vector<HeapPlan> heaps;   // beside that: memory of devices

  bool copied_weights = false;
  std::string weight_pages; // said beside them: "mapped file, 40 % in memory, 98 % of it in large pages"

  std::uint64_t devices() const; // of the heaps that are in host memory
  std::uint64_t allocated() const {
    return (copied_weights ? weights : 0) + state + checkpoints + scratch + io + devices();
  }
  std::uint64_t total() const { return (copied_weights ? 0 : weights) + process + allocated(); }
  /// "memory: 0.02 GiB weights (mapped) + ... = 0.1 GiB of 23 GiB"
  std::string summary(std::uint64_t limit) const;
};

/// Throws Error(does_not_fit) with details need, free and heap when what has to be allocated exceeds `limit` bytes of
/// host memory or what is free in a heap.
void check_fit(const MemoryPlan& plan, std::uint64_t limit);

} // namespace seacliff::graph
