// Ops taken away from the cpu backend one by one still give the same logits, and the summary says where they went.
#include "tests/e2e/nano.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seacliff::test {
namespace {

class Deny : public testing::TestWithParam<const char*> {};

TEST_P(Deny, OpOnCpuKeepsTheLogits) {
  const std::string op = GetParam();
  const auto& ids = vector_named("chat_weather").ids;
  const std::span<const std::int32_t> tokens(ids.data(), 200);
  static const std::vector<float> expected = all_logits(*load("f32", exact_options("cpu")), tokens);

  graph::ModelOptions options = exact_options("cpu");
  options.deny.push_back(graph::DenyRule::parse(op + "@cpu"));
  const auto model = load("f32", options);
  const Difference d = compare(expected, all_logits(*model, tokens), k_vocab);
  EXPECT_LE(d.max_abs, 1e-3);
  EXPECT_THAT(model->placement().summary(), testing::HasSubstr(op));
  EXPECT_THAT(model->placement().summary(), testing::HasSubstr("denied by --deny"));

  options.strict = true;
  EXPECT_THROW(load("f32", options), graph::StrictRefusal);
}

INSTANTIATE_TEST_SUITE_P(Placement, Deny,
                         testing::Values("hc_pre", "hc_post", "hc_head", "compress", "index_select", "attention_mixed",
                                         "attn_out_grouped", "route", "moe_experts", "shared_expert", "matmul",
                                         "rms_norm"));

TEST(Placement, WholeModelRunsOnCpuWithoutFallback) {
  graph::ModelOptions options = exact_options("cpu");
  options.strict = true;
  EXPECT_TRUE(load("f32", options)->placement().fallbacks.empty());
}

TEST(Placement, BadRulesAreNamed) {
  EXPECT_THROW(graph::DenyRule::parse("moe_experts"), Error);
  EXPECT_THROW(graph::DenyRule::parse("no_such_op@cpu"), Error);
}

} // namespace
} // namespace seacliff::test
