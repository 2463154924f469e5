#include "graph/plan/arena.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace seacliff::graph {
namespace {

constexpr std::uint64_t k_align = 64;

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + k_align - 1) / k_align * k_align; }
bool alive_together(const ArenaBlock& a, const ArenaBlock& b) { return a.first <= b.last && b.first <= a.last; }

} // namespace

std::uint64_t plan_arena(std::vector<ArenaBlock>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });

  std::vector<std::size_t> placed; // by offset
  std::uint64_t size = 0;
  for (const std::size_t index : order) {
    ArenaBlock& block = blocks[index];
    std::uint64_t offset = 0;
    for (const std::size_t other : placed) {
      const ArenaBlock& taken = blocks[other];
      if (!alive_together(block, taken)) continue;
      if (offset + block.bytes <= taken.offset) break; // fits into the gap before it
      offset = std::max(offset, aligned(taken.offset + taken.bytes));
    }
    block.offset = offset;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index,
                                   [&](std::size_t a, std::size_t b) { return blocks[a].offset < blocks[b].offset; }),
                  index);
    size = std::max(size, aligned(offset + block.bytes));
  }
  return size;
}

} // namespace seacliff::graph
