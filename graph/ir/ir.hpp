// The graph: values, nodes in program order, symbols. Built once per model and token-count bucket, never per token.
#pragma once

#include "ops/schema/schema.hpp"

#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::graph {

using ops::Attrs;
using ops::Dim;
using ops::k_none;
using ops::ValueId;
using ops::ValueType;

/// Same numbers as SCF_ROLE_*.
enum class Role : std::uint32_t {
  input = SCF_ROLE_INPUT,   // bound at every step
  output = SCF_ROLE_OUTPUT, // read by the host after every step
  weight = SCF_ROLE_WEIGHT, // from the model file, never written
  state = SCF_ROLE_STATE,   // host-owned, lives across steps; updated in place
  temp = SCF_ROLE_TEMP,     // lives inside one step
};

struct Symbol {
  std::uint32_t id = 0; // from 1; 0 means "constant"
  std::string name;     // "n_tokens"
  std::int64_t max = 0;
};

struct Value {
  ValueId id = 0;
  Role role = Role::temp;
  ValueType type;
  std::string name; // unique in the graph
};

struct Node {
  std::uint32_t id = 0; // position in program order
  std::string op;
  std::string name; // stable path, unique: "blk.07.ffn.experts"
  std::vector<ValueId> in, out;
  Attrs attrs;
  std::uint32_t source_line = 0; // of the builder
};

/// Values are defined once, except STATEs, which nodes update in place: program order is the order of effects.
class Graph {
public:
  std::uint32_t add_symbol(std::string name, std::int64_t max);
  ValueId add_value(Role role, ValueType type, std::string name);
  /// Appends a node whose outputs are new temporaries (or the STATEs it updates), typed by the op's schema. Throws
  /// Error that names the node when the operands do not fit.
  std::vector<ValueId> add_node(std::string_view op, std::vector<ValueId> in, Attrs attrs, std::string name,
                                std::source_location where = std::source_location::current());
  /// Appends a node that writes into values that exist already; types are checked.
  void add_node_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs,
                     std::string name, std::uint32_t source_line);
  void set_role(ValueId value, Role role) { values_[value].role = role; }
  void rename(ValueId value, std::string name) { values_[value].name = std::move(name); }

  const std::vector<Symbol>& symbols() const { return symbols_; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Value& value(ValueId id) const { return values_[id]; }
  const Symbol& symbol(std::uint32_t id) const { return symbols_[id - 1]; }

  std::string name; // of the whole graph: "deepseek4 8 layers, prefill <= 512"

private:
  std::vector<Symbol> symbols_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
};

/// Throws Error(internal) naming the node or value when: an operand does not exist, is read before it is defined, is
/// defined twice, has a type its op does not infer, a STATE update is not in place, an output is never written, or two
/// nodes or values share a name.
void verify(const Graph& graph);

/// One line per value that is no temporary and one per node; `parse(print(g))` gives an equal graph.
std::string print(const Graph& graph);
/// Throws Error(invalid_argument) with line and column.
Graph parse(std::string_view text);

} // namespace seacliff::graph
