// Offsets in one arena for blocks whose lifetimes are known: blocks that never live at once may share bytes.
#pragma once

#include <cstdint>
#include <vector>

namespace seacliff::graph {

/// Alive from the start of step `first` to the end of step `last`.
struct ArenaBlock {
  std::uint64_t bytes = 0;
  std::uint32_t first = 0, last = 0;
  std::uint64_t offset = 0; // out: 64-byte aligned
};

/// Sets the offsets (largest block first, lowest offset that fits) and returns the size of the arena in bytes.
std::uint64_t plan_arena(std::vector<ArenaBlock>& blocks);

} // namespace seacliff::graph
