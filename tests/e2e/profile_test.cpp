// `seacliff profile` from outside, and Model::profile. Times are never judged, only how they fit together.
#include "tests/e2e/nano.hpp"
#include "tests/e2e/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <set>

namespace seacliff::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json profile(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"profile", "-m", nano_gguf("q4"), "--json"});
  const Ran ran = seacliff(arguments);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return json::parse(ran.out);
}

TEST(Profile, AccountsForTheWholeStep) {
  const json report = profile({"--pp", "40", "--tg", "3", "--depth", "5", "-r", "2", "--by", "op,layer,section,node"});
  EXPECT_GT(report["measured_read_gbps"], 0);
  ASSERT_EQ(report["phases"].size(), 2u);
  EXPECT_EQ(report["phases"][0]["phase"], "prefill");
  EXPECT_EQ(report["phases"][1]["phase"], "decode");
  EXPECT_EQ(report["phases"][1]["steps"], 2 * 3);
  for (const json& phase : report["phases"]) {
    EXPECT_EQ(phase["depth"], 5);
    EXPECT_GE(phase["launches_per_step"], 1);
    EXPECT_GT(phase["barriers_per_step"], 0);
    EXPECT_GT(phase["ms_per_step_unprofiled"], 0);
    EXPECT_EQ(phase["lost_records"], 0);
    for (const char* by : {"by_op", "by_layer", "by_section", "by_node"}) {
      double ms = phase["outside_ms"], bytes = 0;
      for (const json& row : phase[by]) {
        ms += row["ms"].get<double>();
        bytes += row["weight_bytes"].get<double>();
        EXPECT_LE(row["wait_share"], 1);
      }
      EXPECT_NEAR(ms, phase["total"]["ms"].get<double>(), 1e-6) << by;
      EXPECT_NEAR(bytes, phase["total"]["weight_bytes"].get<double>(), 1) << by;
    }
    std::set<std::string> ops;
    for (const json& row : phase["by_op"]) ops.insert(row["name"]);
    EXPECT_EQ(ops.count("moe_experts") + ops.count("matmul_id"), 1u);
  }
}

TEST(Profile, CountsTheWeightsAsBenchDoes) {
  // Deep enough for the indexer to have something to do.
  const json phase = profile({"--pp", "0", "--tg", "2", "--depth", "600", "-r", "1"})["phases"][0];
  const Ran bench = seacliff({"bench", "-m", nano_gguf("q4"), "--pp", "0", "--tg", "2", "--depth", "600", "-r", "1",
                              "--warmup", "0", "--json"});
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const double expected = json::parse(bench.out)["results"][0]["weight_bytes"].get<double>() / 2;
  EXPECT_NEAR(phase["total"]["weight_bytes"].get<double>(), expected, expected * 0.01);
}

TEST(Profile, WritesATrace) {
  const std::string path = testing::TempDir() + "seacliff_profile_test.json";
  profile({"--pp", "16", "--tg", "2", "-r", "1", "--trace", path});
  std::ifstream file(path);
  const json trace = json::parse(file);
  std::set<std::string> steps, tracks, nodes;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") tracks.insert(event["args"]["name"]);
    if (event.value("cat", "") == "step") steps.insert(event["name"]);
    if (event.value("cat", "") == "node") nodes.insert(event["name"]);
  }
  EXPECT_EQ(steps, (std::set<std::string>{"prefill step 0", "decode step 0", "decode step 1"}));
  EXPECT_EQ(tracks.count("worker 0"), 1u);
  EXPECT_EQ(tracks.count("cpu:0"), 1u);
  EXPECT_GT(nodes.size(), 20u);
  std::remove(path.c_str());
}

TEST(Profile, PrintsTables) {
  const Ran ran = seacliff({"profile", "-m", nano_gguf("q4"), "--pp", "16", "--tg", "2", "-r", "1", "--granularity",
                            "group", "--backend", "reference"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* part : {"prefill: 16 tokens", "decode: 2 tokens", "memory reads", "blk.00", "(outside of nodes)"})
    EXPECT_THAT(ran.out, HasSubstr(part));
}

TEST(Profile, RefusesWhatIsWrong) {
  const std::string model = nano_gguf("q4");
  EXPECT_EQ(seacliff({"profile", "-m", model, "--by", "colour"}).exit_code, 2);
  EXPECT_EQ(seacliff({"profile", "-m", model, "--pp", "0", "--tg", "0"}).exit_code, 2);
  EXPECT_EQ(seacliff({"profile", "-m", model, "--pp", "0", "--tg", "1", "--trace", "/nonexistent/t.json"}).exit_code,
            1);
}

TEST(Profile, DoesNotChangeWhatIsComputed) {
  const auto model = load("q4", {});
  const std::vector<std::int32_t> tokens{0, 5, 9, 100, 17, 3};
  const std::vector<float> plain = all_logits(*model, tokens);
  std::uint64_t steps = 0, spans = 0;
  model->profile(graph::Granularity::node, [&](const graph::StepRecord& step) {
    ++steps;
    spans += step.spans.size();
    for (const graph::NodeSpan& span : step.spans) {
      EXPECT_LE(step.begin_ns, span.begin_ns);
      EXPECT_LE(span.begin_ns, span.end_ns);
      EXPECT_LE(span.end_ns, step.end_ns);
    }
  });
  EXPECT_EQ(all_logits(*model, tokens), plain);
  EXPECT_GT(steps, 0u);
  EXPECT_GT(spans, model->placement().graph.nodes().size());
  const std::uint64_t seen = steps;
  model->profile(graph::Granularity::off, {});
  EXPECT_EQ(all_logits(*model, tokens), plain);
  EXPECT_EQ(steps, seen) << "an empty sink ends it";
}

} // namespace
} // namespace seacliff::test
