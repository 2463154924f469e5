// DOT, JSON and layer slices. DOT is checked by a small reader below, and by Graphviz too where it is installed.
#include "graph/dump/dump.hpp"
#include "graph/passes/passes.hpp"
#include "tests/graph/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

namespace seacliff::graph {
namespace {

using testing::HasSubstr;
using testing::Not;

// ---- a reader for the part of DOT that we write
// ----------------------------------------------------------------------

struct Dot {
  std::map<std::string, std::string> nodes;               // id -> label
  std::map<std::string, std::string> cluster_of;          // id -> cluster, "" outside
  std::vector<std::pair<std::string, std::string>> edges; // from, to
  std::set<std::string> clusters;
};

/// Tokens: names, quoted strings (unescaped, with a leading '"'), "->", and single characters.
std::vector<std::string> dot_tokens(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (c == '"') {
      std::string token = "\"";
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) token += text[i++];
        token += text[i];
      }
      if (i == text.size()) throw std::runtime_error("a string has no end");
      ++i;
      out.push_back(token);
    } else if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
      std::string token;
      while (i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_'))
        token += text[i++];
      out.push_back(token);
    } else if (text.compare(i, 2, "->") == 0) {
      out.push_back("->");
      i += 2;
    } else {
      out.emplace_back(1, c);
      ++i;
    }
  }
  return out;
}

Dot read_dot(const std::string& text) {
  const auto tokens = dot_tokens(text);
  Dot dot;
  std::size_t at = 0;
  const auto next = [&] { return at < tokens.size() ? tokens[at] : std::string(); };
  const auto expect = [&](const std::string& token) {
    if (next() != token) throw std::runtime_error("expected " + token + ", got " + next());
    ++at;
  };
  const auto attributes = [&] {
    std::map<std::string, std::string> attrs;
    if (next() != "[") return attrs;
    ++at;
    while (next() != "]") {
      const std::string key = tokens.at(at++);
      expect("=");
      attrs[key] = tokens.at(at++);
      if (next() == ",") ++at;
    }
    ++at;
    return attrs;
  };
  expect("digraph");
  ++at;
  expect("{");
  std::string cluster;
  int depth = 1;
  while (depth > 0) {
    const std::string word = tokens.at(at++);
    if (word == "}") {
      --depth;
      cluster.clear();
    } else if (word == "subgraph") {
      cluster = tokens.at(at++);
      if (!dot.clusters.insert(cluster).second) throw std::runtime_error("cluster twice: " + cluster);
      expect("{");
      ++depth;
    } else if (next() == "=") {
      at += 2;
      expect(";");
    } else if (next() == "->") {
      ++at;
      dot.edges.emplace_back(word, tokens.at(at++));
      attributes();
      expect(";");
    } else {
      const auto attrs = attributes();
      if (word != "node" && word != "edge") {
        if (!dot.nodes.emplace(word, attrs.at("label")).second) throw std::runtime_error("node twice: " + word);
        dot.cluster_of[word] = cluster;
      }
      expect(";");
    }
  }
  if (at != tokens.size()) throw std::runtime_error("text behind the graph");
  for (const auto& [from, to] : dot.edges)
    if (dot.nodes.count(from) == 0 || dot.nodes.count(to) == 0)
      throw std::runtime_error("edge " + from + " -> " + to + " has an end that is no node");
  return dot;
}

bool graphviz_installed() { return std::system("command -v dot >/dev/null 2>&1") == 0; }

// ---- layers ---------------------------------------------------------------------------------------------------------

TEST(Layers, FromNames) {
  EXPECT_EQ(layer_of("blk.07.ffn.experts"), 7u);
  EXPECT_EQ(layer_of("blk.7.window"), 7u);
  EXPECT_EQ(layer_of("blk.123"), 123u);
  for (const char* name : {"", "blk.", "blk.x", "blk.7x.y", "head.norm", "xblk.1.y", "blk.-1.y", "blk.99999999999.y"})
    EXPECT_EQ(layer_of(name), std::nullopt) << name;
}

TEST(Layers, ASliceIsAGraphOfItsOwn) {
  const Graph g = samples::model(3);
  const Graph middle = slice_layers(g, 1, 1);
  verify(middle);
  std::map<std::string, Role> roles;
  for (const Value& value : middle.values()) {
    roles[value.name] = value.role;
    EXPECT_THAT(value.name, Not(HasSubstr("blk.00")));
    EXPECT_THAT(value.name, Not(HasSubstr("blk.2.")));
  }
  EXPECT_EQ(roles.at("streams.0"), Role::input);
  EXPECT_EQ(roles.at("streams.1"), Role::output);
  EXPECT_EQ(roles.at("blk.01.window"), Role::state);
  EXPECT_EQ(roles.at("blk.1.q_a.weight"), Role::weight);
  EXPECT_EQ(roles.at("blk.1.qr"), Role::temp);
  EXPECT_EQ(roles.count("tokens"), 0u);
  std::size_t nodes = 0;
  for (std::uint32_t layer = 0; layer < 3; ++layer) nodes += slice_layers(g, layer, layer).nodes().size();
  EXPECT_EQ(nodes, slice_layers(g, 0, 2).nodes().size());
  EXPECT_EQ(nodes + 5, g.nodes().size()) << "embedding, streams and three nodes of the head belong to no layer";
  EXPECT_TRUE(same(parse(print(middle)), middle));
}

TEST(Layers, NoSuchLayerIsAnError) {
  const Graph g = samples::model(2);
  for (const auto& [a, b] : {std::pair{2u, 9u}, std::pair{1u, 0u}}) {
    try {
      slice_layers(g, a, b);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::out_of_range);
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("layers {}-{}", a, b)));
    }
  }
}

TEST(Layers, LimitsMayBeHalfOpen) {
  const Graph g = samples::model(3);
  EXPECT_EQ(select_layers(g, {}).nodes().size(), g.nodes().size());
  DumpOptions from, to;
  from.layer_begin = to.layer_end = 1;
  EXPECT_TRUE(same(select_layers(g, from), slice_layers(g, 1, 2)));
  EXPECT_TRUE(same(select_layers(g, to), slice_layers(g, 0, 1)));
}

// ---- DOT ------------------------------------------------------------------------------------------------------------

TEST(DumpDot, ClustersByLayerAndDrawsEveryNode) {
  const Graph g = samples::model(3);
  const std::string text = to_dot(g);
  const Dot dot = read_dot(text);
  EXPECT_EQ(dot.clusters, (std::set<std::string>{"cluster_blk_00", "cluster_blk_01", "cluster_blk_02"}));
  for (const Node& node : g.nodes()) {
    const std::string id = fmt::format("n{}", node.id);
    ASSERT_EQ(dot.nodes.count(id), 1u);
    EXPECT_EQ(dot.nodes.at(id), "\"" + node.op + "\\n" + node.name);
    const auto layer = layer_of(node.name);
    EXPECT_EQ(dot.cluster_of.at(id), layer ? fmt::format("cluster_blk_{:02}", *layer) : "");
  }
  for (const Value& value : g.values()) {
    const std::string id = fmt::format("v{}", value.id);
    const bool drawn = value.role == Role::input || value.role == Role::output || value.role == Role::state;
    EXPECT_EQ(dot.nodes.count(id), drawn ? 1u : 0u) << value.name;
    if (value.role != Role::state) continue;
    EXPECT_EQ(dot.cluster_of.at(id), fmt::format("cluster_blk_{:02}", *layer_of(value.name)));
  }
  EXPECT_THAT(text, HasSubstr("f32[n_tokens,4,64]"));
}

TEST(DumpDot, EveryOperandIsAnEdge) {
  const Graph g = samples::model(1);
  const auto count = [&](bool weights) {
    std::size_t n = 1; // the output
    for (const Node& node : g.nodes())
      for (const ValueId id : node.in)
        if (id != k_none && (weights || g.value(id).role != Role::weight)) ++n;
    return n;
  };
  EXPECT_EQ(read_dot(to_dot(g)).edges.size(), count(false));
  DumpOptions options;
  options.show_weights = true;
  const Dot full = read_dot(to_dot(g, options));
  EXPECT_EQ(full.edges.size(), count(true));
  EXPECT_THAT(to_dot(g, options), HasSubstr("blk.0.q_a.weight"));
  EXPECT_THAT(to_dot(g), Not(HasSubstr("blk.0.q_a.weight")));
}

TEST(DumpDot, LayersLimitTheDrawing) {
  DumpOptions options;
  options.layer_begin = options.layer_end = 1;
  const Dot dot = read_dot(to_dot(samples::model(3), options));
  EXPECT_EQ(dot.clusters, (std::set<std::string>{"cluster_blk_01"}));
}

TEST(DumpDot, OddNamesAreQuoted) {
  Graph g = parse("input %x : f32[4,64]\n%y = add(%x, %x) {s=\"a \\\"b\\\" \\\\ ; }\"} @\"no\\\\de \\\"1\\\" [\"\n");
  g.name = "tri\"cky\\";
  const Dot dot = read_dot(to_dot(g));
  EXPECT_EQ(dot.nodes.at("n0"), "\"add\\nno\\\\de \\\"1\\\" [");
}

TEST(DumpDot, GraphvizTakesIt) {
  const Graph g = samples::model(2);
  for (const std::string& text : {to_dot(g), to_dot(decompose(g)), to_dot(Graph())}) {
    EXPECT_NO_THROW(read_dot(text));
    if (!graphviz_installed()) {
      std::puts("Graphviz is not installed: only the structure was checked");
      continue;
    }
    const std::string path = testing::TempDir() + "seacliff_dump_test.dot";
    std::ofstream(path) << text;
    EXPECT_EQ(std::system(("dot -Tcanon '" + path + "' >/dev/null").c_str()), 0);
    std::remove(path.c_str());
  }
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

TEST(DumpJson, HoldsTheWholeGraph) {
  const Graph g = samples::model(1);
  const auto json = nlohmann::json::parse(to_json(g));
  EXPECT_EQ(json["graph"], "sample");
  EXPECT_EQ(json["symbols"], nlohmann::json::parse(R"([{"name":"n_tokens","max":8},{"name":"n_outputs","max":2}])"));
  ASSERT_EQ(json["values"].size(), g.values().size());
  ASSERT_EQ(json["nodes"].size(), g.nodes().size());
  for (const Value& value : g.values()) {
    const auto& seen = json["values"][value.id];
    EXPECT_EQ(seen["id"], value.id);
    EXPECT_EQ(seen["name"], value.name);
    EXPECT_EQ(seen["role"], role_name(value.role));
    EXPECT_EQ(seen["dtype"], dtype_info(value.type.dtype).name);
    EXPECT_EQ(seen["max_bytes"], value.type.max_bytes());
    ASSERT_EQ(seen["dims"].size(), value.type.dims.size());
  }
  EXPECT_EQ(json["values"][2]["dims"], nlohmann::json::parse(R"(["n_tokens", 3])"));
  double flops = 0, weights = 0;
  for (const Node& node : g.nodes()) {
    const auto& seen = json["nodes"][node.id];
    EXPECT_EQ(seen["op"], node.op);
    EXPECT_EQ(seen["name"], node.name);
    EXPECT_EQ(seen["line"], node.source_line);
    EXPECT_EQ(seen["attrs"].size(), node.attrs.items().size());
    ASSERT_EQ(seen["in"].size(), node.in.size());
    for (std::size_t i = 0; i < node.in.size(); ++i) {
      if (node.in[i] == k_none)
        EXPECT_TRUE(seen["in"][i].is_null());
      else
        EXPECT_EQ(seen["in"][i], node.in[i]);
    }
    EXPECT_EQ(seen["layer"].is_null(), !layer_of(node.name).has_value());
    flops += seen["cost"]["flops"].get<double>();
    weights += seen["cost"]["bytes_weights"].get<double>();
  }
  EXPECT_EQ(json["totals"]["nodes"], g.nodes().size());
  EXPECT_EQ(json["totals"]["composites"], 13) << "hc_pre, hc_post and compress twice, and seven others once";
  EXPECT_DOUBLE_EQ(json["totals"]["flops"], flops);
  EXPECT_DOUBLE_EQ(json["totals"]["bytes_weights"], weights);
  EXPECT_GT(flops, 0);
  EXPECT_GT(weights, 0);
}

TEST(DumpJson, AProductCostsWhatItShould) {
  const Graph g = parse("symbol n <= 8\ninput %x : f32[n,64]\nweight %w : q8_0[32,64]\n%y = matmul(%x, %w) @n\n");
  const ops::Cost cost = node_cost(g, g.nodes()[0]);
  EXPECT_EQ(cost.flops, 2.0 * 8 * 64 * 32);
  EXPECT_EQ(cost.bytes_weights, 32.0 * 68);
}

TEST(DumpJson, OddValuesStayReadable) {
  const Graph g = parse("input %x : f32[4,64]\n%y = add(%x, %x) {a=inf, b=nan, c=1.5, d=\"\\xff\"} @n\n");
  const auto attrs = nlohmann::json::parse(to_json(g))["nodes"][0]["attrs"];
  EXPECT_EQ(attrs["a"], "inf");
  EXPECT_EQ(attrs["b"], "nan");
  EXPECT_EQ(attrs["c"], 1.5);
  EXPECT_TRUE(attrs["d"].is_string());
}

TEST(DumpJson, LayersLimitIt) {
  DumpOptions options;
  options.layer_begin = options.layer_end = 2;
  const auto json = nlohmann::json::parse(to_json(samples::model(3), options));
  for (const auto& node : json["nodes"]) EXPECT_EQ(node["layer"], 2);
}

} // namespace
} // namespace seacliff::graph
