// Many pieces of memory in few allocations.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace seacliff::graph {

/// Where each piece lies, and how large the blocks are. Bytes.
struct Packing {
  struct Place {
    std::uint32_t block = 0;
    std::uint64_t offset = 0;
  };
  std::vector<Place> places; // by piece
  std::vector<std::uint64_t> blocks;

  std::uint64_t total() const;
};

/// Lays pieces one behind the other, each at a multiple of `align` (a power of two), in blocks of at most `limit` bytes
/// (0: no limit). Pieces of no bytes get a place and take none. Throws Error(does_not_fit) that says whose memory
/// (`where`) takes no piece as large as one of them.
Packing pack(std::span<const std::uint64_t> pieces, std::uint64_t align, std::uint64_t limit, std::string_view where);

} // namespace seacliff::graph
