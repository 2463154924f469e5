#include "graph/ir/ir.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

namespace seacliff::graph {
namespace {

bool is_optional(std::string_view operand) {
  const auto mark = operand.find_last_not_of("?!");
  return operand.find('?', mark == std::string_view::npos ? 0 : mark) != std::string_view::npos;
}

std::string_view bare_name(std::string_view operand) { return operand.substr(0, operand.find_last_not_of("?!") + 1); }

const ops::Schema& schema_of(std::string_view op) {
  const ops::Schema* schema = ops::find_schema(op);
  if (schema == nullptr)
    throw Error(Code::invalid_argument, fmt::format("there is no op '{}'", op), "see docs/ops.md for the catalogue");
  return *schema;
}

/// Fills up trailing optional inputs, so that the operands of a node always match the schema one to one.
void pad_inputs(const ops::Schema& schema, std::vector<ValueId>& in) {
  while (in.size() < schema.inputs.size() && is_optional(schema.inputs[in.size()])) in.push_back(k_none);
}

[[noreturn]] void rethrow_at_node(const Error& error, std::string_view node, std::string_view op) {
  Status status = error.status();
  status.message = fmt::format("node '{}' ({}): {}", node, op, status.message);
  status.details.emplace_back("node", std::string(node));
  throw Error(std::move(status));
}

/// The value that output `o` updates in place, or k_none when the output is a value of its own.
ValueId updated_state(const Graph& graph, const ops::Schema& schema, std::size_t o, std::span<const ValueId> in) {
  const int alias = schema.alias_of(o);
  if (alias < 0 || in[static_cast<std::size_t>(alias)] == k_none) return k_none;
  const Value& state = graph.value(in[static_cast<std::size_t>(alias)]);
  if (state.role != Role::state)
    throw Error(Code::invalid_argument, fmt::format("input '{}' is updated in place, but value '{}' is no state but {}",
                                                    bare_name(schema.inputs[static_cast<std::size_t>(alias)]),
                                                    state.name, role_name(state.role)));
  return state.id;
}

std::unordered_map<std::string_view, const Value*> values_by_name(const Graph& graph) {
  std::unordered_map<std::string_view, const Value*> map;
  map.reserve(graph.values().size());
  for (const Value& value : graph.values()) map.emplace(value.name, &value);
  return map;
}

} // namespace

std::string_view role_name(Role role) {
  switch (role) {
  case Role::input: return "input";
  case Role::output: return "output";
  case Role::weight: return "weight";
  case Role::state: return "state";
  case Role::temp: return "temp";
  }
  return "?";
}

std::optional<std::uint32_t> layer_of(std::string_view name) {
  constexpr std::string_view prefix = "blk.";
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  const char *first = name.data() + prefix.size(), *last = name.data() + name.size();
  std::uint32_t layer = 0;
  const auto [end, error] = std::from_chars(first, last, layer);
  if (error != std::errc() || (end != last && *end != '.')) return std::nullopt;
  return layer;
}

std::uint32_t Graph::add_symbol(std::string symbol_name, std::int64_t max) {
  const auto id = static_cast<std::uint32_t>(symbols_.size() + 1);
  symbols_.push_back({id, std::move(symbol_name), max});
  return id;
}

ValueId Graph::add_value(Role role, ValueType type, std::string value_name) {
  const auto id = static_cast<ValueId>(values_.size());
  values_.push_back({id, role, std::move(type), std::move(value_name)});
  return id;
}

std::vector<ValueType> infer_types(const Graph& graph, std::string_view op, std::span<const ValueId> in,
                                   const Attrs& attrs) {
  const ops::Schema& schema = schema_of(op);
  if (in.size() > schema.inputs.size())
    throw Error(Code::invalid_argument,
                fmt::format("op '{}' takes {} inputs, {} were given", op, schema.inputs.size(), in.size()));
  std::vector<const ValueType*> types(schema.inputs.size(), nullptr);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const ValueId id = i < in.size() ? in[i] : k_none;
    if (id == k_none) {
      if (!is_optional(schema.inputs[i]))
        throw Error(Code::invalid_argument, fmt::format("input '{}' is missing", bare_name(schema.inputs[i])));
      continue;
    }
    if (id >= graph.values().size())
      throw Error(Code::invalid_argument,
                  fmt::format("input '{}' is value {}, which does not exist", bare_name(schema.inputs[i]), id));
    types[i] = &graph.value(id).type;
  }
  std::vector<ValueType> out = schema.infer(types, attrs);
  if (out.size() != schema.outputs.size())
    throw Error(Code::internal, fmt::format("the schema of '{}' names {} outputs but infers {}", op,
                                            schema.outputs.size(), out.size()));
  return out;
}

std::vector<ValueId> Graph::add_node(std::string_view op, std::vector<ValueId> in, Attrs attrs, std::string node_name,
                                     std::source_location where) {
  try {
    std::vector<ValueType> types = infer_types(*this, op, in, attrs);
    const ops::Schema& schema = schema_of(op);
    pad_inputs(schema, in);
    std::vector<ValueId> out(types.size(), k_none);
    std::size_t fresh = 0;
    for (std::size_t o = 0; o < out.size(); ++o) {
      out[o] = updated_state(*this, schema, o, in);
      if (out[o] == k_none)
        ++fresh;
      else if (value(out[o]).type != types[o])
        throw Error(Code::invalid_argument,
                    fmt::format("state '{}' is {}, the op makes it {}", value(out[o]).name,
                                print_type(*this, value(out[o]).type), print_type(*this, types[o])));
    }
    for (std::size_t o = 0; o < out.size(); ++o) {
      if (out[o] != k_none) continue;
      std::string value_name = fresh == 1 ? node_name : fmt::format("{}.{}", node_name, bare_name(schema.outputs[o]));
      out[o] = add_value(Role::temp, std::move(types[o]), std::move(value_name));
    }
    const auto id = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back({id, std::string(op), std::move(node_name), std::move(in), out, std::move(attrs), where.line()});
    return out;
  } catch (const Error& error) {
    rethrow_at_node(error, node_name, op);
  }
}

void Graph::add_node_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs,
                          std::string node_name, std::uint32_t source_line) {
  try {
    const std::vector<ValueType> types = infer_types(*this, op, in, attrs);
    const ops::Schema& schema = schema_of(op);
    pad_inputs(schema, in);
    if (out.size() != types.size())
      throw Error(Code::invalid_argument,
                  fmt::format("the op has {} outputs, {} were given", types.size(), out.size()));
    for (std::size_t o = 0; o < out.size(); ++o) {
      if (out[o] >= values_.size())
        throw Error(Code::invalid_argument, fmt::format("output '{}' does not exist", bare_name(schema.outputs[o])));
      const ValueId state = updated_state(*this, schema, o, in);
      if (state != k_none && state != out[o])
        throw Error(Code::invalid_argument,
                    fmt::format("state '{}' is updated in place, but output '{}' is '{}'", value(state).name,
                                bare_name(schema.outputs[o]), value(out[o]).name));
      if (value(out[o]).type != types[o])
        throw Error(Code::invalid_argument,
                    fmt::format("output '{}' is {}, the op makes it {}", value(out[o]).name,
                                print_type(*this, value(out[o]).type), print_type(*this, types[o])));
    }
    const auto id = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back(
        {id, std::string(op), std::move(node_name), std::move(in), std::move(out), std::move(attrs), source_line});
  } catch (const Error& error) {
    rethrow_at_node(error, node_name, op);
  }
}

bool same(const Graph& a, const Graph& b) {
  if (a.name != b.name || a.symbols().size() != b.symbols().size() || a.values().size() != b.values().size() ||
      a.nodes().size() != b.nodes().size())
    return false;
  const auto same_symbol = [](const Symbol& x, const Symbol& y) { return x.name == y.name && x.max == y.max; };
  if (!std::equal(a.symbols().begin(), a.symbols().end(), b.symbols().begin(), same_symbol)) return false;
  const auto in_b = values_by_name(b);
  for (const Value& x : a.values()) {
    const auto it = in_b.find(x.name);
    if (it == in_b.end() || it->second->role != x.role || it->second->type != x.type) return false;
  }
  const auto same_value = [&](ValueId x, ValueId y) {
    return x == k_none || y == k_none ? x == y : a.value(x).name == b.value(y).name;
  };
  const auto same_list = [&](const std::vector<ValueId>& x, const std::vector<ValueId>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_value);
  };
  return std::equal(a.nodes().begin(), a.nodes().end(), b.nodes().begin(), [&](const Node& x, const Node& y) {
    return x.op == y.op && x.name == y.name && x.attrs == y.attrs && x.source_line == y.source_line &&
           same_list(x.in, y.in) && same_list(x.out, y.out);
  });
}

} // namespace seacliff::graph
