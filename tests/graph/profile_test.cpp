// What is made of measured steps: sums, tables, JSON and traces, from records written by hand.
// To add a test: put spans on a Recorder, give record() to a PhaseProfile or a TraceWriter.
#include "graph/dump/profile.hpp"
#include "graph/passes/passes.hpp"
#include "tests/graph/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

namespace seacliff::graph {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

/// Steps of samples::model: each worker runs every node for 1000 ns, worker w waits w * 100 ns more behind it.
class Recorder {
public:
  explicit Recorder(int layers) : graph_(samples::model(layers)) {
    for (const Node& node : graph_.nodes()) ids_.push_back(node.id);
  }

  const Graph& graph() const { return graph_; }
  std::uint32_t id(std::string_view name) const {
    for (const Node& node : graph_.nodes())
      if (node.name == name) return node.id;
    throw std::runtime_error("no node " + std::string(name));
  }

  StepRecord record(std::uint32_t workers, std::int64_t tokens, std::uint64_t begin = 1'000'000) const {
    StepRecord step;
    step.graph = &graph_;
    step.devices = devices_;
    step.symbols = {tokens, 1};
    step.visible = 4;
    step.launches = 1;
    step.barriers = 7;
    step.begin_ns = begin;
    const std::uint64_t first = begin + 500; // the launch
    for (std::uint32_t w = 0; w < workers; ++w)
      for (std::uint32_t n = 0; n < ids_.size(); ++n) {
        const std::uint64_t t0 = first + n * k_pitch;
        step.spans.push_back({0, 0, w, std::span(ids_).subspan(n, 1), t0, t0 + k_pitch - w * 100, 0});
      }
    step.end_ns = first + ids_.size() * k_pitch + 500;
    return step;
  }

  static constexpr std::uint64_t k_pitch = 1000;
  std::span<const std::uint32_t> ids() const { return ids_; }

private:
  Graph graph_;
  std::vector<std::uint32_t> ids_;
  std::vector<std::string> devices_{"cpu:0"};
};

const ProfileRow& row(const std::vector<ProfileRow>& rows, std::string_view name) {
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const ProfileRow& r) { return r.name == name; });
  if (it == rows.end()) throw std::runtime_error("no row " + std::string(name));
  return *it;
}

// ---- work -----------------------------------------------------------------------------------------------------------

TEST(StepCost, FollowsTheTokens) {
  const Recorder r(1);
  const auto cost = [&](std::string_view name, std::int64_t tokens, std::int64_t outputs = 1) {
    return step_cost(r.graph(), r.graph().nodes()[r.id(name)], std::vector<std::int64_t>{tokens, outputs}, 4);
  };
  EXPECT_EQ(cost("blk.00.attn.q_a", 3).flops, 2.0 * 3 * 64 * 32);
  EXPECT_EQ(cost("blk.00.attn.q_a", 1).bytes_weights, cost("blk.00.attn.q_a", 3).bytes_weights);
  EXPECT_EQ(cost("head.output", 8, 2).flops, 2.0 * 2 * 64 * 16);
  EXPECT_EQ(cost("head.output", 8, 0).bytes_weights, 0) << "nobody asks for logits";
  EXPECT_EQ(cost("head.hc", 8, 0).flops, 0);
}

TEST(StepCost, ExpertsCountByTheExpectedNumberOfDifferentOnes) {
  const Recorder r(1);
  const Node& experts = r.graph().nodes()[r.id("blk.00.ffn.experts")];
  const double all = 3.0 * 4 * 32 * 68; // 3 matrices of 4 experts, 32 rows of 64 (or 64 of 32) in q8_0
  for (const std::int64_t tokens : {1, 2, 8}) {
    const double share = 1 - std::pow(0.5, static_cast<double>(tokens)); // 2 of 4
    EXPECT_DOUBLE_EQ(step_cost(r.graph(), experts, std::vector<std::int64_t>{tokens, 1}, 4).bytes_weights, all * share);
  }
}

TEST(StepCost, AttentionCountsWhatIsVisible) {
  const Recorder r(1);
  const Node& mixed = r.graph().nodes()[r.id("blk.00.attn.mixed")];
  const auto flops = [&](double visible) {
    return step_cost(r.graph(), mixed, std::vector<std::int64_t>{1, 1}, visible).flops;
  };
  EXPECT_LT(flops(4), flops(16));
  EXPECT_LT(flops(16), flops(32)) << "compressed rows are added beyond the window";
  EXPECT_EQ(flops(1000), flops(2000)) << "the selection limits them";
}

TEST(StepCost, SelectingAllNeedsNoScores) {
  const Recorder r(1);
  const Node& select = r.graph().nodes()[r.id("blk.00.attn.select")]; // 8 of the rows, one for 4 positions
  const std::vector<std::int64_t> one{1, 1};
  EXPECT_EQ(step_cost(r.graph(), select, one, 32).bytes_weights, 0);
  EXPECT_GT(step_cost(r.graph(), select, one, 36).bytes_weights, 0);
}

TEST(StepCost, EveryNodeHasOneWholeOrDecomposed) {
  const Graph whole = samples::model(1), parts = decompose(whole);
  for (const Graph* graph : {&whole, &parts})
    for (const Node& node : graph->nodes())
      for (const std::int64_t outputs : {0, 1}) {
        const ops::Cost cost = step_cost(*graph, node, std::vector<std::int64_t>{1, outputs}, 1);
        EXPECT_GE(cost.flops, 0) << node.name;
        EXPECT_TRUE(std::isfinite(cost.bytes_weights)) << node.name;
      }
}

// ---- sums -----------------------------------------------------------------------------------------------------------

TEST(PhaseProfile, TimesAddUpToTheStep) {
  const Recorder r(2);
  PhaseProfile profile;
  for (int i = 0; i < 3; ++i) profile.add(r.record(2, 1));
  EXPECT_EQ(profile.steps(), 3u);
  EXPECT_EQ(profile.launches(), 1);
  EXPECT_EQ(profile.barriers(), 7);
  const std::size_t n = r.graph().nodes().size();
  const double step = static_cast<double>(n * Recorder::k_pitch + 1000) * 1e-9;
  EXPECT_NEAR(profile.seconds(), step, 1e-15);
  for (const ProfileBy by : {ProfileBy::op, ProfileBy::layer, ProfileBy::section, ProfileBy::node}) {
    SCOPED_TRACE(profile_by_name(by));
    double sum = 0;
    std::uint64_t nodes = 0;
    for (const ProfileRow& each : profile.rows(by)) {
      sum += each.seconds;
      nodes += each.nodes;
    }
    double outside = 0;
    const ProfileRow total = profile.total(&outside);
    EXPECT_EQ(nodes, n);
    EXPECT_EQ(total.nodes, n);
    EXPECT_NEAR(total.seconds, step, 1e-15);
    EXPECT_NEAR(outside, 1000e-9, 1e-15);
    EXPECT_NEAR(sum + outside, step, 1e-14);
  }
}

TEST(PhaseProfile, WaitingIsPartOfTheTime) {
  const Recorder r(1);
  PhaseProfile profile;
  profile.add(r.record(3, 1)); // waits of 0, 100 and 200 ns
  const ProfileRow q_a = row(profile.rows(ProfileBy::node), "blk.00.attn.q_a");
  EXPECT_EQ(q_a.op, "matmul");
  EXPECT_NEAR(q_a.seconds, 1000e-9, 1e-15);
  EXPECT_NEAR(q_a.wait, 100e-9, 1e-15);
}

TEST(PhaseProfile, GroupsByOpLayerAndSection) {
  const Recorder r(3);
  PhaseProfile profile;
  profile.add(r.record(1, 1));
  const auto layers = profile.rows(ProfileBy::layer);
  std::vector<std::string> names;
  for (const ProfileRow& each : layers) names.push_back(each.name);
  EXPECT_THAT(names, testing::ElementsAre("embed", "streams", "blk.00", "blk.01", "blk.02", "head"));
  EXPECT_EQ(row(profile.rows(ProfileBy::section), "ffn.experts").nodes, 3u);
  EXPECT_EQ(row(profile.rows(ProfileBy::op), "hc_pre").nodes, 6u);
  const auto ops = profile.rows(ProfileBy::op);
  EXPECT_TRUE(std::is_sorted(ops.begin(), ops.end(),
                             [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; }));
}

TEST(PhaseProfile, TheDevicesBytesCountMoreThanTheExpectedOnes) {
  const Recorder r(1);
  StepRecord step = r.record(2, 1);
  const std::uint32_t q_a = r.id("blk.00.attn.q_a");
  for (NodeSpan& span : step.spans)
    if (span.worker == 0 && span.nodes.front() == q_a) span.bytes = 12345;
  PhaseProfile profile;
  profile.add(step);
  profile.add(r.record(2, 1)); // says nothing of bytes
  const auto rows = profile.rows(ProfileBy::node);
  EXPECT_DOUBLE_EQ(row(rows, "blk.00.attn.q_a").bytes, 12345.0 / 2);
  EXPECT_DOUBLE_EQ(row(rows, "blk.00.attn.kv").bytes, 32.0 * 68);
}

TEST(PhaseProfile, StepsOfDifferentSizesAreAveraged) {
  const Recorder r(1);
  PhaseProfile profile;
  profile.add(r.record(1, 8));
  profile.add(r.record(1, 2));
  EXPECT_DOUBLE_EQ(row(profile.rows(ProfileBy::node), "blk.00.attn.q_a").flops, 2.0 * 5 * 64 * 32);
}

TEST(PhaseProfile, FusedNodesAreOneLineWithAllTheirWork) {
  const Recorder r(1);
  StepRecord step = r.record(1, 1);
  step.spans = {{0, 0, 0, r.ids(), step.begin_ns, step.end_ns, 0}};
  PhaseProfile fused, single;
  fused.add(step);
  single.add(r.record(1, 1));
  ASSERT_EQ(fused.rows(ProfileBy::node).size(), 1u);
  EXPECT_DOUBLE_EQ(fused.total().flops, single.total().flops);
  EXPECT_EQ(fused.total().nodes, r.graph().nodes().size());
}

TEST(PhaseProfile, DisturbedStepsAreLeftOut) {
  const Recorder r(1);
  PhaseProfile profile;
  for (int i = 0; i < 4; ++i) profile.add(r.record(1, 1));
  StepRecord slow = r.record(1, 1);
  slow.end_ns += 10 * (slow.end_ns - slow.begin_ns);
  const double usual = profile.total().seconds;
  profile.add(slow);
  EXPECT_EQ(profile.steps(), 5u);
  EXPECT_EQ(profile.disturbed(), 1u);
  EXPECT_DOUBLE_EQ(profile.total().seconds, usual);
}

TEST(PhaseProfile, KnowsWhatMeasuringCosts) {
  const Recorder r(1);
  PhaseProfile profile;
  EXPECT_EQ(profile.overhead(), 0);
  StepRecord plain = r.record(1, 1);
  profile.add(plain);
  plain.end_ns = plain.begin_ns + (plain.end_ns - plain.begin_ns) / 2;
  profile.add_plain(plain);
  EXPECT_NEAR(profile.overhead(), 1.0, 1e-3);
  EXPECT_EQ(profile.steps(), 1u) << "a plain step is no measured one";
}

// ---- tables ---------------------------------------------------------------------------------------------------------

TEST(ProfileText, ShowsTablesAndTotals) {
  const Recorder r(1);
  PhaseProfile profile;
  StepRecord step = r.record(2, 1);
  step.lost = 5;
  profile.add(step);
  const std::vector<ProfileBy> by{ProfileBy::op, ProfileBy::layer};
  const std::string text = to_text({"decode", 32, 7, &profile}, by, 10);
  for (const char* part : {"decode: 32 tokens at depth 7, 1 steps", "1 launches and 7 barriers",
                           "5 records did not fit", "moe_experts", "blk.00", "(outside of nodes)", "total", "of mem."})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(ProfileJson, HoldsTheSameNumbers) {
  const Recorder r(2);
  PhaseProfile profile;
  profile.add(r.record(2, 1));
  const std::vector<ProfileBy> by{ProfileBy::op, ProfileBy::node};
  const Json json = Json::parse(to_json({"prefill", 8, 0, &profile}, by, 10));
  EXPECT_EQ(json["phase"], "prefill");
  EXPECT_EQ(json["steps"], 1);
  EXPECT_EQ(json["launches_per_step"], 1);
  EXPECT_EQ(json["barriers_per_step"], 7);
  EXPECT_EQ(json["by_node"].size(), r.graph().nodes().size());
  EXPECT_FALSE(json.contains("by_layer"));
  double share = json["outside_ms"].get<double>() / json["ms_per_step"].get<double>();
  for (const Json& each : json["by_op"]) {
    share += each["share"].get<double>();
    EXPECT_NEAR(each["gbps"].get<double>() / 10, each["bandwidth_share"].get<double>(), 1e-9);
    EXPECT_FALSE(each.contains("op"));
  }
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_EQ(json["by_node"][0].contains("op"), true);
}

// ---- trace ----------------------------------------------------------------------------------------------------------

TEST(Trace, NestsStepLayerNodeOnNamedTracks) {
  const Recorder r(2);
  std::ostringstream out;
  TraceWriter writer(out);
  writer.add(r.record(2, 1, 1'000'000), "decode step 0");
  writer.add(r.record(2, 1, 9'000'001), "decode step 1");
  writer.finish();
  const Json trace = Json::parse(out.str());

  std::map<std::pair<int, int>, std::string> threads;
  std::map<int, std::string> processes;
  struct Span {
    double begin, end;
    std::string category;
  };
  std::map<std::pair<int, int>, std::vector<Span>> tracks;
  std::map<std::string, std::size_t> counts;
  for (const Json& event : trace.at("traceEvents")) {
    const std::pair track{event.at("pid").get<int>(), event.at("tid").get<int>()};
    if (event.at("ph") == "M") {
      const std::string name = event.at("args").at("name");
      const bool thread = event.at("name") == "thread_name";
      const bool fresh = thread ? threads.emplace(track, name).second : processes.emplace(track.first, name).second;
      EXPECT_TRUE(fresh) << "named twice: " << name;
      continue;
    }
    ASSERT_EQ(event.at("ph"), "X");
    const double ts = event.at("ts").get<double>(), dur = event.at("dur").get<double>();
    EXPECT_GE(ts, 0);
    tracks[track].push_back({ts, ts + dur, event.at("cat").get<std::string>()});
    ++counts[event.at("cat").get<std::string>()];
    EXPECT_EQ(event.at("args").contains("op"), event.at("cat") == "node");
  }
  EXPECT_EQ(processes, (std::map<int, std::string>{{0, "seacliff"}, {1, "cpu:0"}}));
  EXPECT_EQ(threads, (std::map<std::pair<int, int>, std::string>{
                         {{0, 0}, "steps"}, {{1, 0}, "worker 0"}, {{1, 1}, "worker 1"}}));
  const std::size_t n = r.graph().nodes().size();
  EXPECT_EQ(counts,
            (std::map<std::string, std::size_t>{{"step", 2 + 2 * 2}, {"layer", 2 * 2 * 5}, {"node", 2 * 2 * n}}))
      << "layers: embed, streams, two of the model, head";
  for (const auto& [track, spans] : tracks) {
    EXPECT_EQ(threads.count(track), 1u) << "a track without a name";
    std::vector<Span> open; // a stack of what is around
    for (const Span& span : spans) {
      while (!open.empty() && open.back().end <= span.begin) open.pop_back();
      static const std::map<std::string, std::size_t> depth{{"step", 0}, {"layer", 1}, {"node", 2}};
      ASSERT_EQ(open.size(), depth.at(span.category)) << span.category << " at " << span.begin;
      EXPECT_LE(span.end, open.empty() ? span.end : open.back().end);
      open.push_back(span);
    }
  }
}

TEST(Trace, OddNamesStayReadable) {
  Graph graph = parse("input %x : f32[4,64]\n%y = add(%x, %x) @\"no\\\\de \\\"1\\\"\"\n");
  const std::vector<std::uint32_t> ids{0};
  const std::vector<std::string> devices{"a \"device\"\n"};
  StepRecord step;
  step.graph = &graph;
  step.devices = devices;
  step.end_ns = 10;
  step.spans = {{0, 0, 0, ids, 1, 2, 64}};
  std::ostringstream out;
  TraceWriter writer(out);
  writer.add(step, "s");
  writer.finish();
  const Json trace = Json::parse(out.str());
  EXPECT_EQ(trace["traceEvents"].back()["name"], "no\\de \"1\"");
  EXPECT_EQ(trace["traceEvents"].back()["args"]["weight_bytes"], 64);
}

TEST(Trace, WithoutAStepIsStillATrace) {
  std::ostringstream out;
  TraceWriter(out).finish();
  EXPECT_TRUE(Json::parse(out.str())["traceEvents"].empty());
}

} // namespace
} // namespace seacliff::graph
