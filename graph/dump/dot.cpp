#include "graph/dump/dump.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

namespace seacliff::graph {
namespace {

/// Text inside a quoted Graphviz string. A line break is written as the two characters `\n`.
std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class DotWriter {
public:
  DotWriter(const Graph& graph, const DumpOptions& options)
      : graph_(graph), options_(options), producer_(graph.values().size(), k_none), touched_(graph.values().size()) {
    for (const Node& node : graph.nodes()) {
      for (const std::vector<ValueId>* list : {&node.in, &node.out})
        for (const ValueId id : *list)
          if (id != k_none) touched_[id] = true;
      for (const ValueId id : node.out)
        if (graph.value(id).role != Role::state) producer_[id] = node.id;
    }
  }

  std::string run() {
    line("digraph seacliff {{");
    line("  label={}; labelloc=t; rankdir=TB; fontname=\"sans-serif\";", in_quotes(graph_.name));
    line("  node [fontname=\"sans-serif\", fontsize=10, shape=box, style=\"rounded,filled\", fillcolor=white];");
    line("  edge [fontname=\"sans-serif\", fontsize=8, color=gray40];");
    members();
    for (const Node& node : graph_.nodes()) edges(node);
    for (const Value& value : graph_.values())
      if (value.role == Role::output && producer_[value.id] != k_none)
        line("  n{} -> v{} [label={}];", producer_[value.id], value.id, in_quotes(print_type(graph_, value.type)));
    line("}}");
    return fmt::to_string(out_);
  }

private:
  template <typename... Args> void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_.push_back('\n');
  }

  bool drawn(const Value& value) const {
    switch (value.role) {
    case Role::temp: return touched_[value.id] && producer_[value.id] == k_none;
    case Role::weight: return options_.show_weights && touched_[value.id];
    default: return touched_[value.id] || value.role == Role::output;
    }
  }

  /// Nodes and drawn values, by layer; those of no layer stand outside the clusters.
  void members() {
    struct Layer {
      std::vector<const Node*> nodes;
      std::vector<const Value*> values;
    };
    std::map<std::int64_t, Layer> layers; // -1: none
    const auto key = [](std::string_view name) {
      const auto layer = layer_of(name);
      return layer ? std::int64_t{*layer} : -1;
    };
    for (const Node& node : graph_.nodes()) layers[key(node.name)].nodes.push_back(&node);
    for (const Value& value : graph_.values()) {
      if (!drawn(value)) continue;
      const bool belongs = value.role == Role::state || value.role == Role::weight;
      layers[belongs ? key(value.name) : -1].values.push_back(&value);
    }
    for (const auto& [number, layer] : layers) {
      const bool cluster = number >= 0;
      if (cluster) line("  subgraph cluster_blk_{:02} {{ label=\"blk.{:02}\"; color=gray70;", number, number);
      const std::string_view indent = cluster ? "    " : "  ";
      for (const Value* value : layer.values) draw_value(*value, indent);
      for (const Node* node : layer.nodes) draw_node(*node, indent);
      if (cluster) line("  }}");
    }
  }

  void draw_value(const Value& value, std::string_view indent) {
    std::string_view look = "shape=ellipse, fillcolor=honeydew";
    if (value.role == Role::state) look = "shape=box, style=filled, fillcolor=lightyellow";
    if (value.role == Role::weight) look = "shape=note, style=filled, fillcolor=gray95";
    if (value.role == Role::output) look = "shape=ellipse, fillcolor=mistyrose";
    line("{}v{} [label={}, {}];", indent, value.id, in_quotes(value.name + "\n" + print_type(graph_, value.type)),
         look);
  }

  void draw_node(const Node& node, std::string_view indent) {
    const ops::Schema* schema = ops::find_schema(node.op);
    const bool composite = schema != nullptr && schema->composite();
    std::string attrs;
    for (const auto& [name, value] : node.attrs.items()) attrs += fmt::format("{}={} ", name, print_attr(value));
    line("{}n{} [label={}{}, tooltip={}];", indent, node.id, in_quotes(node.op + "\n" + node.name),
         composite ? ", fillcolor=lightsteelblue" : "", in_quotes(attrs.empty() ? node.op : attrs));
  }

  void edges(const Node& node) {
    for (std::size_t i = 0; i < node.in.size(); ++i) {
      const ValueId id = node.in[i];
      if (id == k_none) continue;
      const Value& value = graph_.value(id);
      const std::string label = in_quotes(print_type(graph_, value.type));
      if (value.role == Role::state) {
        const bool updates = std::find(node.out.begin(), node.out.end(), id) != node.out.end();
        line("  v{} -> n{} [label={}, style=dashed{}];", id, node.id, label,
             updates ? ", dir=both, color=firebrick" : "");
      } else if (producer_[id] != k_none) {
        line("  n{} -> n{} [label={}];", producer_[id], node.id, label);
      } else if (drawn(value)) {
        line("  v{} -> n{} [label={}];", id, node.id, label);
      }
    }
  }

  const Graph& graph_;
  const DumpOptions& options_;
  std::vector<std::uint32_t> producer_; // per value: the node that defines it
  std::vector<bool> touched_;
  fmt::memory_buffer out_;
};

} // namespace

std::string to_dot(const Graph& graph, const DumpOptions& options) {
  return DotWriter(select_layers(graph, options), options).run();
}

} // namespace seacliff::graph
