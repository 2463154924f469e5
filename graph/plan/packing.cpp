#include "graph/plan/packing.hpp"

#include "core/base/bytes.hpp"
#include "core/base/status.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <numeric>

namespace seacliff::graph {

std::uint64_t Packing::total() const { return std::accumulate(blocks.begin(), blocks.end(), std::uint64_t{0}); }

Packing pack(std::span<const std::uint64_t> pieces, std::uint64_t align, std::uint64_t limit, std::string_view where) {
  Packing packing;
  for (const std::uint64_t bytes : pieces) {
    if (limit != 0 && bytes > limit)
      throw Error(Code::does_not_fit, fmt::format("{} takes at most {} in one piece, and {} are needed", where,
                                                  format_bytes(limit), format_bytes(bytes)));
    if (bytes == 0) {
      packing.places.push_back({});
      continue;
    }
    std::uint64_t at = packing.blocks.empty() ? 0 : sdk::align_up(packing.blocks.back(), align);
    if (packing.blocks.empty() || (limit != 0 && (at > limit || bytes > limit - at))) {
      packing.blocks.push_back(0);
      at = 0;
    }
    packing.places.push_back({static_cast<std::uint32_t>(packing.blocks.size() - 1), at});
    packing.blocks.back() = at + bytes;
  }
  return packing;
}

} // namespace seacliff::graph
