// What quantised files and the default mode lose against the exact logits: KL divergence and top-1 agreement.
// To add a recipe: make its file in CMakeLists.txt and give it a line with its bound.
#include "tests/e2e/nano.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace seacliff::test {
namespace {

constexpr std::size_t k_windows = 4;

const std::vector<float>& exact_logits() {
  static const std::vector<float> rows = [] {
    const auto model = load("f32", exact_options(backend_under_test()));
    std::vector<float> all;
    for (const auto& window : heldout_windows(k_windows)) {
      const auto part = all_logits(*model, window);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return rows;
}

Difference loss(const std::string& recipe, const graph::ModelOptions& options) {
  const auto model = load(recipe, options);
  std::vector<float> all;
  for (const auto& window : heldout_windows(k_windows)) {
    const auto part = all_logits(*model, window);
    all.insert(all.end(), part.begin(), part.end());
  }
  const Difference d = compare(exact_logits(), all, k_vocab);
  std::cout << recipe << ": mean KL " << d.mean_kl << ", top-1 agreement " << d.top1 << " over " << d.rows << " rows\n";
  return d;
}

// Files with only the routed experts quantised, the rest F16 or F32; bounds are what other encoders reach.
TEST(Recipes, ExpertsQ8_0) { EXPECT_LE(loss("f16-experts-q8_0", exact_options(backend_under_test())).mean_kl, 6e-4); }
TEST(Recipes, ExpertsQ4_K) { EXPECT_LE(loss("f16-experts-q4_k", exact_options(backend_under_test())).mean_kl, 0.015); }
TEST(Recipes, ExpertsQ2_K) { EXPECT_LE(loss("f16-experts-q2_k", exact_options(backend_under_test())).mean_kl, 0.35); }

TEST(Recipes, Mxfp4OfAnFp4SourceLosesNothing) {
  const Difference d = loss("f32-experts-mxfp4", exact_options(backend_under_test()));
  EXPECT_LE(d.max_abs, 1e-3);
  EXPECT_EQ(d.top1, 1.0);
}

// kv8, idx4 and int8 activations, as a user runs it. The KL bounds are the measured losses with room for other CPUs.
TEST(Recipes, DefaultModeOfTheQ8File) {
  graph::ModelOptions options;
  options.max_ctx = 2048;
  options.backends = backend_under_test();
  const Difference d = loss("q8", options);
  EXPECT_LE(d.mean_kl, 0.02);
  EXPECT_GE(d.top1, 0.92);
}

TEST(Recipes, DefaultModeOfTheQ4File) {
  graph::ModelOptions options;
  options.max_ctx = 2048;
  options.backends = backend_under_test();
  const Difference d = loss("q4", options);
  EXPECT_LE(d.mean_kl, 0.04);
  EXPECT_GE(d.top1, 0.88);
}

} // namespace
} // namespace seacliff::test
