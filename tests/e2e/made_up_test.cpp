// Contexts that nobody computed: the snapshot, and `--fill` of bench and profile. To add a test, write a TEST; nano's
// files are made before.
#include "graph/run/made_up.hpp"
#include "tests/e2e/nano.hpp"
#include "tests/e2e/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <numeric>
#include <set>

namespace seacliff::test {
namespace {

std::vector<std::int32_t> some_tokens(std::size_t n) {
  std::vector<std::int32_t> tokens(n);
  std::iota(tokens.begin(), tokens.end(), 3);
  for (std::int32_t& token : tokens) token %= 500;
  return tokens;
}

graph::ModelOptions with_context(std::int64_t ctx, bool exact) {
  graph::ModelOptions options;
  options.max_ctx = ctx;
  options.exact = exact;
  options.n_slots = 2;
  return options;
}

TEST(MadeUp, FitsTheModelAndComputesOn) {
  for (const bool exact : {false, true}) {
    const auto model = load("q4", with_context(2000, exact));
    const auto tokens = some_tokens(1501);
    const graph::Snapshot made_up = graph::made_up_snapshot(*model, tokens, 7);
    graph::Session session(*model), other(*model);
    session.restore(made_up);
    other.restore(made_up);
    EXPECT_EQ(session.position(), 1501);
    const auto next = some_tokens(40);
    const std::vector<float> together = all_logits(*model, session, next);
    for (const float v : together) ASSERT_TRUE(std::isfinite(v));
    EXPECT_EQ(together, all_logits(*model, other, next));
    session.rewind(1510); // the rings hold what a real context would have
    EXPECT_EQ(session.position(), 1510);
  }
}

TEST(MadeUp, IsRandomAndTheSameForASeed) {
  const auto model = load("q4", with_context(600, false));
  const auto tokens = some_tokens(600);
  const graph::Snapshot a = graph::made_up_snapshot(*model, tokens, 1), b = graph::made_up_snapshot(*model, tokens, 1),
                        c = graph::made_up_snapshot(*model, tokens, 2);
  ASSERT_EQ(a.parts.size(), model->states().size());
  std::set<std::vector<std::byte>> contents;
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    EXPECT_EQ(a.parts[i].data, b.parts[i].data) << a.parts[i].name;
    if (a.parts[i].data.size() < 16) continue;
    EXPECT_NE(a.parts[i].data, c.parts[i].data) << a.parts[i].name;
    EXPECT_TRUE(contents.insert(a.parts[i].data).second) << a.parts[i].name << " is like another state";
  }
}

TEST(MadeUp, RefusesWhatTheContextCannotHold) {
  const auto model = load("q4", with_context(100, false));
  EXPECT_THROW(graph::made_up_snapshot(*model, some_tokens(101), 1), Error);
  EXPECT_EQ(graph::made_up_snapshot(*model, {}, 1).tokens.size(), 0U);
}

TEST(MadeUp, BenchAndProfileReachAnyDepthAtOnce) {
  const Ran bench = seacliff({"bench", "-m", nano_gguf("q4"), "--pp", "0", "--tg", "2", "--depth", "0,7000,300",
                              "--sequences", "1,2", "--fill", "-r", "1", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  std::vector<int> depths;
  const auto report = nlohmann::json::parse(bench.out);
  for (const auto& r : report["results"]) depths.push_back(r["depth"].get<int>());
  EXPECT_THAT(depths, testing::ElementsAre(0, 0, 300, 300, 7000, 7000));

  const Ran profile = seacliff(
      {"profile", "-m", nano_gguf("q4"), "--pp", "8", "--tg", "2", "--depth", "7000", "--fill", "-r", "1", "--json"});
  ASSERT_EQ(profile.exit_code, 0) << profile.err;
  EXPECT_EQ(nlohmann::json::parse(profile.out)["phases"][1]["depth"], 7000);

  EXPECT_EQ(seacliff({"bench", "-m", nano_gguf("q4"), "--fill", "--ctx-start", "10", "--ctx-max", "20"}).exit_code, 2);
}

} // namespace
} // namespace seacliff::test
