// The verifier: what every graph must keep, whoever made it.
#include "graph/ir/ir.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace seacliff::graph {
namespace {

[[noreturn]] void fail(std::string message) { throw Error(Code::internal, "graph: " + std::move(message)); }

class Verifier {
public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.values().size(), false) {}

  void run() {
    check_symbols();
    for (std::size_t i = 0; i < graph_.values().size(); ++i) check_value(graph_.values()[i], i);
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) check_node(graph_.nodes()[i], i);
    for (const Value& value : graph_.values())
      if (value.role == Role::output && !defined_[value.id])
        fail(fmt::format("output '{}' is never written", value.name));
  }

private:
  void check_symbols() {
    std::unordered_set<std::string_view> names;
    for (std::size_t i = 0; i < graph_.symbols().size(); ++i) {
      const Symbol& symbol = graph_.symbols()[i];
      if (symbol.id != i + 1) fail(fmt::format("symbol '{}' has id {}, not {}", symbol.name, symbol.id, i + 1));
      if (symbol.name.empty()) fail(fmt::format("symbol {} has no name", symbol.id));
      if (symbol.max < 1) fail(fmt::format("symbol '{}' has the maximum {}", symbol.name, symbol.max));
      if (!names.insert(symbol.name).second) fail(fmt::format("two symbols are called '{}'", symbol.name));
    }
  }

  void check_value(const Value& value, std::size_t index) {
    if (value.id != index) fail(fmt::format("value '{}' has id {}, not {}", value.name, value.id, index));
    if (value.name.empty()) fail(fmt::format("value {} has no name", index));
    if (!value_names_.insert(value.name).second) fail(fmt::format("two values are called '{}'", value.name));
    const auto role = static_cast<std::uint32_t>(value.role);
    if (role < SCF_ROLE_INPUT || role > SCF_ROLE_TEMP) fail(fmt::format("value '{}' has role {}", value.name, role));
    check_type(value);
    defined_[index] = value.role == Role::input || value.role == Role::weight || value.role == Role::state;
  }

  void check_type(const Value& value) {
    const DTypeInfo* info = find_dtype(static_cast<std::uint32_t>(value.type.dtype));
    if (info == nullptr)
      fail(
          fmt::format("value '{}' has the unknown dtype {}", value.name, static_cast<std::uint32_t>(value.type.dtype)));
    const std::vector<Dim>& dims = value.type.dims;
    if (dims.size() > SCF_MAX_RANK)
      fail(fmt::format("value '{}' has rank {}, the most is {}", value.name, dims.size(), SCF_MAX_RANK));
    std::int64_t elems = 1;
    for (const Dim& dim : dims) {
      if (dim.max < 0) fail(fmt::format("value '{}' has a dimension of {}", value.name, dim.max));
      if (dim.max > 0 && elems > std::numeric_limits<std::int64_t>::max() / 8 / dim.max)
        fail(fmt::format("value '{}' has more elements than can be counted", value.name));
      elems *= dim.max;
      if (dim.sym == 0) continue;
      if (dim.sym > graph_.symbols().size())
        fail(fmt::format("value '{}' has a dimension of symbol {}, which does not exist", value.name, dim.sym));
      const Symbol& symbol = graph_.symbol(dim.sym);
      if (dim.max != symbol.max)
        fail(fmt::format("value '{}' has {} <= {}, the symbol's maximum is {}", value.name, symbol.name, dim.max,
                         symbol.max));
    }
    if (info->block_elems > 1 && (dims.empty() || dims.back().sym != 0 || dims.back().max % info->block_elems != 0))
      fail(fmt::format("value '{}' has rows that are no whole number of {} blocks", value.name, info->name));
  }

  void check_node(const Node& node, std::size_t index) {
    if (node.id != index) fail(fmt::format("node '{}' has id {}, not {}", node.name, node.id, index));
    if (node.name.empty()) fail(fmt::format("node {} has no name", index));
    if (!node_names_.insert(node.name).second) fail(fmt::format("two nodes are called '{}'", node.name));
    const ops::Schema* schema = ops::find_schema(node.op);
    if (schema == nullptr) fail(fmt::format("node '{}' has the unknown op '{}'", node.name, node.op));
    check_reads(node);
    check_types(node, *schema);
    check_writes(node, *schema);
  }

  void check_reads(const Node& node) {
    for (const ValueId id : node.in) {
      if (id == k_none) continue;
      if (id >= graph_.values().size())
        fail(fmt::format("node '{}' reads value {}, which does not exist", node.name, id));
      if (!defined_[id])
        fail(fmt::format("node '{}' reads '{}' before it is defined", node.name, graph_.value(id).name));
    }
    for (const ValueId id : node.out)
      if (id >= graph_.values().size())
        fail(fmt::format("node '{}' writes value {}, which does not exist", node.name, id));
  }

  void check_types(const Node& node, const ops::Schema& schema) {
    if (node.in.size() != schema.inputs.size())
      fail(fmt::format("node '{}' ({}) has {} inputs, the op has {}", node.name, node.op, node.in.size(),
                       schema.inputs.size()));
    if (node.out.size() != schema.outputs.size())
      fail(fmt::format("node '{}' ({}) has {} outputs, the op has {}", node.name, node.op, node.out.size(),
                       schema.outputs.size()));
    std::vector<ValueType> types;
    try {
      types = infer_types(graph_, node.op, node.in, node.attrs);
    } catch (const Error& error) {
      fail(fmt::format("node '{}' ({}): {}", node.name, node.op, error.what()));
    }
    for (std::size_t o = 0; o < types.size(); ++o) {
      const Value& value = graph_.value(node.out[o]);
      if (value.type != types[o])
        fail(fmt::format("node '{}' ({}) writes '{}' as {}, which is {}", node.name, node.op, value.name,
                         print_type(graph_, types[o]), print_type(graph_, value.type)));
    }
  }

  void check_writes(const Node& node, const ops::Schema& schema) {
    for (std::size_t o = 0; o < node.out.size(); ++o) {
      const Value& value = graph_.value(node.out[o]);
      const int alias = schema.alias_of(o);
      if (alias >= 0 && node.in[static_cast<std::size_t>(alias)] != k_none) {
        if (value.role != Role::state || node.in[static_cast<std::size_t>(alias)] != value.id)
          fail(fmt::format("node '{}' ({}) does not update a state in place: output '{}' is '{}'", node.name, node.op,
                           schema.outputs[o], value.name));
        if (std::count(node.out.begin(), node.out.end(), value.id) > 1)
          fail(fmt::format("node '{}' updates '{}' twice", node.name, value.name));
        continue;
      }
      if (value.role == Role::input || value.role == Role::weight || value.role == Role::state)
        fail(fmt::format("node '{}' ({}) writes '{}', a value of role {}", node.name, node.op, value.name,
                         role_name(value.role)));
      if (defined_[value.id]) fail(fmt::format("'{}' is defined twice, again by node '{}'", value.name, node.name));
      defined_[value.id] = true;
    }
  }

  const Graph& graph_;
  std::vector<bool> defined_; // per value, at the node being checked
  std::unordered_set<std::string_view> value_names_, node_names_;
};

} // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

} // namespace seacliff::graph
