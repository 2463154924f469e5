// How products are divided over the workers: every element belongs to one of them, and none has much more than another.
#include "backends/cpu/ops/split.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace seacliff::cpu {
namespace {

/// The rectangles of all workers.
std::vector<Block2> rectangles(std::uint32_t workers, std::int64_t n, std::int64_t tokens) {
  std::vector<Block2> parts;
  for (std::uint32_t i = 0; i < workers; ++i) {
    scf_worker raw{};
    raw.index = i;
    raw.count = workers;
    parts.push_back(rectangle(sdk::Worker(&raw, nullptr), n, tokens));
  }
  return parts;
}
std::vector<Block2> pieces(std::uint32_t most, std::int64_t n, std::int64_t tokens) {
  const Pieces all = squares(most, n, tokens);
  EXPECT_LE(all.count(), most);
  std::vector<Block2> parts;
  for (std::int64_t i = 0; i < all.count(); ++i) parts.push_back(all.piece(i));
  return parts;
}
std::int64_t area(const Block2& b) { return (b.rows.end - b.rows.begin) * (b.tokens.end - b.tokens.begin); }

TEST(Split, EveryElementHasOneWorker) {
  for (const auto divide : {rectangles, pieces})
    for (const std::uint32_t workers : {1u, 2u, 3u, 6u, 7u, 16u})
      for (const std::int64_t n : {1, 24, 64, 100, 256, 1024})
        for (const std::int64_t tokens : {1, 64, 65, 300}) {
          std::vector<int> owners(static_cast<std::size_t>(n * tokens));
          for (const Block2& part : divide(workers, n, tokens))
            for (std::int64_t r = part.rows.begin; r < part.rows.end; ++r)
              for (std::int64_t t = part.tokens.begin; t < part.tokens.end; ++t)
                ++owners[static_cast<std::size_t>(r * tokens + t)];
          for (const int count : owners) ASSERT_EQ(count, 1) << workers << " workers, " << n << " x " << tokens;
        }
}

TEST(Split, SquaresOfAPrefillAreEven) {
  for (const std::uint32_t workers : {2u, 4u, 6u, 8u, 12u, 16u, 32u})
    for (const std::int64_t n : {64, 256, 512, 1024, 8192}) {
      std::int64_t most = 0, tokens = 2048;
      for (const Block2& part : pieces(workers, n, tokens)) most = std::max(most, area(part));
      EXPECT_LE(static_cast<double>(most * workers), 1.13 * static_cast<double>(n * tokens)) << workers << ", " << n;
    }
}

} // namespace
} // namespace seacliff::cpu
