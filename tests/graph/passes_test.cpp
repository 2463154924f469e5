// Passes. To add one: a small graph in text form, the pass, and what must be left of it; the result is always verified.
#include "graph/passes/passes.hpp"
#include "tests/graph/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace seacliff::graph {
namespace {

using testing::ElementsAre;

std::vector<std::string> ops_of(const Graph& graph) {
  std::vector<std::string> out;
  for (const Node& node : graph.nodes()) out.push_back(node.op);
  return out;
}

bool composite(const Node& node) { return ops::find_schema(node.op)->composite(); }

/// (state, how often it is updated), in no particular order.
std::multiset<std::string> updates_of(const Graph& graph) {
  std::multiset<std::string> out;
  for (const Node& node : graph.nodes())
    for (const ValueId id : node.out)
      if (graph.value(id).role == Role::state) out.insert(graph.value(id).name);
  return out;
}

/// What every decomposition keeps: the values of the graph it came from, who defines them, and the updates of states.
void expect_equivalent_frame(const Graph& before, const Graph& after) {
  verify(after);
  ASSERT_GE(after.values().size(), before.values().size());
  for (const Value& value : before.values()) {
    EXPECT_EQ(after.value(value.id).name, value.name);
    EXPECT_EQ(after.value(value.id).type, value.type) << value.name;
    EXPECT_EQ(after.value(value.id).role, value.role) << value.name;
  }
  std::vector<bool> written(after.values().size(), false);
  for (const Node& node : after.nodes())
    for (const ValueId id : node.out) written[id] = true;
  for (const Node& node : before.nodes())
    for (const ValueId id : node.out) EXPECT_TRUE(written[id]) << before.value(id).name << " is no longer written";
  EXPECT_EQ(updates_of(before), updates_of(after));
}

// ---- decompose ------------------------------------------------------------------------------------------------------

TEST(Decompose, TheSampleHoldsEveryComposite) {
  std::set<std::string_view> present;
  const Graph g = samples::model(1);
  for (const Node& node : g.nodes()) present.insert(node.op);
  for (const ops::Schema& schema : ops::catalogue()) {
    if (!schema.composite()) continue;
    EXPECT_TRUE(present.count(schema.name)) << "add '" << schema.name << "' to samples.hpp";
  }
}

TEST(Decompose, EachCompositeAlone) {
  const Graph g = samples::model(2);
  for (const ops::Schema& schema : ops::catalogue()) {
    if (!schema.composite()) continue;
    SCOPED_TRACE(std::string(schema.name));
    const Graph out = decompose(g, [&](const Graph&, const Node& node) { return node.op == schema.name; });
    expect_equivalent_frame(g, out);
    EXPECT_GT(out.nodes().size(), g.nodes().size());
    EXPECT_EQ(std::ranges::count(out.nodes(), schema.name, &Node::op), 0);
  }
}

TEST(Decompose, AllLeavesPrimitivesOnly) {
  const Graph g = samples::model(2);
  const Graph out = decompose(g);
  expect_equivalent_frame(g, out);
  EXPECT_TRUE(std::ranges::none_of(out.nodes(), composite));
  EXPECT_TRUE(same(decompose(out), out)) << "a second time changes nothing";
  EXPECT_TRUE(same(parse(print(out)), out));
}

TEST(Decompose, NothingSelectedChangesNothing) {
  const Graph g = samples::model(1);
  EXPECT_TRUE(same(decompose(g, [](const Graph&, const Node&) { return false; }), g));
}

TEST(Decompose, OtherFormsOfTheComposites) {
  const std::string rope(samples::k_rope);
  const Graph g = parse(
      "symbol n <= 8\ninput %tokens : i32[n]\ninput %pos : i32[n]\ninput %seq : i32[n,3]\ninput %x : f32[n,64]\n"
      "input %q : f32[n,2,128]\ninput %k : f32[n,128]\ninput %sel : i32[n,4]\nweight %sinks : f32[2]\n"
      "weight %table : i32[16,2]\nweight %w : f32[4,64]\n"
      "state %window : f16[2,20,128]\nstate %cache : f16[2,16,128]\nstate %carry : f32[2,136,2,128]\n"
      "weight %kvw : f16[128,64]\nweight %ape : f16[128,128]\nweight %norm : f32[128]\n"
      // routing by token, attention without and with compressed rows, compression without overlap
      "%ids, %weights = route(%x, %w, _, %table, %tokens) {k=2, scale=1.5} @hash\n"
      "%o, %window = attention_mixed(%q, %k, %window, _, _, %sinks, %pos, %seq) {window=16, scale=0.1} @raw\n"
      "%kv = matmul(%x, %kvw) @kv\n"
      "%carry, %cache = compress(%kv, %kv, %ape, %norm, %carry, %cache, %pos, %seq) {ratio=128, rms_eps=1e-06, kv8=1, "
      "f16=1, " +
      rope.substr(0, 3) + "=64" + rope.substr(6) + "} @hca\n" +
      "%p, %window = attention_mixed(%q, %k, %window, %cache, _, %sinks, %pos, %seq) {window=16, ratio=128, scale=0.1} "
      "@all\n"
      "%r, %window = attention_mixed(%q, %k, %window, %cache, %sel, %sinks, %pos, %seq) {window=16, ratio=128, "
      "scale=0.1} @some\n");
  verify(g);
  const Graph out = decompose(g);
  expect_equivalent_frame(g, out);
  EXPECT_TRUE(std::ranges::none_of(out.nodes(), composite));
}

TEST(Decompose, SelectsByNodeAndNamesAfterTheParent) {
  const Graph g = samples::model(2);
  const auto wanted = std::ranges::find(g.nodes(), "blk.01.ffn.experts", &Node::name);
  ASSERT_NE(wanted, g.nodes().end());
  const Graph out = decompose(g, [&](const Graph& now, const Node& node) {
    EXPECT_EQ(now.value(node.out[0]).name, g.value(node.out[0]).name);
    return node.id == wanted->id;
  });
  verify(out);
  std::vector<std::string> names;
  for (const Node& node : out.nodes())
    if (node.name.starts_with("blk.01.ffn.experts.")) names.push_back(node.op);
  EXPECT_THAT(names, ElementsAre("matmul_id", "matmul_id", "swiglu", "matmul_id", "sum_slots"));
  EXPECT_EQ(std::ranges::count(out.nodes(), "moe_experts", &Node::op), 1);
}

TEST(Decompose, KeepsSourceLineAndOutputs) {
  const Graph g = samples::model(1);
  const Graph out = decompose(g);
  int seen = 0;
  for (const Node& node : out.nodes())
    if (node.name.starts_with("blk.00.attn.mixed.")) {
      EXPECT_EQ(node.source_line, 77u);
      ++seen;
    }
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(std::ranges::count(out.values(), Role::output, &Value::role), 1);
}

TEST(Decompose, TakenNamesAreNotTakenAgain) {
  Graph g = samples::model(1);
  const Graph plain = decompose(g);
  const auto made = std::ranges::find_if(plain.values(), [](const Value& v) { return v.name.ends_with("mixed.mix"); });
  const auto scores =
      std::ranges::find_if(plain.values(), [](const Value& v) { return v.name.ends_with("mixed.scores"); });
  ASSERT_EQ(made, plain.values().end()) << "the last node writes into the composite's own output";
  ASSERT_NE(scores, plain.values().end());
  g.add_value(Role::input, {DType::f32, {{1, 0}}}, scores->name);
  verify(decompose(g));
}

// ---- fold -----------------------------------------------------------------------------------------------------------

TEST(Fold, RoundingsThatAreOffGoAway) {
  const Graph g = parse("input %x : f32[4,64]\noutput %y : f32[4,64]\n"
                        "%a = kv_round(%x) {rot=16, kv8=0, f16=0} @off\n"
                        "%b = index_round(%a) {idx4=0} @off2\n"
                        "%c = kv_round(%b) {rot=16, f16=1} @on\n"
                        "%d = index_round(%c) {idx4=1} @on2\n"
                        "%y = add(%d, %b) @sum\n");
  const Graph out = fold(g);
  verify(out);
  EXPECT_THAT(ops_of(out), ElementsAre("kv_round", "index_round", "add"));
  EXPECT_EQ(out.value(out.nodes()[0].in[0]).name, "x");
  EXPECT_EQ(out.value(out.nodes()[2].in[1]).name, "x");
  EXPECT_EQ(dead_code(out).values().size(), 4u) << "x, y, c and d";
}

TEST(Fold, OutputsAndReadsOfStatesStay) {
  const Graph g = parse("input %x : f32[4,64]\noutput %y : f32[4,64]\nstate %s : f32[2,8,64]\n"
                        "input %pos : i32[4]\ninput %seq : i32[4,3]\noutput %z : f32[2,8,64]\n"
                        "%y = kv_round(%x) {rot=16} @output\n"
                        "%before = index_round(%s) {idx4=0} @copy\n"
                        "%s = ring_write(%x, %s, %pos, %seq) @write\n"
                        "%z = add(%before, %before) @use\n");
  verify(g);
  EXPECT_TRUE(same(fold(g), g));
}

// ---- dead code ------------------------------------------------------------------------------------------------------

TEST(DeadCode, KeepsWhatIsSeenAndWhatIsRemembered) {
  const Graph g = parse("input %x : f32[4,64]\ninput %unused : f32[1]\ninput %pos : i32[4]\ninput %seq : i32[4,3]\n"
                        "weight %w : f32[64,64]\nweight %dead_w : f32[64,64]\nstate %s : f32[2,8,64]\n"
                        "state %idle : f32[1]\noutput %y : f32[4,64]\n"
                        "%dead = matmul(%x, %dead_w) @dead\n"
                        "%deader = add(%dead, %x) @deader\n"
                        "%k = add(%x, %x) @k\n"
                        "%s = ring_write(%k, %s, %pos, %seq) @write\n"
                        "%y = matmul(%x, %w) @live\n");
  const Graph out = dead_code(g);
  verify(out);
  EXPECT_THAT(ops_of(out), ElementsAre("add", "ring_write", "matmul"));
  std::vector<std::string> names;
  for (const Value& value : out.values()) names.push_back(value.name);
  EXPECT_THAT(names, ElementsAre("x", "unused", "pos", "seq", "w", "s", "idle", "y", "k"));
  EXPECT_TRUE(same(dead_code(out), out));
}

TEST(DeadCode, AFullModelHasNone) {
  const Graph g = samples::model(2);
  EXPECT_TRUE(same(dead_code(g), g));
  EXPECT_EQ(dead_code(decompose(g)).nodes().size(), decompose(g).nodes().size());
}

TEST(DeadCode, WithoutTheOutputTheHeadGoes) {
  Graph g = samples::model(1);
  for (const Value& value : g.values())
    if (value.name == "logits") g.set_role(value.id, Role::temp);
  const Graph out = dead_code(g);
  verify(out);
  EXPECT_EQ(out.nodes().back().name, "blk.00.attn.mixed") << "the last update of a state";
}

// ---- the list -------------------------------------------------------------------------------------------------------

TEST(PassList, NamesFindPassesAndAllKeepGraphsValid) {
  Graph g = samples::model(1);
  std::set<std::string_view> names;
  for (const PassInfo& pass : passes()) {
    EXPECT_TRUE(names.insert(pass.name).second);
    EXPECT_EQ(find_pass(pass.name), &pass);
    EXPECT_FALSE(pass.doc.empty());
    const auto updates = updates_of(g);
    g = pass.run(g);
    verify(g);
    EXPECT_EQ(updates_of(g), updates) << pass.name;
  }
  EXPECT_EQ(find_pass("nonsense"), nullptr);
}

} // namespace
} // namespace seacliff::graph
