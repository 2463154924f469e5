// nano on a device whose memory is not the host's (tests/abi/plugins/far.cpp): weights, states and values of a step are
// carried, and nothing else changes. To add a kind of memory: a line in k_memories with options of that plugin.
#include "graph/run/made_up.hpp"
#include "tests/e2e/nano.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace seacliff::test {
namespace {

using testing::HasSubstr;

constexpr std::int64_t k_mib = 1 << 20;

std::shared_ptr<graph::Runtime> far_runtime(const plugins::Options& options, const std::string& library = "far") {
  graph::RuntimeOptions runtime;
  runtime.plugin_paths = {SEACLIFF_BINARY_DIR "/tests/wrong_plugins/" + library + ".so"};
  runtime.plugin_options["far"] = options;
  return std::make_shared<graph::Runtime>(runtime);
}

std::unique_ptr<graph::Model> load_far(const plugins::Options& memory, const graph::ModelOptions& options,
                                       const std::string& library = "far", const std::string& recipe = "q8") {
  return std::make_unique<graph::Model>(far_runtime(memory, library), GgufFile::open(nano_gguf(recipe)), options);
}

std::span<const std::int32_t> tokens(std::size_t n) { return {vector_named("text_1000").ids.data(), n}; }

/// Small steps, so that prefill needs several programs and many transfers.
graph::ModelOptions options(const std::string& backend) {
  graph::ModelOptions made = exact_options(backend);
  made.max_step = 64;
  made.max_ctx = 600;
  made.n_slots = 2;
  return made;
}

const std::vector<float>& reference_logits() {
  static const std::vector<float> logits = all_logits(*load("q8", options("reference")), tokens(100));
  return logits;
}

struct Memory {
  std::string name, library;
  plugins::Options options;
};
void PrintTo(const Memory& memory, std::ostream* out) { *out << memory.name; }

const std::vector<Memory> k_memories = {
    {"copies", "far", {}},
    {"mapped", "far", {{"mappable", std::int64_t{1}}}},
    {"small_buffers", "far", {{"max_alloc", 6 * k_mib}, {"bind_align", std::int64_t{256}}}},
    {"asynchronous", "far_async", {{"bind_align", std::int64_t{256}}}},
    {"pinned", "far_async", {{"pinned", std::int64_t{1}}}},
    {"asynchronous_mapped", "far_async", {{"mappable", std::int64_t{1}}}},
};

class FarMemory : public testing::TestWithParam<Memory> {};

TEST_P(FarMemory, SameLogits) {
  const auto model = load_far(GetParam().options, options("far"), GetParam().library);
  EXPECT_EQ(all_logits(*model, tokens(100)), reference_logits());
  EXPECT_EQ(model->memory().state, 0u);
  EXPECT_EQ(model->memory().weights, 0u);
  ASSERT_FALSE(model->memory().heaps.empty());
  EXPECT_GT(model->memory().heaps[0].weights, 30u << 20);
  EXPECT_GT(model->memory().heaps[0].state, 0u);
}

TEST_P(FarMemory, SnapshotsAndRewindsGoThroughTheHost) {
  const auto model = load_far(GetParam().options, options("far"), GetParam().library);
  graph::Session session(*model), other(*model);
  all_logits(*model, session, tokens(60));
  const graph::Snapshot saved = session.snapshot();
  const std::vector<float> next = all_logits(*model, session, tokens(40));
  other.restore(saved);
  EXPECT_EQ(all_logits(*model, other, tokens(40)), next);
  session.rewind(60);
  EXPECT_EQ(all_logits(*model, session, tokens(40)), next);

  const auto near = load("q8", options("reference")); // the rows are the same there
  graph::Session there(*near);
  there.restore(saved);
  EXPECT_EQ(all_logits(*near, there, tokens(40)), next);
}

INSTANTIATE_TEST_SUITE_P(Far, FarMemory, testing::ValuesIn(k_memories),
                         [](const auto& test) { return test.param.name; });

/// Ops taken away from the far device, composites with one of their pieces, and their states with them.
class FarMixed : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(FarMixed, SameLogits) {
  graph::ModelOptions mixed = options("far,reference");
  for (const std::string& op : GetParam()) mixed.deny.push_back(graph::DenyRule::parse(op + "@far"));
  const auto model = load_far({{"bind_align", std::int64_t{256}}}, mixed, "far_async");
  EXPECT_GT(model->placement().edges, 0u);
  EXPECT_THAT(model->placement().summary(), HasSubstr("denied by --deny"));
  EXPECT_EQ(all_logits(*model, tokens(100)), reference_logits());
  graph::Session session(*model), other(*model);
  all_logits(*model, session, tokens(50));
  other.restore(session.snapshot());
  EXPECT_EQ(all_logits(*model, session, tokens(20)), all_logits(*model, other, tokens(20)));
}

INSTANTIATE_TEST_SUITE_P(Far, FarMixed,
                         testing::Values(std::vector<std::string>{"compress", "cache_append"},
                                         std::vector<std::string>{"attention_mixed", "ring_write"},
                                         std::vector<std::string>{"moe_experts", "matmul_id"},
                                         std::vector<std::string>{"matmul"}, std::vector<std::string>{"rms_norm"}),
                         [](const auto& test) { return test.param.front(); });

TEST(FarStates, GoToTheHostWhereTheirOpsAreApart) {
  graph::ModelOptions mixed = options("far,reference");
  for (const char* rule : {"compress@far", "cache_append@far"}) mixed.deny.push_back(graph::DenyRule::parse(rule));
  const auto model = load_far({}, mixed);
  EXPECT_THAT(model->placement().summary(), HasSubstr("is used by ops that run elsewhere"));
  EXPECT_GT(model->memory().state, 0u);
  EXPECT_GT(model->memory().heaps[0].state, 0u) << "layers without a compressor keep theirs on the device";
}

/// More bytes than staging memory has, at odd places.
TEST_P(FarMemory, CarriesBytesInPieces) {
  const std::int64_t size = (GetParam().name == "small_buffers" ? 6 : 40) * k_mib;
  const auto runtime = far_runtime(GetParam().options, GetParam().library);
  const auto device = runtime->open_devices("far").front();
  plugins::Transfer transfer(device);
  static_assert(plugins::Transfer::k_piece < 20 * k_mib);
  plugins::Buffer buffer = device->alloc(static_cast<std::uint64_t>(size));
  std::vector<std::byte> data(static_cast<std::size_t>(size - 2 * k_mib + 77));
  std::uint32_t word = 1;
  for (std::byte& b : data) b = static_cast<std::byte>((word = word * 1664525 + 1013904223) >> 24);
  transfer.write(buffer, 333, data);
  std::vector<std::byte> back(data.size());
  transfer.read(buffer, 333, back);
  EXPECT_EQ(back, data);
  std::vector<std::byte> part(static_cast<std::size_t>(size - 5 * k_mib));
  transfer.read(buffer, 333 + 1001, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), data.begin() + 1001));
  EXPECT_THROW(transfer.write(buffer, static_cast<std::uint64_t>(size - k_mib + 1), part), Error) << "beyond the end";
}

TEST(FarPlan, WhatDoesNotFitIsSaidBeforeItIsTaken) {
  try {
    load_far({{"total", 20 * k_mib}}, options("far"));
    FAIL() << "20 MiB hold no 37 million parameters";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::does_not_fit);
    EXPECT_THAT(error.what(), HasSubstr("heap 0 of far:0"));
    EXPECT_THAT(error.what(), HasSubstr("20.0 MiB are free: short by"));
    std::set<std::string> keys;
    for (const auto& [key, value] : error.status().details) keys.insert(key);
    EXPECT_THAT(keys, testing::IsSupersetOf({"heap", "need", "free"}));
  }
}

TEST(FarPlan, NodesWithTooLargeWeightsGoElsewhere) {
  const auto model = load_far({{"max_binding", k_mib}}, options("far,reference"));
  EXPECT_THAT(model->placement().summary(), HasSubstr("is larger than the 1.0 MiB that the device binds at once"));
  const Difference d = compare(reference_logits(), all_logits(*model, tokens(100)), k_vocab);
  EXPECT_LE(d.max_abs, 1e-3) << "composites in pieces round in another order";
}

TEST(FarPlan, LargePagesOfTheFileAreUsedInPlaceWhereTheyAreAligned) {
  const plugins::Options unified{{"unified", std::int64_t{1}}, {"import_align", std::int64_t{4096}}};
  const auto whole = load_far(unified, options("far"));
  EXPECT_TRUE(whole->memory().heaps.empty()) << "all of it is the host's";
  EXPECT_EQ(all_logits(*whole, tokens(100)), reference_logits());

  plugins::Options strict = unified;
  strict.push_back({"bind_align", std::int64_t{256}});
  strict.push_back({"max_alloc", 16 * k_mib}); // several windows
  const auto part = load_far(strict, options("far"));
  ASSERT_EQ(part->memory().heaps.size(), 1u) << "weights at other offsets are copied";
  EXPECT_GT(part->memory().heaps[0].weights, 0u);
  EXPECT_LT(part->memory().heaps[0].weights, part->file().data_bytes());
  EXPECT_EQ(part->memory().heaps[0].state, 0u);
  EXPECT_EQ(all_logits(*part, tokens(100)), reference_logits());
}

TEST(FarPlan, MadeUpContextsReachTheDevice) {
  const auto model = load_far({}, options("far"));
  std::vector<std::int32_t> context(500);
  std::iota(context.begin(), context.end(), 3);
  graph::Session session(*model), other(*model);
  const graph::Snapshot made_up = graph::made_up_snapshot(*model, context, 7);
  session.restore(made_up);
  other.restore(made_up);
  const std::vector<float> logits = all_logits(*model, session, tokens(20));
  for (const float v : logits) ASSERT_TRUE(std::isfinite(v));
  EXPECT_EQ(logits, all_logits(*model, other, tokens(20)));
}

TEST(FarClaims, TheGladdestDeviceRunsANode) {
  const auto on_far = [](const std::string& claim, const std::string& backends) {
    const auto model = load_far({{"claim", claim}}, options(backends));
    const graph::Placement& placement = model->placement();
    const auto at = std::find(placement.devices.begin(), placement.devices.end(), "far:0") - placement.devices.begin();
    return static_cast<double>(std::count(placement.device_of_node.begin(), placement.device_of_node.end(), at)) /
           static_cast<double>(placement.device_of_node.size());
  };
  EXPECT_EQ(on_far("", "far,cpu"), 1.0) << "among equals the first";
  EXPECT_EQ(on_far("", "cpu,far"), 0.0);
  EXPECT_EQ(on_far("slow", "far,cpu"), 0.0);
  EXPECT_EQ(on_far("preferred", "cpu,far"), 1.0);
  EXPECT_EQ(on_far("slow", "far"), 1.0) << "a last resort comes behind the slow";
}

} // namespace
} // namespace seacliff::test
