// The same tokens give the same logits however they are fed: chunks, batches, snapshots, rewinds, other backends. On
// the CPU, or on the device that SEACLIFF_TEST_BACKEND names.
// To add a case: feed the tokens in another way and compare with the single pass.
#include "core/text/sampler.hpp"
#include "tests/e2e/nano.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace seacliff::test {
namespace {

void expect_equal_rows(std::span<const float> a, std::span<const float> b) {
  const Difference d = compare(a, b, k_vocab);
  EXPECT_LE(d.max_abs, 1e-4);
  EXPECT_EQ(d.top1, 1.0);
}

graph::ModelOptions slots(std::int64_t n) {
  graph::ModelOptions options = exact_options(backend_under_test());
  options.n_slots = n;
  return options;
}

std::vector<std::int32_t> text(std::size_t n) {
  std::vector<std::int32_t> ids = vector_named("text_1000").ids;
  ids.resize(n);
  return ids;
}

class Chunks : public testing::TestWithParam<std::int64_t> {};

TEST_P(Chunks, EqualOnePass) {
  const auto model = load("f32", slots(1));
  const auto ids = text(300);
  expect_equal_rows(all_logits(*model, ids), all_logits(*model, ids, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Equivalence, Chunks, testing::Values(1, 3, 64, 65, 128));

TEST(Equivalence, BatchedWithThreeOtherSequences) {
  const auto model = load("f32", slots(4));
  const std::vector<std::vector<std::int32_t>> ids{text(300), vector_named("chat_weather").ids,
                                                   vector_named("text_129").ids, vector_named("nobos_33").ids};
  std::vector<std::unique_ptr<graph::Session>> sessions;
  std::vector<graph::Feed> feeds;
  for (const auto& tokens : ids) {
    sessions.push_back(std::make_unique<graph::Session>(*model));
    feeds.push_back({sessions.back().get(), tokens, graph::Want::all});
  }
  std::vector<std::vector<float>> batched(ids.size());
  graph::feed(
      *model, feeds,
      [&](graph::Session& session, std::int64_t, std::span<const float> row) {
        auto& rows = batched[static_cast<std::size_t>(session.slot())];
        rows.insert(rows.end(), row.begin(), row.end());
      },
      37);
  sessions.clear();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SCOPED_TRACE(i);
    expect_equal_rows(all_logits(*model, ids[i]), batched[i]);
  }
}

TEST(Equivalence, SnapshotContinuesAlsoOnAnotherBackend) {
  const auto device = load("f32", slots(2)), reference = load("f32", exact_options("reference"));
  const auto ids = text(300);
  const std::vector<float> whole = all_logits(*device, ids);
  for (const std::size_t at : {3U, 4U, 63U, 64U, 127U, 128U, 129U, 255U}) {
    SCOPED_TRACE(at);
    graph::Session session(*device);
    const std::span<const std::int32_t> tokens(ids);
    all_logits(*device, session, tokens.first(at));
    const graph::Snapshot snapshot = session.snapshot();
    const std::size_t n = std::min<std::size_t>(12, ids.size() - at);
    const std::span<const float> expected(whole.data() + at * k_vocab, n * k_vocab);
    for (graph::Model* model : {device.get(), reference.get()}) {
      graph::Session other(*model);
      other.restore(snapshot);
      EXPECT_EQ(other.position(), static_cast<std::int64_t>(at));
      expect_equal_rows(expected, all_logits(*model, other, tokens.subspan(at, n)));
    }
  }
}

TEST(Equivalence, RewindToAnyEarlierToken) {
  const auto model = load("f32", slots(1));
  const auto ids = text(700);
  const std::span<const std::int32_t> tokens(ids);
  const std::vector<float> whole = all_logits(*model, ids);
  for (const std::size_t from : {200U, 700U}) {
    graph::Session session(*model);
    all_logits(*model, session, tokens.first(from));
    const graph::Snapshot there = session.snapshot();
    for (const std::size_t to : {0U, 1U, 3U, 4U, 5U, 63U, 64U, 65U, 127U, 128U, 129U, 131U, 137U, 190U, 199U, 200U}) {
      SCOPED_TRACE(testing::Message() << from << " -> " << to);
      session.restore(there);
      session.rewind(static_cast<std::int64_t>(to));
      EXPECT_EQ(session.position(), static_cast<std::int64_t>(to));
      const std::size_t n = 5;
      expect_equal_rows(std::span(whole).subspan(to * k_vocab, n * k_vocab),
                        all_logits(*model, session, tokens.subspan(to, n)));
    }
  }
}

TEST(Equivalence, RewindThenAnotherBranchForgetsTheFirst) {
  const auto model = load("f32", slots(1));
  const auto ids = text(400), other = vector_named("chat_weather").ids;
  std::vector<std::int32_t> branch(ids.begin(), ids.begin() + 150);
  branch.insert(branch.end(), other.begin(), other.begin() + 150);
  graph::Session session(*model);
  all_logits(*model, session, ids);
  session.rewind(150);
  const auto rows = all_logits(*model, session, std::span<const std::int32_t>(branch).subspan(150));
  const auto fresh = load("f32", slots(1));
  const auto whole = all_logits(*fresh, branch);
  expect_equal_rows(std::span(whole).subspan(150 * k_vocab), rows);
}

TEST(Equivalence, CheckpointsCarryAFarRewind) {
  graph::ModelOptions options = slots(1);
  options.max_ctx = 4096;
  const auto model = load("f32", options);
  std::vector<std::int32_t> ids = vector_named("text_1500").ids;
  ids.insert(ids.end(), ids.begin(), ids.end());
  const std::span<const std::int32_t> tokens(ids);
  graph::Session session(*model);
  const std::vector<float> whole = all_logits(*model, session, tokens);
  for (const std::int64_t to : {2500, 2049, 2048, 1030, 1000}) {
    session.rewind(to);
    const auto at = static_cast<std::size_t>(to);
    expect_equal_rows(std::span(whole).subspan(at * k_vocab, 5 * k_vocab),
                      all_logits(*model, session, tokens.subspan(at, 5)));
  }
}

} // namespace
} // namespace seacliff::test
