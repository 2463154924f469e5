// Many pieces in few blocks. To add a case: pack({sizes}, align, limit).
#include "core/base/status.hpp"
#include "graph/plan/memory.hpp"
#include "graph/plan/packing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seacliff::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Packing, LaysPiecesAtMultiplesOfTheAlignment) {
  const std::vector<std::uint64_t> sizes{100, 1, 0, 256, 7};
  const Packing packing = pack(sizes, 64, 0, "here");
  std::vector<std::uint64_t> offsets;
  for (const auto& place : packing.places) offsets.push_back(place.offset);
  EXPECT_THAT(offsets, ElementsAre(0, 128, 0, 192, 448));
  EXPECT_THAT(packing.blocks, ElementsAre(455));
}

TEST(Packing, BeginsANewBlockAtTheLimit) {
  const std::vector<std::uint64_t> sizes{60, 60, 100, 36, 1};
  const Packing packing = pack(sizes, 32, 128, "here");
  EXPECT_THAT(packing.blocks, ElementsAre(124, 100, 65));
  EXPECT_EQ(packing.places[1].offset, 64u);
  EXPECT_EQ(packing.places[3].block, 2u);
  EXPECT_EQ(packing.places[4].offset, 64u);
  EXPECT_EQ(packing.total(), 289u);
}

TEST(Packing, RefusesWhatNoBlockHolds) {
  const std::vector<std::uint64_t> sizes{10, 2 << 20};
  try {
    pack(sizes, 1, 1 << 20, "gpu:0");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::does_not_fit);
    EXPECT_THAT(error.what(), HasSubstr("gpu:0 takes at most 1.0 MiB in one piece, and 2.0 MiB are needed"));
  }
}

TEST(MemoryPlan, HeapsAreCheckedOneByOneAndInHostMemoryTogether) {
  constexpr std::uint64_t mib = 1 << 20;
  MemoryPlan plan;
  plan.weights = 1000 * mib; // mapped: may exceed memory
  plan.process = 10 * mib;
  HeapPlan own{"gpu:0", 0, false};
  own.weights = 80 * mib;
  own.free = 100 * mib;
  HeapPlan host{"gpu:0", 1, true};
  host.staging = 30 * mib;
  host.free = 50 * mib;
  plan.heaps = {own, host};
  EXPECT_NO_THROW(check_fit(plan, 40 * mib));
  EXPECT_THROW(check_fit(plan, 39 * mib), Error);
  plan.heaps[0].scratch = 21 * mib;
  try {
    check_fit(plan, 40 * mib);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("101.0 MiB in heap 0 of gpu:0"));
    EXPECT_THAT(error.what(), HasSubstr("100.0 MiB are free: short by 1.0 MiB"));
  }
  plan.heaps[0].free = 0; // unknown
  EXPECT_NO_THROW(check_fit(plan, 40 * mib));
}

} // namespace
} // namespace seacliff::graph
