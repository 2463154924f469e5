// Pictures of a graph. The text form is `print` in graph/ir/ir.hpp.
#pragma once

#include "graph/ir/ir.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seacliff::graph {

/// The nodes of the layers [first, last] and the values they touch, as a verified graph of its own. What comes from
/// outside is an input, what is read outside an output. Throws Error(out_of_range) when no node is in these layers.
Graph slice_layers(const Graph& graph, std::uint32_t first, std::uint32_t last);

struct DumpOptions {
  std::optional<std::uint32_t> layer_begin, layer_end; // both inclusive; absent: no limit
  bool show_weights = false;
};

/// Applies the layer limits of `options`; without any, a copy.
Graph select_layers(const Graph& graph, const DumpOptions& options);

/// Graphviz: one cluster per layer, states as boxes that their readers and writers point to, shapes on the edges.
std::string to_dot(const Graph& graph, const DumpOptions& options = {});

/// {"graph", "symbols": [{"name","max"}], "values": [{"id","name","role","dtype","dims","max_bytes"}],
///  "nodes": [{"id","op","name","layer","in","out","attrs","line","cost"}], "totals": {"nodes","composites","flops",
///  "bytes_weights","bytes_activations"}}. A dimension is a number or the name of a symbol; an absent input or layer is
/// null; costs are those of one step at the maxima of the symbols. Weights are always listed.
std::string to_json(const Graph& graph, const DumpOptions& options = {});

/// Work of one node by its schema, at the maxima of the symbols.
ops::Cost node_cost(const Graph& graph, const Node& node);

} // namespace seacliff::graph
