#include "graph/dump/dump.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace seacliff::graph {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const ops::AttrValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return *i;
  if (const auto* f = std::get_if<double>(&value)) {
    if (std::isfinite(*f)) return *f;
    return print_attr(value); // JSON has no inf and no nan
  }
  return std::get<std::string>(value);
}

Json to_json(const Graph& graph, const Value& value) {
  Json dims = Json::array();
  for (const Dim& dim : value.type.dims) {
    if (dim.sym != 0)
      dims.push_back(graph.symbol(dim.sym).name);
    else
      dims.push_back(dim.max);
  }
  return {{"id", value.id},
          {"name", value.name},
          {"role", role_name(value.role)},
          {"dtype", dtype_info(value.type.dtype).name},
          {"dims", std::move(dims)},
          {"max_bytes", value.type.max_bytes()}};
}

Json to_json(const ops::Cost& cost) {
  return {{"flops", cost.flops}, {"bytes_weights", cost.bytes_weights}, {"bytes_activations", cost.bytes_activations}};
}

Json to_json(const Node& node, const ops::Cost& cost) {
  Json in = Json::array(), attrs = Json::object();
  for (const ValueId id : node.in) in.push_back(id == k_none ? Json() : Json(id));
  for (const auto& [key, value] : node.attrs.items()) attrs[key] = to_json(value);
  const auto layer = layer_of(node.name);
  return {
      {"id", node.id},        {"op", node.op},   {"name", node.name},         {"layer", layer ? Json(*layer) : Json()},
      {"in", std::move(in)},  {"out", node.out}, {"attrs", std::move(attrs)}, {"line", node.source_line},
      {"cost", to_json(cost)}};
}

} // namespace

ops::Cost node_cost(const Graph& graph, const Node& node) {
  const ops::Schema* schema = ops::find_schema(node.op);
  if (schema == nullptr || schema->cost == nullptr) return {};
  std::vector<const ValueType*> in, out;
  for (const ValueId id : node.in) in.push_back(id == k_none ? nullptr : &graph.value(id).type);
  for (const ValueId id : node.out) out.push_back(&graph.value(id).type);
  return schema->cost(in, out, node.attrs);
}

std::string to_json(const Graph& whole, const DumpOptions& options) {
  const Graph graph = select_layers(whole, options);
  Json symbols = Json::array(), values = Json::array(), nodes = Json::array();
  for (const Symbol& symbol : graph.symbols()) symbols.push_back({{"name", symbol.name}, {"max", symbol.max}});
  for (const Value& value : graph.values()) values.push_back(to_json(graph, value));
  ops::Cost total;
  std::size_t composites = 0;
  for (const Node& node : graph.nodes()) {
    const ops::Cost cost = node_cost(graph, node);
    total.flops += cost.flops;
    total.bytes_weights += cost.bytes_weights;
    total.bytes_activations += cost.bytes_activations;
    const ops::Schema* schema = ops::find_schema(node.op);
    if (schema != nullptr && schema->composite()) ++composites;
    nodes.push_back(to_json(node, cost));
  }
  Json totals = {{"nodes", graph.nodes().size()}, {"composites", composites}};
  totals.update(to_json(total));
  const Json document = {{"graph", graph.name},
                         {"symbols", std::move(symbols)},
                         {"values", std::move(values)},
                         {"nodes", std::move(nodes)},
                         {"totals", std::move(totals)}};
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace seacliff::graph
