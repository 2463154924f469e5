// The reference kernels: golden values, laws, one worker against several, token by token against one batch. To add a
// golden value, put it in tests/data/golden.json and say here how its inputs are drawn.
#include "ops/cases/data.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"
#include "tests/unit/ops/op_names.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>

namespace seacliff::ops {
namespace {

Outputs run(const Case& test, std::uint32_t workers = 1) {
  return run_kernel(*reference::find_kernel(test.op), test, workers);
}

std::vector<float> golden(const std::string& key) {
  std::ifstream file(SEACLIFF_TEST_DATA "/golden.json");
  return nlohmann::json::parse(file).at(key).get<std::vector<float>>();
}

/// The generator behind the golden values.
class Draw {
public:
  explicit Draw(std::uint32_t seed) : state_(seed) {}
  float operator()(float amplitude) {
    state_ = state_ * 1664525u + 1013904223u;
    return (static_cast<float>(state_ >> 8) / 16777216.0f - 0.5f) * amplitude;
  }
  std::vector<float> list(std::size_t count, float amplitude) {
    std::vector<float> values(count);
    for (float& v : values) v = (*this)(amplitude);
    return values;
  }

private:
  std::uint32_t state_;
};

void expect_near(std::span<const float> got, std::span<const float> want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << "element " << i;
}

TEST(ReferenceGolden, HyperConnections) {
  Draw draw(1);
  const std::vector<float> m = draw.list(24, 4), base = draw.list(24, 2), scale = {0.7f, 1.3f, 2.0f};
  const Attrs attrs{{"iters", std::int64_t{20}}, {"eps", 1e-6}};
  CaseBuilder split("hc_split", "golden", 1, attrs);
  split.f32({split.T(), n(24)}, m).f32({n(24)}, base).f32({n(3)}, scale);
  const Outputs gates = run(split.build());
  std::vector<float> all;
  for (const CaseValue& gate : gates)
    for (const float v : gate.as<float>()) all.push_back(v);
  expect_near(all, golden("hc_split"), 1e-6);

  CaseBuilder post("hc_post", "golden", 1);
  const std::vector<float> streams = draw.list(32, 2), y = draw.list(8, 2);
  post.f32({post.T(), n(4), n(8)}, streams).f32({post.T(), n(8)}, y);
  post.f32({post.T(), n(4)}, {all.begin() + 4, all.begin() + 8});
  post.f32({post.T(), n(4), n(4)}, {all.begin() + 8, all.end()});
  expect_near(run(post.build())[0].as<float>(), golden("hc_post"), 2e-6);
}

TEST(ReferenceGolden, Rope) {
  const std::vector<float> x = Draw(2).list(512, 2);
  const Attrs plain{{"rot", std::int64_t{64}}, {"base", 10000.0}};
  Attrs yarn{{"rot", std::int64_t{64}}, {"base", 160000.0},  {"yarn", std::int64_t{1}}, {"factor", 16.0},
             {"orig_ctx", 65536.0},     {"beta_fast", 32.0}, {"beta_slow", 1.0}};
  const auto rotate = [](const Attrs& attrs, const std::vector<float>& row) {
    CaseBuilder b("rope_tail", "golden", 1, attrs);
    b.f32({b.T(), n(512)}, row).i32({b.T()}, {12345});
    const Case test = b.build();
    const Outputs out = run(test);
    const std::span<const float> got = out[0].as<float>();
    return std::vector<float>(got.begin(), got.end());
  };
  const auto tail = [](const std::vector<float>& row) { return std::vector<float>(row.end() - 64, row.end()); };
  // The golden values come from angles that were multiplied up in f32.
  expect_near(tail(rotate(plain, x)), golden("rope_plain_12345_tail"), 1e-3);
  const std::vector<float> turned = rotate(yarn, x);
  expect_near(tail(turned), golden("rope_comp_12345_tail"), 1e-3);
  for (std::size_t i = 0; i < 448; ++i) ASSERT_EQ(turned[i], x[i]);
  yarn.set("inverse", std::int64_t{1});
  expect_near(rotate(yarn, turned), x, 5e-7);
}

TEST(ReferenceGolden, RoundTripsAreExact) {
  Draw draw(3);
  std::vector<float> x(512);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float a = draw(2);
    x[i] = a * a * a * (i % 7 == 0 ? 40.0f : 1.0f);
  }
  CaseBuilder kv("kv_round", "golden", 1, {{"rot", std::int64_t{64}}, {"kv8", std::int64_t{1}}});
  expect_near(run(kv.f32({kv.T(), n(512)}, x).build())[0].as<float>(), golden("kv8"), 0);
  CaseBuilder index("index_round", "golden", 1, {{"idx4", std::int64_t{1}}});
  index.f32({index.T(), n(128)}, Draw(4).list(128, 2));
  expect_near(run(index.build())[0].as<float>(), golden("idx4"), 0);
}

TEST(ReferenceGolden, PoolOfRatioFour) {
  Draw draw(5);
  const std::vector<float> kv = draw.list(8 * 16, 2), score = draw.list(8 * 16, 6);
  const Runs runs = {{0, 0, 8}};
  CaseBuilder b("compress_pool", "golden", 8, {{"ratio", std::int64_t{4}}});
  b.f32({b.T(), n(16)}, kv).f32({b.T(), n(16)}, score).f32({n(4), n(16)}, std::vector<float>(64, 0.0f));
  b.state(DType::f32, {n(1), n(8), n(2), n(16)}, 1.0, [](auto, auto) { return false; }).batch(runs);
  const Outputs out = run(b.build());
  expect_near(out[0].as<float>().subspan(7 * 8, 8), golden("pool_ratio4_hd8"), 1e-6);
  for (const std::size_t t : {0, 1, 2, 4, 5, 6}) // rows that end no window are zero
    expect_near(out[0].as<float>().subspan(t * 8, 8), std::vector<float>(8, 0.0f), 0);

  // The second window alone, as the first one of a sequence.
  CaseBuilder first("compress_pool", "golden, first window", 4, {{"ratio", std::int64_t{4}}});
  first.f32({first.T(), n(16)}, {kv.begin() + 64, kv.end()}).f32({first.T(), n(16)}, {score.begin() + 64, score.end()});
  first.f32({n(4), n(16)}, std::vector<float>(64, 0.0f));
  first.state(DType::f32, {n(1), n(8), n(2), n(16)}, 1.0, [](auto, auto) { return false; }).batch({{0, 0, 4}});
  expect_near(run(first.build())[0].as<float>().subspan(3 * 8, 8), golden("pool_ratio4_hd8_first"), 1e-6);
}

TEST(ReferenceGolden, SqrtSoftplus) {
  CaseBuilder b("sqrt_softplus", "golden", 1);
  b.f32({b.T(), n(6)}, {-30, -5, 0, 1, 5, 25});
  const Outputs out = run(b.build());
  const std::vector<float> want = golden("sqrtsoftplus");
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(out[0].as<float>()[i], want[i], 1e-6 * want[i] + 1e-12);
}

TEST(ReferenceLaws, NeutralHyperConnection) { // no logits: equal gates, equal mixing
  CaseBuilder b("hc_split", "zero", 1, {{"iters", std::int64_t{20}}, {"eps", 1e-6}});
  b.f32({b.T(), n(24)}, std::vector<float>(24, 0.0f)).f32({n(24)}, std::vector<float>(24, 0.0f)).f32({n(3)}, {1, 1, 1});
  const Outputs out = run(b.build());
  expect_near(out[0].as<float>(), std::vector<float>(4, 0.5f + 1e-6f), 1e-7);
  expect_near(out[1].as<float>(), std::vector<float>(4, 1.0f), 1e-7);
  expect_near(out[2].as<float>(), std::vector<float>(16, 0.25f), 1e-5);
}

TEST(ReferenceLaws, TiesGoToTheLowerIndex) {
  CaseBuilder b("top_k", "ties", 2, {{"k", std::int64_t{3}}});
  b.f32({b.T(), n(5)}, {1, 3, 3, 3, 3, 0, 0, 0, 0, 7}).absent();
  const Outputs out = run(b.build());
  EXPECT_TRUE(std::ranges::equal(out[0].as<std::int32_t>(), std::vector<std::int32_t>{1, 2, 3, 4, 0, 1}));
  CaseBuilder rows("top_k_rows", "ties", 2, {{"k", std::int64_t{3}}});
  const float hidden = -INFINITY;
  rows.f32({rows.T(), n(5)}, {1, 3, 2, 2, 2, 5, 4, hidden, hidden, hidden});
  EXPECT_TRUE(
      std::ranges::equal(run(rows.build())[0].as<std::int32_t>(), std::vector<std::int32_t>{1, 2, 3, 0, 1, -1}));
}

TEST(ReferenceLaws, AttentionOfTheFirstTokenSeesItselfAndTheSink) {
  CaseBuilder b("attention_mixed", "first", 1, {{"window", std::int64_t{4}}, {"scale", 0.5}});
  b.f32({b.T(), n(1), n(2)}, {2, 1}).f32({b.T(), n(2)}, {3, -1});
  b.state(DType::f32, {n(1), n(4), n(2)}, 1.0, [](auto, auto) { return false; }).absent().absent();
  b.f32({n(1)}, {0.25f}).batch({{0, 0, 1}});
  const Outputs out = run(b.build());
  const double share = 1.0 / (1.0 + std::exp(0.25 - 2.5)); // the score is (2·3 - 1)·0.5
  EXPECT_NEAR(out[0].as<float>()[0], 3 * share, 1e-6);
  EXPECT_NEAR(out[0].as<float>()[1], -share, 1e-6);
  EXPECT_EQ(out[1].as<float>()[0], 3.0f);
  EXPECT_EQ(out[1].as<float>()[2], 1000.0f); // the other rows stay
}

TEST(ReferenceLaws, AttentionFromTheWholeHistory) { // the definition, straight from all rows ever seen
  constexpr std::int64_t tokens = 41, window = 8, ratio = 4, width = 6, heads = 2;
  Attrs attrs{{"window", window}, {"ratio", ratio}, {"scale", 0.4}};
  CaseBuilder b("attention_mixed", "history", tokens, attrs);
  b.activations({b.T(), n(heads), n(width)}, 2.0).activations({b.T(), n(width)});
  b.state(DType::f32, {n(1), n(window), n(width)}, 1.0, [](auto, auto) { return false; });
  b.state(DType::f32, {n(1), n(12), n(width)}, 1.0, [](auto, auto row) { return row < tokens / ratio; });
  b.absent().activations({n(heads)}).batch({{0, 0, tokens}});
  const Case test = b.build();
  const std::span<const float> q = test.inputs[0].as<float>(), k = test.inputs[1].as<float>(),
                               cache = test.inputs[3].as<float>(), sinks = test.inputs[5].as<float>();
  const Outputs out = run(test);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t h = 0; h < heads; ++h) {
      std::vector<std::span<const float>> rows;
      for (std::size_t p = t < window ? 0 : t - window + 1; p <= t; ++p) rows.push_back(k.subspan(p * width, width));
      for (std::size_t c = 0; ratio * (c + 1) <= t + 1; ++c) rows.push_back(cache.subspan(c * width, width));
      double sum = std::exp(static_cast<double>(sinks[h]));
      std::vector<double> mixed(width, 0.0);
      for (const std::span<const float> row : rows) {
        double score = 0;
        for (std::size_t d = 0; d < width; ++d) score += static_cast<double>(q[(t * heads + h) * width + d]) * row[d];
        const double e = std::exp(score * 0.4);
        sum += e;
        for (std::size_t d = 0; d < width; ++d) mixed[d] += e * row[d];
      }
      for (std::size_t d = 0; d < width; ++d)
        ASSERT_NEAR(out[0].as<float>()[(t * heads + h) * width + d], mixed[d] / sum, 1e-5) << "token " << t;
    }
}

TEST(ReferenceLaws, IdsThatNameNothingGiveZeros) {
  CaseBuilder b("gather_rows", "bad ids", 3);
  b.activations({n(2), n(4)}).i32({b.T()}, {-1, 2, 1});
  const Outputs out = run(b.build());
  expect_near(out[0].as<float>().first(8), std::vector<float>(8, 0.0f), 0);
  EXPECT_NE(out[0].as<float>()[8], 0.0f);
}

class ReferenceKernel : public ::testing::TestWithParam<std::string> {};

TEST_P(ReferenceKernel, FourWorkersDoWhatOneDoes) {
  for (const Case& test : cases_for(GetParam())) {
    const Outputs alone = run(test), team = run(test, 4);
    ASSERT_EQ(alone.size(), team.size());
    for (std::size_t o = 0; o < alone.size(); ++o)
      EXPECT_TRUE(alone[o].same_data(team[o])) << test.name << ", output " << find_schema(test.op)->outputs[o];
    for (std::size_t o = 0; o < alone.size(); ++o) { // every element was written: outputs start as NaN or -1
      if (alone[o].type.dtype != DType::f32) continue;
      for (const float v : alone[o].as<float>()) ASSERT_FALSE(std::isnan(v)) << test.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, ReferenceKernel, ::testing::ValuesIn(op_names()),
                         [](const auto& instance) { return instance.param; });

/// The part of a case that is token `t` alone, on the STATEs given.
Case one_token(const Case& test, std::int64_t t, const std::vector<CaseValue>& states) {
  Case step{test.op, test.name, test.attrs, 1, {}};
  const Schema& schema = *find_schema(test.op);
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    const CaseValue& whole = test.inputs[i];
    if (whole.role == SCF_ROLE_STATE || !whole.present() || whole.type.dims[0].sym != k_case_tokens) {
      step.inputs.push_back(whole.role == SCF_ROLE_STATE ? states[i] : whole);
      continue;
    }
    CaseValue part = whole;
    const std::size_t stride = whole.data.size() / static_cast<std::size_t>(test.tokens);
    const auto from = whole.data.begin() + static_cast<std::ptrdiff_t>(stride) * t;
    part.type.dims[0].max = 1;
    part.data.assign(from, from + static_cast<std::ptrdiff_t>(stride));
    if (schema.inputs[i] == "seq") {
      part.as<std::int32_t>()[1] = 0;
      part.as<std::int32_t>()[2] = 0;
    }
    step.inputs.push_back(std::move(part));
  }
  return step;
}

class Streaming : public ::testing::TestWithParam<std::string> {};

TEST_P(Streaming, TokenByTokenIsOneBatch) {
  const Schema& schema = *find_schema(GetParam());
  for (const Case& test : cases_for(GetParam())) {
    const Outputs batch = run(test);
    std::vector<CaseValue> states = test.inputs;
    Outputs streamed(batch.size());
    for (std::int64_t t = 0; t < test.tokens; ++t) {
      const Outputs step = run(one_token(test, t, states));
      for (std::size_t o = 0; o < step.size(); ++o) {
        if (const int alias = schema.alias_of(o); alias >= 0) {
          states[static_cast<std::size_t>(alias)] = streamed[o] = step[o];
        } else {
          streamed[o].data.insert(streamed[o].data.end(), step[o].data.begin(), step[o].data.end());
        }
      }
    }
    for (std::size_t o = 0; o < batch.size(); ++o)
      EXPECT_TRUE(batch[o].same_data(streamed[o])) << test.name << ", output " << schema.outputs[o];
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Streaming,
                         ::testing::Values("compress_pool", "cache_append", "compress", "ring_write", "attention_mixed",
                                           "index_score", "index_select", "moe_experts", "hc_pre"),
                         [](const auto& instance) { return std::string(instance.param); });

// The comparison itself: it must notice what is wrong.
class Mismatch : public ::testing::TestWithParam<std::string> {};

TEST_P(Mismatch, IsFoundInEveryOutput) {
  const auto kernels = reference::reference_kernels();
  const Case test = cases_for(GetParam()).back();
  const Outputs good = run(test);
  EXPECT_FALSE(find_mismatch(test, good, good, kernels));
  for (std::size_t o = 0; o < good.size(); ++o) {
    Outputs bad = good;
    if (bad[o].type.dtype == DType::i32)
      bad[o].as<std::int32_t>()[0] += 1 << 20;
    else if (bad[o].type.dtype == DType::f32)
      bad[o].as<float>()[0] += 100.0f;
    else
      bad[o].as<std::uint16_t>()[0] ^= 0x4000;
    EXPECT_TRUE(find_mismatch(test, good, bad, kernels)) << "output " << o;
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, Mismatch, ::testing::ValuesIn(op_names()),
                         [](const auto& instance) { return instance.param; });

TEST(NearTies, AnEqualScoreMayBeTakenInstead) {
  const auto kernels = reference::reference_kernels();
  CaseBuilder b("top_k", "near tie", 1, {{"k", std::int64_t{2}}});
  b.f32({b.T(), n(4)}, {0.0f, 1.0f, 1.0000001f, 5.0f}).absent();
  const Case test = b.build();
  const Outputs good = run(test);
  Outputs other = good;
  other[0].as<std::int32_t>()[1] = 1; // 1 instead of 1.0000001
  EXPECT_FALSE(find_mismatch(test, good, other, kernels));
  other[0].as<std::int32_t>()[1] = 0;
  EXPECT_TRUE(find_mismatch(test, good, other, kernels));
  other[0].as<std::int32_t>()[1] = 3; // twice the same
  EXPECT_TRUE(find_mismatch(test, good, other, kernels));
}

} // namespace
} // namespace seacliff::ops
