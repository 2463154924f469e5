#include "graph/ir/view.hpp"

#include <numeric>

namespace seacliff::graph {
namespace {

scf_kv make_kv(scf_str key, const ops::AttrValue& value, const std::function<scf_str(std::string_view)>& keep) {
  scf_kv kv{};
  kv.key = key;
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    kv.type = SCF_KV_INT;
    kv.v.i = *i;
  } else if (const auto* f = std::get_if<double>(&value)) {
    kv.type = SCF_KV_FLOAT;
    kv.v.f = *f;
  } else {
    kv.type = SCF_KV_STR;
    kv.v.s = keep(std::get<std::string>(value));
  }
  return kv;
}

} // namespace

scf_value describe(const Value& value, std::uint32_t id) {
  const std::vector<Dim>& dims = value.type.dims;
  if (dims.size() > SCF_MAX_RANK)
    throw Error(Code::internal,
                fmt::format("value '{}' has rank {}, the most is {}", value.name, dims.size(), SCF_MAX_RANK));
  scf_value seen{};
  seen.id = id;
  seen.dtype = static_cast<std::uint32_t>(value.type.dtype);
  seen.rank = static_cast<std::uint32_t>(dims.size());
  seen.role = static_cast<std::uint32_t>(value.role);
  for (std::size_t i = 0; i < dims.size(); ++i) {
    seen.dims[i] = dims[i].max;
    seen.dim_sym[i] = dims[i].sym;
  }
  seen.name = {value.name.data(), value.name.size()};
  return seen;
}

AbiView::AbiView(const Graph& graph, const OpIds& op_ids) {
  graph_nodes_.resize(graph.nodes().size());
  std::iota(graph_nodes_.begin(), graph_nodes_.end(), 0u);
  view_of_.assign(graph.values().size(), SCF_NONE);
  for (const Value& value : graph.values()) add_value(graph, value.id, value.role);
  add_nodes(graph, op_ids);
}

AbiView::AbiView(const Graph& graph, std::span<const std::uint32_t> nodes, const OpIds& op_ids)
    : graph_nodes_(nodes.begin(), nodes.end()) {
  for (std::size_t i = 0; i < graph_nodes_.size(); ++i) {
    if (graph_nodes_[i] >= graph.nodes().size())
      throw Error(Code::internal,
                  fmt::format("segment names node {}, the graph has {}", graph_nodes_[i], graph.nodes().size()));
    if (i > 0 && graph_nodes_[i] <= graph_nodes_[i - 1])
      throw Error(Code::internal,
                  fmt::format("segment has node {} after node {}", graph_nodes_[i], graph_nodes_[i - 1]));
  }
  view_of_.assign(graph.values().size(), SCF_NONE);
  number_segment_values(graph);
  add_nodes(graph, op_ids);
}

void AbiView::number_segment_values(const Graph& graph) {
  std::vector<bool> inside(graph.nodes().size(), false);
  for (const std::uint32_t n : graph_nodes_) inside[n] = true;
  std::vector<bool> written(graph.values().size(), false), read_outside(graph.values().size(), false);
  for (const Node& node : graph.nodes()) {
    if (inside[node.id]) {
      for (const ValueId id : node.out) written[id] = true;
    } else {
      for (const ValueId id : node.in)
        if (id != k_none) read_outside[id] = true;
    }
  }
  const auto role_here = [&](const Value& value) {
    if (value.role == Role::weight || value.role == Role::state) return value.role;
    if (!written[value.id]) return Role::input;
    return value.role == Role::output || read_outside[value.id] ? Role::output : Role::temp;
  };
  for (const std::uint32_t n : graph_nodes_) {
    const Node& node = graph.nodes()[n];
    for (const std::vector<ValueId>* list : {&node.in, &node.out})
      for (const ValueId id : *list)
        if (id != k_none && view_of_[id] == SCF_NONE) add_value(graph, id, role_here(graph.value(id)));
  }
}

void AbiView::add_value(const Graph& graph, ValueId id, Role role) {
  const Value& from = graph.value(id);
  scf_value value = describe(from, static_cast<std::uint32_t>(values_.size()));
  value.role = static_cast<std::uint32_t>(role);
  value.name = keep(from.name);
  view_of_[id] = value.id;
  graph_values_.push_back(id);
  values_.push_back(value);
}

void AbiView::add_nodes(const Graph& graph, const OpIds& op_ids) {
  std::size_t n_operands = 0, n_attrs = 0;
  for (const std::uint32_t n : graph_nodes_) {
    const Node& node = graph.nodes()[n];
    n_operands += node.in.size() + node.out.size();
    n_attrs += node.attrs.items().size();
  }
  operands_.reserve(n_operands); // nodes point into both: they must not grow again
  attrs_.reserve(n_attrs);
  nodes_.reserve(graph_nodes_.size());
  for (const std::uint32_t n : graph_nodes_) add_node(graph.nodes()[n], op_ids);

  view_.h = {sizeof(scf_graph_view), SCF_KIND_GRAPH_VIEW, nullptr};
  view_.n_values = static_cast<std::uint32_t>(values_.size());
  view_.value_stride = sizeof(scf_value);
  view_.n_nodes = static_cast<std::uint32_t>(nodes_.size());
  view_.node_stride = sizeof(scf_node);
  view_.values = values_.data();
  view_.nodes = nodes_.data();
}

void AbiView::add_node(const Node& node, const OpIds& op_ids) {
  const auto list = [&](const std::vector<ValueId>& ids) {
    const std::uint32_t* begin = operands_.data() + operands_.size();
    for (const ValueId id : ids) operands_.push_back(id == k_none ? SCF_NONE : view_of_[id]);
    return begin;
  };
  scf_node out{};
  out.id = static_cast<std::uint32_t>(nodes_.size());
  out.op = op_id(node.op, op_ids);
  out.n_in = static_cast<std::uint32_t>(node.in.size());
  out.n_out = static_cast<std::uint32_t>(node.out.size());
  out.n_attr = static_cast<std::uint32_t>(node.attrs.items().size());
  out.src_loc = node.source_line;
  out.in = list(node.in);
  out.out = list(node.out);
  out.attr = attrs_.data() + attrs_.size();
  for (const auto& [key, value] : node.attrs.items())
    attrs_.push_back(make_kv(keep(key), value, [this](std::string_view text) { return keep(text); }));
  out.name = keep(node.name);
  nodes_.push_back(out);
}

scf_str AbiView::keep(std::string_view text) {
  const std::string& kept = strings_.emplace_back(text);
  return {kept.data(), kept.size()};
}

std::uint32_t AbiView::op_id(std::string_view op, const OpIds& op_ids) {
  if (const auto it = op_cache_.find(op); it != op_cache_.end()) return it->second;
  const std::uint32_t id = op_ids(op);
  if (id == 0) throw Error(Code::not_found, fmt::format("op '{}' has no id in this host", op));
  op_cache_.emplace(op, id);
  return id;
}

void AbiView::lay_out(const std::function<std::uint32_t(const scf_value&)>& layout_of) {
  for (scf_value& value : values_)
    if (value.role == SCF_ROLE_WEIGHT) value.layout = layout_of(value);
}

std::uint32_t AbiView::view_value(ValueId id) const { return id < view_of_.size() ? view_of_[id] : SCF_NONE; }

std::vector<std::uint32_t> AbiView::values_of(Role role) const {
  std::vector<std::uint32_t> out;
  for (const scf_value& value : values_)
    if (value.role == static_cast<std::uint32_t>(role)) out.push_back(value.id);
  return out;
}

} // namespace seacliff::graph
