#include "graph/passes/passes.hpp"

#include <numeric>

namespace seacliff::graph {
namespace {

bool does_nothing(const Node& node) {
  const auto off = [&](std::string_view key) { return node.attrs.get_int(key) == 0; };
  if (node.op == "kv_round") return off("kv8") && off("f16");
  if (node.op == "index_round") return off("idx4") && off("f16");
  return false;
}

} // namespace

Graph fold(const Graph& graph) {
  Graph out(graph.name, graph.symbols(), graph.values(), {});
  std::vector<ValueId> stands_for(graph.values().size());
  std::iota(stands_for.begin(), stands_for.end(), ValueId{0});
  for (const Node& node : graph.nodes()) {
    std::vector<ValueId> in = node.in;
    for (ValueId& id : in)
      if (id != k_none) id = stands_for[id];
    // A STATE may change between this node and its readers; an OUTPUT must be written by somebody.
    const bool foldable = does_nothing(node) && in[0] != k_none && graph.value(in[0]).role != Role::state &&
                          graph.value(node.out[0]).role == Role::temp &&
                          graph.value(in[0]).type == graph.value(node.out[0]).type;
    if (foldable)
      stands_for[node.out[0]] = in[0];
    else
      out.add_node_into(node.op, std::move(in), node.out, node.attrs, node.name, node.source_line);
  }
  return out;
}

} // namespace seacliff::graph
