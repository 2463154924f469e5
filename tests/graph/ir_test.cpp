// Graph, verify, print, parse. To add a defect: build a good graph from parts, break one thing, expect the sentence.
// To add a text case: a string and what parse says about it. Sample graphs are in samples.hpp.
#include "tests/graph/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace seacliff::graph {
namespace {

using testing::HasSubstr;

template <typename F> std::string message_of(F&& f, Code code) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

/// A pair of projections, a ring and an output: small enough to break by hand.
Graph small() {
  return parse("graph \"small\"\n"
               "symbol n_tokens <= 8\n"
               "input %x : f32[n_tokens,64]\n"
               "input %pos : i32[n_tokens]\n"
               "input %seq : i32[n_tokens,3]\n"
               "weight %w : q8_0[32,64]\n"
               "weight %u : f16[32,32]\n"
               "state %window : f16[2,16,32]\n"
               "output %y : f32[n_tokens,32]\n"
               "%a : f32[n_tokens,32] = matmul(%x, %w) {act8=1} @one\n"
               "%window = ring_write(%a, %window, %pos, %seq) @two\n"
               "%y = matmul(%a, %u) @three\n");
}

ValueId id_of(const Graph& graph, std::string_view name) {
  for (const Value& value : graph.values())
    if (value.name == name) return value.id;
  ADD_FAILURE() << "no value " << name;
  return 0;
}

// ---- building -------------------------------------------------------------------------------------------------------

TEST(GraphBuild, NodesAreTypedBySchemaAndNamedByTheNode) {
  Graph g;
  const Dim t{8, g.add_symbol("n_tokens", 8)};
  const ValueId x = g.add_value(Role::input, {DType::f32, {t, {64, 0}}}, "x");
  const ValueId w = g.add_value(Role::weight, {DType::q8_0, {{32, 0}, {64, 0}}}, "w");
  const auto out = g.add_node("matmul", {x, w}, {}, "blk.00.up");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(g.value(out[0]).type, (ValueType{DType::f32, {t, {32, 0}}}));
  EXPECT_EQ(g.value(out[0]).name, "blk.00.up");
  EXPECT_EQ(g.value(out[0]).role, Role::temp);
  EXPECT_GT(g.nodes()[0].source_line, 0u);
  verify(g);
}

TEST(GraphBuild, SeveralOutputsAreNamedAfterTheSchema) {
  const Graph g = samples::model(1);
  Graph copy = g;
  const auto& pre = g.nodes()[2];
  ASSERT_EQ(pre.op, "hc_pre");
  const auto out = copy.add_node("hc_pre", pre.in, pre.attrs, "again");
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(copy.value(out[0]).name, "again.x");
  EXPECT_EQ(copy.value(out[1]).name, "again.post");
  EXPECT_EQ(copy.value(out[2]).name, "again.comb");
}

TEST(GraphBuild, AnUpdatedStateIsItsOwnOutput) {
  Graph g = small();
  const ValueId window = id_of(g, "window");
  const auto out = g.add_node("ring_write", {id_of(g, "a"), window, id_of(g, "pos"), id_of(g, "seq")}, {}, "again");
  EXPECT_EQ(out, std::vector<ValueId>{window});
  verify(g);
}

TEST(GraphBuild, TrailingOptionalInputsMayBeLeftOut) {
  Graph g = small();
  g.add_node("rms_norm", {id_of(g, "a")}, {{"eps", 1e-6}}, "norm");
  EXPECT_EQ(g.nodes().back().in, (std::vector<ValueId>{id_of(g, "a"), k_none}));
  verify(g);
}

TEST(GraphBuild, WrongOperandsNameTheNode) {
  Graph g = small();
  const ValueId x = id_of(g, "x"), w = id_of(g, "w"), u = id_of(g, "u");
  const auto add = [&](std::string_view op, std::vector<ValueId> in) {
    return message_of([&] { g.add_node(op, in, {}, "bad"); }, Code::invalid_argument);
  };
  const std::size_t nodes = g.nodes().size(), values = g.values().size();
  EXPECT_THAT(add("matmul", {x, u}), HasSubstr("node 'bad' (matmul)"));
  EXPECT_THAT(add("matmul", {x}), HasSubstr("'w' is missing"));
  EXPECT_THAT(add("matmul", {x, w, u}), HasSubstr("takes 2 inputs, 3 were given"));
  EXPECT_THAT(add("matmul", {x, 1234}), HasSubstr("value 1234, which does not exist"));
  EXPECT_THAT(add("matmull", {x, w}), HasSubstr("no op 'matmull'"));
  const ValueId a = id_of(g, "a"), pos = id_of(g, "pos"), seq = id_of(g, "seq");
  const ValueId no_state = g.add_value(Role::temp, {DType::f16, {{2, 0}, {16, 0}, {32, 0}}}, "no_state");
  EXPECT_THAT(add("ring_write", {a, no_state, pos, seq}), HasSubstr("'no_state' is no state but temp"));
  EXPECT_EQ(g.nodes().size(), nodes) << "a failed node leaves nothing behind";
  EXPECT_EQ(g.values().size(), values + 1);
}

TEST(GraphBuild, WritingIntoAValueChecksItsType) {
  Graph g = small();
  const ValueId x = id_of(g, "x"), w = id_of(g, "w");
  const ValueId wrong = g.add_value(Role::temp, {DType::f32, {{8, 1}, {33, 0}}}, "wrong");
  EXPECT_THAT(message_of(
                  [&] {
                    g.add_node_into("matmul", {x, w}, {wrong}, {}, "bad", 0);
                  },
                  Code::invalid_argument),
              HasSubstr("output 'wrong' is f32[n_tokens,33], the op makes it f32[n_tokens,32]"));
  EXPECT_THAT(message_of(
                  [&] {
                    g.add_node_into("matmul", {x, w}, {}, {}, "bad", 0);
                  },
                  Code::invalid_argument),
              HasSubstr("has 1 outputs, 0 were given"));
  EXPECT_THAT(message_of(
                  [&] {
                    g.add_node_into("matmul", {x, w}, {k_none}, {}, "bad", 0);
                  },
                  Code::invalid_argument),
              HasSubstr("does not exist"));
}

// ---- verifier -------------------------------------------------------------------------------------------------------

struct Parts {
  std::vector<Symbol> symbols;
  std::vector<Value> values;
  std::vector<Node> nodes;
  ValueId id(std::string_view name) const {
    for (const Value& value : values)
      if (value.name == name) return value.id;
    ADD_FAILURE() << "no value " << name;
    return 0;
  }
};

std::string defect(const std::function<void(Parts&)>& break_it) {
  const Graph good = small();
  verify(good);
  Parts parts{good.symbols(), good.values(), good.nodes()};
  break_it(parts);
  const Graph bad("bad", parts.symbols, parts.values, parts.nodes);
  return message_of([&] { verify(bad); }, Code::internal);
}

TEST(GraphVerify, AcceptsGoodGraphs) {
  verify(Graph());
  verify(small());
  for (const int layers : {0, 1, 3}) verify(samples::model(layers));
}

TEST(GraphVerify, Operands) {
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].in[0] = 99; }), HasSubstr("node 'one' reads value 99"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].out[0] = 99; }), HasSubstr("node 'one' writes value 99"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].out[0] = k_none; }), HasSubstr("node 'one' writes value"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].in[1] = k_none; }), HasSubstr("'w' is missing"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].in.pop_back(); }), HasSubstr("has 1 inputs, the op has 2"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].out.clear(); }), HasSubstr("has 0 outputs, the op has 1"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[0].op = "nonsense"; }), HasSubstr("unknown op 'nonsense'"));
}

TEST(GraphVerify, Order) {
  EXPECT_THAT(defect([](Parts& p) {
                std::swap(p.nodes[0], p.nodes[1]);
                std::swap(p.nodes[0].id, p.nodes[1].id);
              }),
              HasSubstr("node 'two' reads 'a' before it is defined"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[1].id = 7; }), HasSubstr("node 'two' has id 7, not 1"));
  EXPECT_THAT(defect([](Parts& p) { p.values[2].id = 7; }), HasSubstr("has id 7, not 2"));
}

TEST(GraphVerify, Definitions) {
  EXPECT_THAT(defect([](Parts& p) {
                Node again = p.nodes[0];
                again.id = 3;
                again.name = "again";
                p.nodes.push_back(again);
              }),
              HasSubstr("'a' is defined twice, again by node 'again'"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes.pop_back(); }), HasSubstr("output 'y' is never written"));
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("a")].role = Role::input; }),
              HasSubstr("node 'one' (matmul) writes 'a', a value of role input"));
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("a")].role = Role::weight; }), HasSubstr("a value of role weight"));
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("a")].role = Role::state; }), HasSubstr("a value of role state"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].role = static_cast<Role>(9); }), HasSubstr("has role 9"));
}

TEST(GraphVerify, StatesAreUpdatedInPlace) {
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("window")].role = Role::input; }),
              HasSubstr("node 'two' (ring_write) does not update a state in place"));
  EXPECT_THAT(defect([](Parts& p) {
                Value other = p.values[p.id("window")];
                other.id = static_cast<ValueId>(p.values.size());
                other.name = "other";
                p.values.push_back(other);
                p.nodes[1].out[0] = other.id;
              }),
              HasSubstr("does not update a state in place: output 'window' is 'other'"));
}

TEST(GraphVerify, Types) {
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("a")].type.dims[1].max = 64; }),
              HasSubstr("writes 'a' as f32[n_tokens,32], which is f32[n_tokens,64]"));
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("a")].type.dtype = DType::f16; }), HasSubstr("which is f16"));
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("x")].type.dims[1].max = 32; }), HasSubstr("node 'one' (matmul)"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].type.dtype = static_cast<DType>(77); }), HasSubstr("unknown dtype 77"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].type.dims.assign(7, Dim{1, 0}); }), HasSubstr("rank 7"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].type.dims[1].max = -1; }), HasSubstr("a dimension of -1"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].type.dims[1].max = std::numeric_limits<std::int64_t>::max() / 4; }),
              HasSubstr("more elements than can be counted"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].type.dims[0].sym = 2; }), HasSubstr("symbol 2, which does not exist"));
  EXPECT_THAT(defect([](Parts& p) { p.values[0].type.dims[0].max = 4; }), HasSubstr("n_tokens <= 4"));
  EXPECT_THAT(defect([](Parts& p) { p.values[p.id("w")].type.dims[1].max = 40; }),
              HasSubstr("no whole number of q8_0 blocks"));
}

TEST(GraphVerify, Names) {
  EXPECT_THAT(defect([](Parts& p) { p.nodes[1].name = "one"; }), HasSubstr("two nodes are called 'one'"));
  EXPECT_THAT(defect([](Parts& p) { p.values[1].name = "x"; }), HasSubstr("two values are called 'x'"));
  EXPECT_THAT(defect([](Parts& p) { p.nodes[1].name.clear(); }), HasSubstr("node 1 has no name"));
  EXPECT_THAT(defect([](Parts& p) { p.values[1].name.clear(); }), HasSubstr("value 1 has no name"));
  EXPECT_THAT(defect([](Parts& p) { p.symbols.push_back({2, "n_tokens", 8}); }), HasSubstr("two symbols"));
  EXPECT_THAT(defect([](Parts& p) { p.symbols[0].id = 3; }), HasSubstr("symbol 'n_tokens' has id 3"));
  EXPECT_THAT(defect([](Parts& p) { p.symbols[0].max = 0; }), HasSubstr("has the maximum 0"));
}

// ---- text -----------------------------------------------------------------------------------------------------------

TEST(GraphText, LooksLikeThis) {
  EXPECT_EQ(print(small()), "graph \"small\"\n"
                            "symbol n_tokens <= 8\n"
                            "input  %x      : f32[n_tokens,64]\n"
                            "input  %pos    : i32[n_tokens]\n"
                            "input  %seq    : i32[n_tokens,3]\n"
                            "weight %w      : q8_0[32,64]\n"
                            "weight %u      : f16[32,32]\n"
                            "state  %window : f16[2,16,32]\n"
                            "output %y      : f32[n_tokens,32]\n"
                            "\n"
                            "%a : f32[n_tokens,32] = matmul(%x, %w) {act8=1} @one\n"
                            "%window               = ring_write(%a, %window, %pos, %seq) @two\n"
                            "%y                    = matmul(%a, %u) @three\n");
}

TEST(GraphText, LayersStandApart) {
  const std::string text = print(samples::model(2));
  std::size_t gaps = 0;
  for (std::size_t at = 0; (at = text.find("\n\n", at)) != std::string::npos; ++at) ++gaps;
  EXPECT_EQ(gaps, 4u) << "before the first node, both layers and the head";
}

TEST(GraphText, RoundTrips) {
  for (const int layers : {0, 1, 2}) {
    const Graph g = samples::model(layers);
    const Graph again = parse(print(g));
    EXPECT_TRUE(same(g, again));
    EXPECT_EQ(print(g), print(again));
    verify(again);
  }
}

TEST(GraphText, AttributesRoundTripExactly) {
  Graph g = small();
  const double tiny = std::numeric_limits<double>::denorm_min(), third = 1.0 / 3.0;
  Attrs attrs{{"eps", 1e-6},
              {"i", std::numeric_limits<std::int64_t>::min()},
              {"j", std::numeric_limits<std::int64_t>::max()},
              {"whole", 2.0},
              {"negative_zero", -0.0},
              {"huge", std::numeric_limits<double>::max()},
              {"tiny", tiny},
              {"third", third},
              {"inf", -std::numeric_limits<double>::infinity()},
              {"empty", std::string()},
              {"odd name", std::string("quote \" back \\ tab \t line \n nul ") + std::string(1, '\0') + "\x7f é # }"}};
  g.add_node("rms_norm", {id_of(g, "a")}, attrs, "norm");
  const Graph again = parse(print(g));
  ASSERT_TRUE(same(g, again)) << print(g);
  const Attrs& got = again.nodes().back().attrs;
  EXPECT_TRUE(std::holds_alternative<double>(got.items().find("whole")->second));
  EXPECT_TRUE(std::signbit(got.get_float("negative_zero")));
  EXPECT_EQ(got.get_float("tiny"), tiny);
}

TEST(GraphText, NotANumberRoundTrips) {
  Graph g = small();
  g.add_node("rms_norm", {id_of(g, "a")}, {{"eps", 1e-6}, {"x", std::nan("")}}, "norm");
  EXPECT_TRUE(std::isnan(parse(print(g)).nodes().back().attrs.get_float("x")));
}

TEST(GraphText, OddNamesRoundTrip) {
  Graph g = small();
  g.rename(id_of(g, "a"), "a \"b\" # %c, d");
  g.name = "line one\nline two";
  g.add_symbol("2 wide", 4);
  g.add_value(Role::input, {DType::f32, {{4, 2}}}, "_");
  g.add_value(Role::temp, {DType::f32, {}}, "nobody.writes.this");
  g.add_node("add", {id_of(g, "y"), id_of(g, "y")}, {}, "line");
  EXPECT_TRUE(same(g, parse(print(g)))) << print(g);
}

TEST(GraphText, TypesAndNamesMayBeLeftOut) {
  const Graph g = parse("# a comment\n\ninput %x : f32[4,64]  # another\r\nweight %w : f32[2,64]\n%y = matmul(%x, %w)");
  ASSERT_EQ(g.nodes().size(), 1u);
  EXPECT_EQ(g.nodes()[0].name, "y");
  EXPECT_EQ(g.value(g.nodes()[0].out[0]).type, (ValueType{DType::f32, {{4, 0}, {2, 0}}}));
}

TEST(GraphText, SameSeesEveryDifference) {
  const Graph g = small();
  const auto differs = [&](const std::string& from, const std::string& to) {
    std::string text = print(g);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    EXPECT_FALSE(same(g, parse(text))) << to;
  };
  differs("graph \"small\"", "graph \"other\"");
  differs("n_tokens <= 8", "n_tokens <= 9");
  differs("@one", "@uno");
  differs("@one", "@one line 5");
  differs("act8=1", "act8=0");
  differs("act8=1", "act8=1.0");
  differs("output %y", "temp %y");
  differs("matmul(%a, %u)", "matmul(%y, %u)"); // not verified, but told apart
}

TEST(GraphText, ErrorsNameLineAndColumn) {
  const std::string head = "symbol n <= 8\ninput %x : f32[n,64]\nweight %w : f32[2,64]\n";
  const auto at = [&](const std::string& line) {
    return message_of([&] { parse(head + line); }, Code::invalid_argument);
  };
  EXPECT_THAT(at("%y = matmul(%x, %v)"), HasSubstr("line 4 column 17: value 'v' is not defined yet"));
  EXPECT_THAT(at("%y = matmul(%x %w)"), HasSubstr("line 4 column 16: expected ')'"));
  EXPECT_THAT(at("%y matmul(%x, %w)"), HasSubstr("line 4 column 4: expected '='"));
  EXPECT_THAT(at("\n  %y = matmul(%x, %w) {act8=}"), HasSubstr("line 5 column 29: expected an integer"));
  EXPECT_THAT(at("%y = matmul(%x, %w) {act8=1x}"), HasSubstr("column 27: '1x' is no integer"));
  EXPECT_THAT(at("%y = matmul(%x, %w) {i=99999999999999999999}"), HasSubstr("is no integer, float or string"));
  EXPECT_THAT(at("%y = matmul(%x, %w) {a=1, a=2}"), HasSubstr("column 27: attribute 'a' stands twice"));
  EXPECT_THAT(at("%y = matmul(%x, %w) @a line 99999999999"), HasSubstr("column 29: the line number is too large"));
  EXPECT_THAT(at("%y = matmul(%x, %w) @a b"), HasSubstr("column 24: expected the end of the line"));
  EXPECT_THAT(at("%y, %z = matmul(%x, %w)"), HasSubstr("line 4 column 1: op 'matmul' has 1 outputs"));
  EXPECT_THAT(at("%y : f32[n,3] = matmul(%x, %w)"), HasSubstr("the op makes it f32[n,2]"));
  EXPECT_THAT(at("%y = matmul(%w, %x)"), HasSubstr("line 4 column 1:"));
  EXPECT_THAT(at("%x : f32[1] = matmul(%x, %w)"), HasSubstr("value 'x' is declared twice"));
  EXPECT_THAT(at("input %x : f32[1]"), HasSubstr("line 4 column 7: value 'x' is declared twice"));
  EXPECT_THAT(at("symbol n <= 9"), HasSubstr("line 4 column 8: symbol 'n' is declared twice"));
  EXPECT_THAT(at("symbol m <= 0"), HasSubstr("line 4 column 13: a maximum must be at least 1"));
  EXPECT_THAT(at("input %y : f33[1]"), HasSubstr("line 4 column 12: there is no format 'f33'"));
  EXPECT_THAT(at("input %y : f32[m]"), HasSubstr("line 4 column 16: there is no symbol 'm'"));
  EXPECT_THAT(at("input %y : f32[-1]"), HasSubstr("must be at least 0"));
  EXPECT_THAT(at("input %y : f32[1,1,1,1,1,1,1]"), HasSubstr("at most 6 dimensions"));
  EXPECT_THAT(at("inputs %y : f32[1]"), HasSubstr("line 4 column 1: 'inputs' begins no statement"));
  EXPECT_THAT(at("graph small"), HasSubstr("line 4 column 7: expected '\"'"));
  EXPECT_THAT(at("graph \"small"), HasSubstr("line 4 column 13: expected '\"' at the end"));
  EXPECT_THAT(at("graph \"\\q\""), HasSubstr("only \\\" \\\\ \\n \\t and \\xNN"));
  EXPECT_THAT(at("graph \"\\x1\""), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(at("?"), HasSubstr("line 4 column 1: expected a statement"));
}

TEST(GraphText, ManglingNeverCrashes) {
  const std::string text = print(samples::model(1));
  std::mt19937 random(7);
  std::size_t refused = 0;
  for (int round = 0; round < 600; ++round) {
    std::string bad = text;
    for (int edit = 0; edit < 3; ++edit) {
      const std::size_t at = random() % bad.size();
      switch (random() % 3) {
      case 0: bad[at] = static_cast<char>(random() % 256); break;
      case 1: bad.erase(at, random() % 9); break;
      default: bad.insert(at, text.substr(random() % text.size(), random() % 9));
      }
    }
    try {
      verify(parse(bad));
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 300u);
}

// ---- random graphs --------------------------------------------------------------------------------------------------

/// Projections, norms, sums and ring writes over what is there already: always valid.
Graph random_graph(std::uint32_t seed, int nodes) {
  std::mt19937 random(seed);
  const auto pick = [&](const auto& list) { return list[random() % list.size()]; };
  Graph g;
  g.name = fmt::format("random {}", seed);
  const Dim t{16, g.add_symbol("n_tokens", 16)};
  const ValueId pos = g.add_value(Role::input, {DType::i32, {t}}, "pos");
  const ValueId seq = g.add_value(Role::input, {DType::i32, {t, {3, 0}}}, "seq");
  const std::vector<std::int64_t> widths{32, 64, 256};
  const std::vector<DType> formats{DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::mxfp4};
  std::vector<std::vector<ValueId>> rows(widths.size()); // values of each width
  for (std::size_t w = 0; w < widths.size(); ++w)
    rows[w].push_back(g.add_value(Role::input, {DType::f32, {t, {widths[w], 0}}}, fmt::format("x{}", widths[w])));
  for (int n = 0; n < nodes; ++n) {
    const std::size_t from = random() % widths.size(), to = random() % widths.size();
    const ValueId x = pick(rows[from]);
    const std::string name = fmt::format("blk.{:02}.n{}", n / 8, n);
    switch (random() % 4) {
    case 0: {
      const ValueId w =
          g.add_value(Role::weight, {pick(formats), {{widths[to], 0}, {widths[from], 0}}}, fmt::format("w{}", n));
      rows[to].push_back(g.add_node("matmul", {x, w}, {{"act8", static_cast<std::int64_t>(random() % 2)}}, name)[0]);
      break;
    }
    case 1: {
      const double eps =
          std::ldexp(1.0 + static_cast<double>(random()) / 4294967296.0, -static_cast<int>(random() % 40));
      rows[from].push_back(g.add_node("rms_norm", {x, k_none}, {{"eps", eps}}, name)[0]);
      break;
    }
    case 2: rows[from].push_back(g.add_node("add", {x, pick(rows[from])}, {}, name)[0]); break;
    default: {
      const ValueId ring =
          g.add_value(Role::state, {DType::f16, {{2, 0}, {24, 0}, {widths[from], 0}}}, fmt::format("blk.{}.s", n));
      g.add_node("ring_write", {x, ring, pos, seq}, {}, name);
    }
    }
  }
  for (const auto& list : rows)
    if (g.value(list.back()).role == Role::temp) g.set_role(list.back(), Role::output);
  return g;
}

TEST(GraphText, RandomGraphsRoundTrip) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    const Graph g = random_graph(seed, 1 + static_cast<int>(seed) * 3);
    verify(g);
    const std::string text = print(g);
    const Graph again = parse(text);
    verify(again);
    ASSERT_TRUE(same(g, again)) << text;
    ASSERT_EQ(text, print(again));
  }
}

TEST(GraphText, ThousandsOfNodes) {
  const Graph g = random_graph(99, 20000);
  EXPECT_TRUE(same(g, parse(print(g))));
}

} // namespace
} // namespace seacliff::graph
