// The sampler against numbers worked out by hand (or with exact integer arithmetic, for the generator).
// To add a case: logits, options and the ids that the uniforms of `Rng(seed)` must select; `frequencies` when the order
// of drawing does not matter.
#include "core/base/status.hpp"
#include "core/text/sampler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace seacliff {
namespace {

using ::testing::ElementsAre;

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Logits whose softmax at temperature 1 is proportional to `weights`.
std::vector<float> logits_of(const std::vector<double>& weights) {
  std::vector<float> out;
  for (const double w : weights) out.push_back(static_cast<float>(std::log(w)));
  return out;
}

/// Shares of the ids over many draws.
std::map<std::int32_t, double> frequencies(const std::vector<float>& logits, SamplerOptions options) {
  options.seed = 42;
  Sampler sampler(options);
  std::map<std::int32_t, double> out;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) out[sampler.sample(logits)] += 1.0 / n;
  return out;
}

TEST(Rng, Sequence) {
  Rng one(1);
  EXPECT_EQ(one.next(), 0x47e4ce4b896cdd1du);
  EXPECT_EQ(one.next(), 0xabcfa6a8e079651du);
  EXPECT_EQ(one.next(), 0xb9d10d8feb731f57u);
  EXPECT_EQ(one.next(), 0x4db418a0bb1b019du);
  Rng zero(0), golden(0x9e3779b97f4a7c15u);
  EXPECT_EQ(zero.next(), 0xd83b3e29a21487au);
  EXPECT_EQ(golden.next(), 0xd83b3e29a21487au);
}

TEST(Rng, UniformIsTheTop24Bits) {
  Rng numbers(12345), uniforms(12345);
  for (int i = 0; i < 1000; ++i) {
    const float u = uniforms.uniform();
    EXPECT_EQ(u, static_cast<float>(static_cast<double>((numbers.next() >> 40) & 0xffffff) / 16777216.0));
    EXPECT_GE(u, 0.0f);
    EXPECT_LT(u, 1.0f);
  }
}

TEST(Greedy, LowestIdOnTies) {
  EXPECT_EQ(greedy(std::vector<float>{1, 3, 2, 3}), 1);
  EXPECT_EQ(greedy(std::vector<float>{nan, inf, -5, -inf, -4}), 4);
  EXPECT_EQ(greedy(std::vector<float>{nan, inf}), -1);
  EXPECT_EQ(greedy({}), -1);
}

TEST(Sampler, TemperatureZeroTakesTheLargestAndNoRandomNumber) {
  for (const double t : {0.0, -1.0}) {
    Sampler sampler({.temperature = t, .seed = 9});
    for (int i = 0; i < 20; ++i) EXPECT_EQ(sampler.sample(std::vector<float>{1, 5, 5, 2}), 1);
  }
}

TEST(Sampler, DrawsInVocabularyOrder) {
  // Cumulated shares 0.1, 0.4, 0.6, 1: the uniforms of seed 1 select by these edges.
  const auto logits = logits_of({1, 3, 2, 4});
  Sampler sampler({.min_p = 0, .seed = 1});
  Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    const double u = rng.uniform();
    EXPECT_EQ(sampler.sample(logits), u <= 0.1 ? 0 : u <= 0.4 ? 1 : u <= 0.6 ? 2 : 3) << u;
  }
}

TEST(Sampler, TopPDrawsInSortedOrder) {
  // Sorted: id 3 (0.4), 1 (0.3), 2 (0.2), 0 (0.1). top_p 0.65 keeps 3 and 1: shares 4/7 and 3/7.
  const auto logits = logits_of({1, 3, 2, 4});
  Sampler sampler({.top_p = 0.65, .min_p = 0, .seed = 1});
  Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    const double u = rng.uniform();
    EXPECT_EQ(sampler.sample(logits), u <= 4.0 / 7 ? 3 : 1) << u;
  }
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  const auto logits = logits_of({10, 4.9, 5.1, 85});
  auto f = frequencies(logits, {.min_p = 0.05});
  EXPECT_EQ(f.size(), 4u);
  f = frequencies(logits, {.min_p = 0.059}); // the cut is 5.015
  EXPECT_EQ(f.size(), 3u);
  EXPECT_EQ(f.count(1), 0u);
  EXPECT_NEAR(f[0], 10 / 100.1, 0.01);
  f = frequencies(logits, {.min_p = 2}); // the likeliest always stays
  EXPECT_EQ(f.size(), 1u);
  EXPECT_EQ(f.count(3), 1u);
}

TEST(Sampler, TemperatureSharpens) {
  auto f = frequencies(logits_of({1, 2}), {.temperature = 0.5, .min_p = 0}); // weights 1 and 4
  EXPECT_NEAR(f[0], 0.2, 0.01);
  f = frequencies(logits_of({1, 4}), {.temperature = 2, .min_p = 0}); // weights 1 and 2
  EXPECT_NEAR(f[0], 1.0 / 3, 0.01);
}

TEST(Sampler, TopPCountsTheWholeVocabulary) {
  // min_p cuts ids 2 and 3, but the share of id 0 stays 0.5 of everything: top_p 0.7 still needs id 1.
  const auto logits = logits_of({50, 30, 10, 10});
  auto f = frequencies(logits, {.top_p = 0.7, .min_p = 0.3});
  EXPECT_EQ(f.size(), 2u);
  EXPECT_NEAR(f[0], 5.0 / 8, 0.01);
  f = frequencies(logits, {.top_p = 0.49, .min_p = 0});
  EXPECT_EQ(f.size(), 1u);
  f = frequencies(logits, {.top_p = 0, .min_p = 0}); // the first always stays
  EXPECT_EQ(f.size(), 1u);
}

TEST(Sampler, TopK) {
  const auto logits = logits_of({10, 40, 10, 30, 10});
  auto f = frequencies(logits, {.min_p = 0, .top_k = 3}); // the earlier of the equal ones
  EXPECT_EQ(f.size(), 3u);
  EXPECT_NEAR(f[1], 0.5, 0.01);
  EXPECT_NEAR(f[0], 0.125, 0.01);
  f = frequencies(logits, {.top_p = 0.55, .min_p = 0, .top_k = 3}); // shares within the three: 0.5, 0.375
  EXPECT_EQ(f.size(), 2u);
  f = frequencies(logits, {.min_p = 0.5, .top_k = 4});
  EXPECT_EQ(f.size(), 2u);
  f = frequencies(logits, {.min_p = 0, .top_k = 1000000});
  EXPECT_EQ(f.size(), 5u);
  const std::vector<float> flat(3000, 1.0f);
  Sampler sampler({.min_p = 0, .top_k = 5000, .seed = 3});
  for (int i = 0; i < 2000; ++i) EXPECT_LT(sampler.sample(flat), 1024);
}

TEST(Sampler, SkipsWhatIsNotFinite) {
  const std::vector<float> logits = {nan, 1, inf, 1, -inf};
  for (const SamplerOptions& o : {SamplerOptions{}, SamplerOptions{.top_p = 0.9}, SamplerOptions{.top_k = 4}}) {
    const auto f = frequencies(logits, o);
    for (const auto& [id, share] : f) EXPECT_TRUE(id == 1 || id == 3) << id;
    EXPECT_EQ(f.size(), 2u);
  }
  Sampler sampler({});
  EXPECT_THROW(sampler.sample(std::vector<float>{nan, nan}), Error);
  EXPECT_THROW(sampler.sample({}), Error);
}

TEST(Sampler, ExtremeTemperaturesAndLogits) {
  for (const double t : {1e-300, 1e300}) {
    Sampler sampler({.temperature = t, .min_p = 0, .seed = 5});
    const std::int32_t id = sampler.sample(std::vector<float>{-3e38f, 3e38f});
    EXPECT_TRUE(id == 0 || id == 1);
    if (t < 1) {
      EXPECT_EQ(id, 1);
    }
  }
}

TEST(Sampler, RefusesOptionsThatAreNoNumbers) {
  EXPECT_THROW(Sampler({.temperature = std::nan("")}), Error);
  EXPECT_THROW(Sampler({.top_p = std::nan("")}), Error);
  EXPECT_THROW(Sampler({.min_p = std::numeric_limits<double>::infinity()}), Error);
}

TEST(Sampler, TheSameSeedGivesTheSameText) {
  const auto logits = logits_of({1, 2, 3, 4, 5, 6});
  Sampler a({.seed = 77}), b({.seed = 77});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.sample(logits), b.sample(logits));
}

} // namespace
} // namespace seacliff
