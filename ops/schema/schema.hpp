// What an operation means: operands, shapes, attributes, cost, decomposition. One entry per op of the catalogue.
//
// Names travel as strings ("matmul", domain "scf", version 1); nothing here knows a device. The catalogue itself, with
// one line of formula per op, is docs/ops.md.
#pragma once

#include "core/base/status.hpp"

#include <seacliff/sdk/dtype.hpp>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace seacliff::ops {

/// A dimension is a constant, or a symbol with its maximum.
struct Dim {
  std::int64_t max = 0;
  std::uint32_t sym = 0; // 0: constant

  bool operator==(const Dim&) const = default;
};

struct ValueType {
  DType dtype = DType::f32;
  std::vector<Dim> dims; // row-major, outermost first

  bool operator==(const ValueType&) const = default;
  std::int64_t max_elems() const;
  std::uint64_t max_bytes() const;
};

using AttrValue = std::variant<std::int64_t, double, std::string>;

/// Attributes of a node; an absent integer or float reads as the default given.
class Attrs {
public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const std::string, AttrValue>> items) : items_(items) {}

  std::int64_t get_int(std::string_view key, std::int64_t missing = 0) const;
  double get_float(std::string_view key, double missing = 0.0) const;
  void set(std::string key, AttrValue value) { items_[std::move(key)] = std::move(value); }
  const std::map<std::string, AttrValue, std::less<>>& items() const { return items_; }
  bool operator==(const Attrs&) const = default;

private:
  std::map<std::string, AttrValue, std::less<>> items_;
};

using ValueId = std::uint32_t;
inline constexpr ValueId k_none = SCF_NONE; // an absent optional input

/// The node being decomposed, and later any node of the IR.
struct NodeDesc {
  std::string op;
  std::string name; // stable path: "blk.07.attn.hc_pre"
  std::vector<ValueId> in, out;
  Attrs attrs;
};

/// Where a decomposition writes its nodes. Owned by the caller, valid during `decompose`.
class Emitter {
public:
  virtual ~Emitter() = default;
  virtual const ValueType& type(ValueId value) const = 0;
  /// Appends a node `<parent name>.<suffix>`; its outputs are new temporaries typed by the op's `infer`, except that an
  /// output the schema aliases to an input (a STATE) is that input.
  virtual std::vector<ValueId> add(std::string_view op, std::vector<ValueId> in, Attrs attrs,
                                   std::string_view suffix) = 0;
  /// As add, for nodes that write what the decomposed node had as outputs: `out` names the values, k_none asks for a
  /// new temporary. Returns all outputs.
  virtual std::vector<ValueId> add_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out,
                                        Attrs attrs, std::string_view suffix) = 0;
};

/// Work of one run at the maxima of the symbols.
struct Cost {
  double flops = 0;
  double bytes_weights = 0; // of WEIGHT inputs actually read
  double bytes_activations = 0;
};

struct Schema {
  std::string_view name;
  std::string_view doc;                 // formula in one line
  std::vector<std::string_view> inputs; // a trailing '?' marks an optional one, a trailing '!' a STATE it updates
  std::vector<std::string_view> outputs;

  /// Types of all outputs; throws Error(invalid_argument) naming the operand at fault. Absent inputs are nullptr.
  std::vector<ValueType> (*infer)(std::span<const ValueType* const> in, const Attrs& attrs) = nullptr;
  Cost (*cost)(std::span<const ValueType* const> in, std::span<const ValueType* const> out,
               const Attrs& attrs) = nullptr;
  /// nullptr for a primitive.
  void (*decompose)(const NodeDesc& node, Emitter& emit) = nullptr;

  bool composite() const { return decompose != nullptr; }
  /// Index of the input that output `o` is (a STATE updated in place), or -1.
  int alias_of(std::size_t o) const;
};

/// All ops, in the order of docs/ops.md.
std::span<const Schema> catalogue();
/// nullptr when there is no such op.
const Schema* find_schema(std::string_view op);

} // namespace seacliff::ops
