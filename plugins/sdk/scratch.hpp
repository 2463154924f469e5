// Where temporaries lie: values that are never alive at the same time share memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace seacliff::sdk {

/// A block of memory that is needed in the steps [first, last].
struct Lifetime {
  std::uint64_t bytes = 0;
  std::uint32_t first = 0, last = 0;
  std::uint64_t offset = 0; // out

  bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

constexpr std::uint64_t align_up(std::uint64_t n, std::uint64_t align) { return (n + align - 1) / align * align; }

/// Fills the offsets, multiples of `align`; returns the bytes needed in all. Largest first, each into the smallest gap
/// that holds it. Deterministic.
inline std::uint64_t plan_scratch(std::span<Lifetime> items, std::uint64_t align) {
  std::vector<std::size_t> order(items.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return items[a].bytes > items[b].bytes; });

  std::vector<const Lifetime*> placed; // by offset
  std::uint64_t total = 0;
  for (const std::size_t index : order) {
    Lifetime& item = items[index];
    const std::uint64_t need = align_up(item.bytes, align);
    std::uint64_t end = 0; // of what is in the way so far
    std::uint64_t best = ~std::uint64_t{0}, best_gap = ~std::uint64_t{0};
    for (const Lifetime* other : placed) {
      if (!item.overlaps(*other)) continue;
      if (other->offset >= end && other->offset - end >= need && other->offset - end < best_gap) {
        best = end;
        best_gap = other->offset - end;
      }
      end = std::max(end, other->offset + align_up(other->bytes, align));
    }
    item.offset = best != ~std::uint64_t{0} ? best : end;
    total = std::max(total, item.offset + need);
    const auto by_offset = [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &item, by_offset), &item);
  }
  return total;
}

} // namespace seacliff::sdk
