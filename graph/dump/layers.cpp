#include "graph/dump/dump.hpp"

#include <algorithm>

namespace seacliff::graph {

Graph slice_layers(const Graph& graph, std::uint32_t first, std::uint32_t last) {
  const std::size_t n_values = graph.values().size();
  std::vector<bool> inside(graph.nodes().size(), false), touched(n_values, false), written(n_values, false),
      read_outside(n_values, false);
  bool any = false;
  for (const Node& node : graph.nodes()) {
    const auto layer = layer_of(node.name);
    inside[node.id] = layer && *layer >= first && *layer <= last;
    any = any || inside[node.id];
    for (const ValueId id : node.in) {
      if (id == k_none) continue;
      if (inside[node.id])
        touched[id] = true;
      else
        read_outside[id] = true;
    }
    if (!inside[node.id]) continue;
    for (const ValueId id : node.out) touched[id] = written[id] = true;
  }
  if (!any)
    throw Error(Code::out_of_range, fmt::format("graph '{}' has no node in layers {}-{}", graph.name, first, last));

  const auto role_here = [&](const Value& value) {
    if (value.role == Role::weight || value.role == Role::state) return value.role;
    if (!written[value.id]) return Role::input;
    return value.role == Role::output || read_outside[value.id] ? Role::output : Role::temp;
  };
  Graph out(fmt::format("{}, layers {}-{}", graph.name, first, last), graph.symbols(), {}, {});
  std::vector<ValueId> renumbered(n_values, k_none);
  for (const Value& value : graph.values())
    if (touched[value.id]) renumbered[value.id] = out.add_value(role_here(value), value.type, value.name);
  const auto renumber = [&](std::vector<ValueId> ids) {
    for (ValueId& id : ids)
      if (id != k_none) id = renumbered[id];
    return ids;
  };
  for (const Node& node : graph.nodes())
    if (inside[node.id])
      out.add_node_into(node.op, renumber(node.in), renumber(node.out), node.attrs, node.name, node.source_line);
  return out;
}

Graph select_layers(const Graph& graph, const DumpOptions& options) {
  if (!options.layer_begin && !options.layer_end) return graph;
  std::uint32_t last = 0;
  for (const Node& node : graph.nodes()) last = std::max(last, layer_of(node.name).value_or(0));
  return slice_layers(graph, options.layer_begin.value_or(0), options.layer_end.value_or(last));
}

} // namespace seacliff::graph
