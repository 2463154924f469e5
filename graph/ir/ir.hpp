// The graph: values, nodes in program order, symbols. Built once per model and token-count bucket, never per token.
#pragma once

#include "ops/schema/schema.hpp"

#include <cstdint>
#include <optional>
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

std::string_view role_name(Role role); // "input" ... "temp"

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
  Graph() = default;
  /// Takes the parts as they are, unchecked: for passes, and for tests of `verify`.
  Graph(std::string graph_name, std::vector<Symbol> symbols, std::vector<Value> values, std::vector<Node> nodes)
      : name(std::move(graph_name)), symbols_(std::move(symbols)), values_(std::move(values)),
        nodes_(std::move(nodes)) {}

  std::uint32_t add_symbol(std::string symbol_name, std::int64_t max);
  ValueId add_value(Role role, ValueType type, std::string value_name);
  /// Appends a node whose outputs are new temporaries (or the STATEs it updates), typed by the op's schema. A single
  /// new output is named like the node, several get `<node>.<output>`; `rename` changes that. Optional inputs may be
  /// k_none, trailing ones may be left out. Throws Error that names the node when the operands do not fit.
  std::vector<ValueId> add_node(std::string_view op, std::vector<ValueId> in, Attrs attrs, std::string node_name,
                                std::source_location where = std::source_location::current());
  /// Appends a node that writes into values that exist already; types are checked.
  void add_node_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs,
                     std::string node_name, std::uint32_t source_line);
  void set_role(ValueId id, Role role) { values_[id].role = role; }
  void rename(ValueId id, std::string value_name) { values_[id].name = std::move(value_name); }

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

/// Types of the outputs of `op` on these inputs (k_none: absent). Throws Error(invalid_argument) when there is no such
/// op or the inputs do not fit it.
std::vector<ValueType> infer_types(const Graph& graph, std::string_view op, std::span<const ValueId> in,
                                   const Attrs& attrs);

/// The layer that a path name belongs to: 7 for "blk.07.ffn.experts" and "blk.7.window"; none for "head.norm".
std::optional<std::uint32_t> layer_of(std::string_view name);

/// Equal up to the numbering of values: same symbols, values by name, nodes in the same order.
bool same(const Graph& a, const Graph& b);

/// Throws Error(internal) naming the node or value when: an operand does not exist, is read before it is defined, is
/// defined twice, has a type its op does not infer, a STATE update is not in place, an output is never written, or two
/// nodes or values share a name.
void verify(const Graph& graph);

/// One line per symbol, per value that is no temporary and per node; `same(parse(print(g)), g)` for every verified g.
///
///   graph "deepseek4 8 layers, step <= 64"
///   symbol n_tokens <= 64
///   input  %tokens                : i32[n_tokens]
///   weight %blk.0.attn_q_a.weight : q8_0[128,256]
///   %blk.0.qr : f32[n_tokens,128] = matmul(%blk.0.x, %blk.0.attn_q_a.weight) {act8=1} @blk.00.attn.q_a line 123
///
/// Several outputs stand as a list; an updated STATE stands among inputs and outputs; `_` is an absent input. Names
/// that hold other characters than letters, digits and `_.-/+` are quoted. A float always has a point, an exponent or
/// is inf or nan. `#` begins a comment; an empty line stands before each layer.
std::string print(const Graph& graph);
/// The types of temporaries and the node's `@name` may be left out. Throws Error(invalid_argument) with line and
/// column.
Graph parse(std::string_view text);

/// As they stand in the text form: "f16[4,n_tokens]", "eps=1e-06".
std::string print_type(const Graph& graph, const ValueType& type);
std::string print_attr(const ops::AttrValue& value);

} // namespace seacliff::graph
