#include "graph/passes/passes.hpp"

#include <algorithm>

namespace seacliff::graph {
namespace {

/// Which nodes reach an OUTPUT or update a STATE.
std::vector<bool> live_nodes(const Graph& graph) {
  std::vector<bool> needed(graph.values().size(), false), live(graph.nodes().size(), false);
  for (const Value& value : graph.values()) needed[value.id] = value.role == Role::output || value.role == Role::state;
  for (std::size_t n = graph.nodes().size(); n-- > 0;) {
    const Node& node = graph.nodes()[n];
    live[n] = std::any_of(node.out.begin(), node.out.end(), [&](ValueId id) { return needed[id]; });
    if (!live[n]) continue;
    for (const ValueId id : node.in)
      if (id != k_none) needed[id] = true;
  }
  return live;
}

} // namespace

Graph dead_code(const Graph& graph) {
  const std::vector<bool> live = live_nodes(graph);
  std::vector<bool> keep(graph.values().size(), false);
  for (const Value& value : graph.values())
    keep[value.id] = value.role == Role::input || value.role == Role::output || value.role == Role::state;
  for (const Node& node : graph.nodes()) {
    if (!live[node.id]) continue;
    for (const std::vector<ValueId>* list : {&node.in, &node.out})
      for (const ValueId id : *list)
        if (id != k_none) keep[id] = true;
  }

  Graph out(graph.name, graph.symbols(), {}, {});
  std::vector<ValueId> renumbered(graph.values().size(), k_none);
  for (const Value& value : graph.values())
    if (keep[value.id]) renumbered[value.id] = out.add_value(value.role, value.type, value.name);
  const auto renumber = [&](std::vector<ValueId> ids) {
    for (ValueId& id : ids)
      if (id != k_none) id = renumbered[id];
    return ids;
  };
  for (const Node& node : graph.nodes())
    if (live[node.id])
      out.add_node_into(node.op, renumber(node.in), renumber(node.out), node.attrs, node.name, node.source_line);
  return out;
}

} // namespace seacliff::graph
