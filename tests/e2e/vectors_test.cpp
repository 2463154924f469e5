// Logits and greedy continuations against the reference vectors of models/nano (transformers, float32).
// To add a check: take a model with load(recipe, options) and compare with vectors().
#include "core/text/sampler.hpp"
#include "tests/e2e/nano.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

namespace seacliff::test {
namespace {

std::vector<float> rows_at(const std::vector<float>& all, const std::vector<std::int64_t>& positions) {
  std::vector<float> rows;
  for (const std::int64_t p : positions) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(p) * static_cast<std::ptrdiff_t>(k_vocab);
    rows.insert(rows.end(), begin, begin + static_cast<std::ptrdiff_t>(k_vocab));
  }
  return rows;
}

std::vector<std::int32_t> continue_greedily(graph::Model& model, graph::Session& session, std::int32_t first,
                                            std::size_t n) {
  std::vector<std::int32_t> tokens{first};
  while (tokens.size() < n) {
    const graph::Feed feed{&session, {&tokens.back(), 1}, graph::Want::last};
    std::int32_t next = -1;
    graph::feed(model, {&feed, 1},
                [&](graph::Session&, std::int64_t, std::span<const float> row) { next = greedy(row); });
    tokens.push_back(next);
  }
  return tokens;
}

/// All prompts on one backend; `slack` widens the gates of the float32 file.
void check_vectors(const std::string& recipe, const std::string& backend, double slack) {
  const auto model = load(recipe, exact_options(backend));
  double worst = 0;
  for (const Vector& v : vectors()) {
    SCOPED_TRACE(v.name);
    graph::Session session(*model);
    const std::vector<float> all = all_logits(*model, session, v.ids);
    const Difference d = compare(v.logits, rows_at(all, v.positions), k_vocab);
    EXPECT_LE(d.max_abs, 2e-3 * slack);
    EXPECT_LE(d.median_rel, 1e-4 * slack);
    worst = std::max(worst, d.max_abs);
    const std::span<const float> last(all.data() + all.size() - k_vocab, k_vocab);
    EXPECT_THAT(continue_greedily(*model, session, greedy(last), v.greedy.size()), testing::ElementsAreArray(v.greedy));
  }
  std::cout << recipe << " on " << backend << ": largest difference " << worst << "\n";
}

TEST(Vectors, F32) { check_vectors("f32", backend_under_test(), 1); }
TEST(Vectors, F16) { check_vectors("f16", backend_under_test(), 10); }
TEST(Vectors, ReferenceF32) { check_vectors("f32", "reference", 1); }

TEST(Vectors, HeldOutPerplexity) {
  const auto model = load("f32", exact_options(backend_under_test()));
  double sum = 0;
  std::size_t scored = 0;
  for (const auto& window : heldout_windows(20)) {
    const std::vector<float> logits = all_logits(*model, window);
    for (std::size_t t = 0; t + 1 < window.size(); ++t, ++scored) {
      const std::span<const float> row(logits.data() + t * k_vocab, k_vocab);
      double norm = 0;
      for (const float l : row) norm += std::exp(static_cast<double>(l));
      sum += std::log(norm) - static_cast<double>(row[static_cast<std::size_t>(window[t + 1])]);
    }
  }
  EXPECT_EQ(scored, 20460U);
  EXPECT_NEAR(std::exp(sum / static_cast<double>(scored)), 31.1025, 31.1025e-3);
}

} // namespace
} // namespace seacliff::test
