// AbiView: what plugins see of a graph. To add a case: a graph, the nodes of a segment, and the roles that must come
// out.
#include "graph/ir/view.hpp"
#include "tests/graph/samples.hpp"

#include <seacliff/sdk/kernel.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>

namespace seacliff::graph {
namespace {

/// Ids from 1 in the order of the catalogue.
std::uint32_t id_of_op(std::string_view op) {
  for (std::size_t i = 0; i < ops::catalogue().size(); ++i)
    if (ops::catalogue()[i].name == op) return static_cast<std::uint32_t>(i + 1);
  return 0;
}

sdk::NodeView node_of(const AbiView& view, std::uint32_t index) {
  const scf_node* node = view.get()->nodes + index;
  return {view.get(), node, ops::catalogue()[node->op - 1].name};
}

TEST(AbiView, WholeGraphKeepsItsNumbers) {
  const Graph g = samples::model(2);
  const AbiView view(g, id_of_op);
  const scf_graph_view& raw = *view.get();
  EXPECT_EQ(raw.h.size, sizeof(scf_graph_view));
  EXPECT_EQ(raw.h.kind, std::uint32_t{SCF_KIND_GRAPH_VIEW});
  EXPECT_EQ(raw.value_stride, sizeof(scf_value));
  EXPECT_EQ(raw.node_stride, sizeof(scf_node));
  ASSERT_EQ(raw.n_values, g.values().size());
  ASSERT_EQ(raw.n_nodes, g.nodes().size());
  for (const Value& value : g.values()) {
    const scf_value& seen = raw.values[value.id];
    EXPECT_EQ(seen.id, value.id);
    EXPECT_EQ(sdk::view(seen.name), value.name);
    EXPECT_EQ(seen.role, static_cast<std::uint32_t>(value.role));
    EXPECT_EQ(seen.dtype, static_cast<std::uint32_t>(value.type.dtype));
    ASSERT_EQ(seen.rank, value.type.dims.size());
    for (std::uint32_t d = 0; d < SCF_MAX_RANK; ++d) {
      EXPECT_EQ(seen.dims[d], d < seen.rank ? value.type.dims[d].max : 0);
      EXPECT_EQ(seen.dim_sym[d], d < seen.rank ? value.type.dims[d].sym : 0u);
    }
    EXPECT_EQ(view.view_value(value.id), value.id);
    EXPECT_EQ(view.graph_value(value.id), value.id);
  }
  for (const Node& node : g.nodes()) {
    const scf_node& seen = raw.nodes[node.id];
    EXPECT_EQ(seen.id, node.id);
    EXPECT_EQ(seen.op, id_of_op(node.op));
    EXPECT_EQ(sdk::view(seen.name), node.name);
    EXPECT_EQ(seen.src_loc, node.source_line);
    EXPECT_EQ(std::vector<ValueId>(seen.in, seen.in + seen.n_in), node.in); // k_none and SCF_NONE are the same number
    EXPECT_EQ(std::vector<ValueId>(seen.out, seen.out + seen.n_out), node.out);
    EXPECT_EQ(seen.n_attr, node.attrs.items().size());
    EXPECT_EQ(view.graph_node(node.id), node.id);
  }
  EXPECT_EQ(view.view_value(static_cast<ValueId>(g.values().size())), SCF_NONE);
}

TEST(AbiView, AttributesKeepTypeAndValue) {
  const Graph g = parse("input %x : f32[4,64]\n%y = rms_norm(%x, _) {eps=1e-06, i=-5, s=\"text\", zero=0.0} @n\n");
  const AbiView view(g, id_of_op);
  const scf_node& node = view.get()->nodes[0];
  std::map<std::string_view, const scf_kv*> attrs;
  for (std::uint32_t i = 0; i < node.n_attr; ++i) attrs[sdk::view(node.attr[i].key)] = &node.attr[i];
  ASSERT_EQ(attrs.size(), 4u);
  EXPECT_EQ(attrs["eps"]->type, std::uint32_t{SCF_KV_FLOAT});
  EXPECT_EQ(attrs["eps"]->v.f, 1e-6);
  EXPECT_EQ(attrs["i"]->type, std::uint32_t{SCF_KV_INT});
  EXPECT_EQ(attrs["i"]->v.i, -5);
  EXPECT_EQ(attrs["s"]->type, std::uint32_t{SCF_KV_STR});
  EXPECT_EQ(sdk::view(attrs["s"]->v.s), "text");
  EXPECT_EQ(attrs["zero"]->type, std::uint32_t{SCF_KV_FLOAT});
  const sdk::NodeView seen = node_of(view, 0);
  EXPECT_EQ(seen.attr_float("eps"), 1e-6);
  EXPECT_FALSE(seen.in(1)) << "an absent optional input";
  EXPECT_EQ(seen.in(0).cols(), 64);
}

TEST(AbiView, OutlivesTheGraphAndMoves) {
  auto g = std::make_unique<Graph>(samples::model(1));
  std::optional<AbiView> first(std::in_place, *g, id_of_op);
  const std::string name = g->nodes()[2].name, weight = g->value(g->nodes()[2].in[1]).name;
  g.reset();
  AbiView second = std::move(*first);
  first.reset();
  const sdk::NodeView node = node_of(second, 2);
  EXPECT_EQ(node.name(), name);
  EXPECT_EQ(sdk::view(node.in(1).value->name), weight);
  EXPECT_EQ(node.attr_int("iters"), 20);
}

TEST(AbiView, SegmentRolesAreThoseOfTheSegment) {
  const Graph g = parse("input %x : f32[4,64]\ninput %pos : i32[4]\ninput %seq : i32[4,3]\nweight %w : f32[64,64]\n"
                        "state %s : f32[2,8,64]\noutput %y : f32[4,64]\n"
                        "%a = matmul(%x, %w) @n0\n"
                        "%b = add(%a, %a) @n1\n"
                        "%c = add(%b, %a) @n2\n"
                        "%s = ring_write(%c, %s, %pos, %seq) @n3\n"
                        "%y = add(%c, %b) @n4\n"
                        "%z = add(%y, %x) @n5\n");
  verify(g);
  const auto roles = [&](std::vector<std::uint32_t> nodes) {
    const AbiView view(g, nodes, id_of_op);
    std::map<std::string, Role> out;
    for (std::uint32_t v = 0; v < view.value_count(); ++v) out[g.value(view.graph_value(v)).name] = view.role(v);
    return out;
  };
  using Roles = std::map<std::string, Role>;
  EXPECT_EQ(roles({0}), (Roles{{"x", Role::input}, {"w", Role::weight}, {"a", Role::output}}));
  EXPECT_EQ(roles({1, 2}), (Roles{{"a", Role::input}, {"b", Role::output}, {"c", Role::output}}));
  EXPECT_EQ(roles({0, 1, 2, 4}), (Roles{{"x", Role::input},
                                        {"w", Role::weight},
                                        {"a", Role::temp},
                                        {"b", Role::temp},
                                        {"c", Role::output},
                                        {"y", Role::output}}));
  EXPECT_EQ(roles({3}), (Roles{{"c", Role::input}, {"s", Role::state}, {"pos", Role::input}, {"seq", Role::input}}));
  EXPECT_EQ(roles({4, 5}),
            (Roles{{"c", Role::input}, {"b", Role::input}, {"x", Role::input}, {"y", Role::output}, {"z", Role::temp}}))
      << "an output of the graph is one of the segment, though only the segment reads it";
  EXPECT_EQ(roles({5}), (Roles{{"y", Role::input}, {"x", Role::input}, {"z", Role::temp}}));
  EXPECT_TRUE(roles({}).empty());
}

TEST(AbiView, SegmentIsNumberedDensely) {
  const Graph g = samples::model(3);
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint32_t> nodes;
    for (const Node& node : g.nodes())
      if (random() % 4 == 0) nodes.push_back(node.id);
    const AbiView view(g, nodes, id_of_op);
    const scf_graph_view& raw = *view.get();
    ASSERT_EQ(raw.n_nodes, nodes.size());
    std::vector<bool> touched(raw.n_values, false);
    for (std::uint32_t n = 0; n < raw.n_nodes; ++n) {
      const scf_node& seen = raw.nodes[n];
      const Node& node = g.nodes()[nodes[n]];
      ASSERT_EQ(seen.id, n);
      ASSERT_EQ(view.graph_node(n), node.id);
      const auto expect_ids = [&](const std::uint32_t* ids, std::uint32_t count, const std::vector<ValueId>& of) {
        ASSERT_EQ(count, of.size());
        for (std::uint32_t i = 0; i < count; ++i) {
          if (of[i] == k_none) {
            ASSERT_EQ(ids[i], SCF_NONE);
            continue;
          }
          ASSERT_LT(ids[i], raw.n_values);
          ASSERT_EQ(view.graph_value(ids[i]), of[i]);
          ASSERT_EQ(view.view_value(of[i]), ids[i]);
          ASSERT_EQ(raw.values[ids[i]].id, ids[i]);
          ASSERT_EQ(sdk::view(raw.values[ids[i]].name), g.value(of[i]).name);
          touched[ids[i]] = true;
        }
      };
      expect_ids(seen.in, seen.n_in, node.in);
      expect_ids(seen.out, seen.n_out, node.out);
    }
    EXPECT_EQ(std::count(touched.begin(), touched.end(), false), 0) << "a value that no node touches";
    std::size_t by_role = 0;
    for (const Role role : {Role::input, Role::output, Role::weight, Role::state, Role::temp})
      for (const std::uint32_t v : view.values_of(role)) by_role += view.role(v) == role;
    EXPECT_EQ(by_role, view.value_count());
  }
}

/// Cutting a graph into consecutive segments: what one reads from outside, an earlier one or the host has given out.
TEST(AbiView, SegmentsFitTogether) {
  const Graph g = samples::model(3);
  std::vector<bool> given(g.values().size(), false);
  for (const Value& value : g.values()) given[value.id] = value.role == Role::input;
  for (std::uint32_t begin = 0; begin < g.nodes().size(); begin += 5) {
    std::vector<std::uint32_t> nodes;
    for (std::uint32_t n = begin; n < std::min<std::size_t>(begin + 5, g.nodes().size()); ++n) nodes.push_back(n);
    const AbiView view(g, nodes, id_of_op);
    for (const std::uint32_t v : view.values_of(Role::input))
      EXPECT_TRUE(given[view.graph_value(v)]) << g.value(view.graph_value(v)).name;
    for (const std::uint32_t v : view.values_of(Role::output)) given[view.graph_value(v)] = true;
  }
}

TEST(AbiView, RefusesWhatIsNoSegment) {
  const Graph g = samples::model(1);
  const auto code = [&](std::vector<std::uint32_t> nodes, const AbiView::OpIds& ids) {
    try {
      AbiView view(g, nodes, ids);
    } catch (const Error& error) {
      return error.code();
    }
    return Code::ok;
  };
  EXPECT_EQ(code({2, 1}, id_of_op), Code::internal);
  EXPECT_EQ(code({1, 1}, id_of_op), Code::internal);
  EXPECT_EQ(code({9999}, id_of_op), Code::internal);
  EXPECT_EQ(code({1}, [](std::string_view) { return 0u; }), Code::not_found);
  EXPECT_EQ(code({1, 2}, id_of_op), Code::ok);
}

} // namespace
} // namespace seacliff::graph
