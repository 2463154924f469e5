// Where temporaries lie: no two that live at once overlap, and the sum is small.
#include <seacliff/sdk/scratch.hpp>

#include <gtest/gtest.h>

#include <random>

namespace seacliff::sdk {
namespace {

TEST(Scratch, NothingAliveOverlaps) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> items(1 + random() % 60);
    std::uint64_t most = 0, sum = 0;
    for (Lifetime& item : items) {
      item.bytes = random() % 5000;
      item.first = random() % 40;
      item.last = item.first + random() % 10;
      sum += align_up(item.bytes, 64);
    }
    for (std::uint32_t step = 0; step < 50; ++step) {
      std::uint64_t alive = 0;
      for (const Lifetime& item : items)
        if (item.first <= step && step <= item.last) alive += align_up(item.bytes, 64);
      most = std::max(most, alive);
    }
    const std::uint64_t total = plan_scratch(items, 64);
    EXPECT_GE(total, most);
    EXPECT_LE(total, sum);
    for (std::size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(items[i].offset % 64, 0u);
      EXPECT_LE(items[i].offset + items[i].bytes, total);
      for (std::size_t j = 0; j < i; ++j) {
        if (!items[i].overlaps(items[j])) continue;
        const bool apart =
            items[i].offset + items[i].bytes <= items[j].offset || items[j].offset + items[j].bytes <= items[i].offset;
        EXPECT_TRUE(apart) << i << " and " << j;
      }
    }
  }
}

TEST(Scratch, DisjointLifetimesShareOnePlace) {
  std::vector<Lifetime> items{{1000, 0, 1}, {1000, 2, 3}, {500, 4, 4}};
  EXPECT_EQ(plan_scratch(items, 64), 1024u);
}

TEST(Scratch, SmallOnesFillTheGaps) {
  std::vector<Lifetime> items{{1024, 0, 9}, {1024, 0, 3}, {1024, 0, 9}, {512, 5, 6}};
  EXPECT_EQ(plan_scratch(items, 64), 3072u);
}

TEST(Scratch, NothingNeedsNothing) {
  std::vector<Lifetime> none;
  EXPECT_EQ(plan_scratch(none, 64), 0u);
}

} // namespace
} // namespace seacliff::sdk
