// Checks of operands, shared by the families: shapes are written as patterns and bound by name.
#pragma once

#include "ops/schema/schema.hpp"

#include <optional>

namespace seacliff::ops {

using Types = std::span<const ValueType* const>;

/// Formats an operand may have.
enum class Kind {
  f32,    // activations
  i32,    // ids and positions
  weight, // every float and block format
  state,  // f32 or f16
  any,    // weight or i32
};

/// Binds the operands of one node to shape patterns. Every failure throws Error(invalid_argument) that names the op and
/// the operand.
///
/// A pattern is a list of names and numbers, outermost dimension first: "T H D", "T 3"; "..." stands for any number of
/// dimensions (the same ones wherever it is used). Only T and V may be symbols, all else is constant.
class Operands {
public:
  /// Checks the number of inputs and that those not optional are there.
  Operands(std::string_view op, Types in);

  bool has(std::size_t i) const { return in_[i] != nullptr; }
  const ValueType& type(std::size_t i) const { return *in_[i]; }
  const ValueType& bind(std::size_t i, Kind kind, std::string_view pattern);
  /// As bind, when the operand is there; false when it is absent.
  bool bind_if(std::size_t i, Kind kind, std::string_view pattern);

  const Dim& operator[](std::string_view name) const; // bound before
  std::int64_t size(std::string_view name) const { return (*this)[name].max; }
  const std::vector<Dim>& rest() const { return *rest_; } // what "..." stands for
  std::int64_t rest_elems() const;
  /// The dimension `name` of operand `i` must be `expected`; `why` says what it comes from.
  void expect(std::size_t i, std::string_view name, std::int64_t expected, std::string_view why) const;
  void require(bool ok, std::size_t i, std::string_view problem) const {
    if (!ok) fail(i, problem);
  }
  [[noreturn]] void fail(std::size_t i, std::string_view problem) const;

  /// Attributes.
  std::int64_t positive(const Attrs& attrs, std::string_view key) const;
  double positive_float(const Attrs& attrs, std::string_view key) const;
  [[noreturn]] void fail_attr(std::string_view key, std::string_view problem) const;
  /// The attributes of rotary positions, for rows of `width` elements.
  void check_rope(const Attrs& attrs, std::int64_t width) const;
  /// The attributes of kv_round and index_round, for rows of `width` elements.
  void check_kv_round(const Attrs& attrs, std::int64_t width) const;
  void check_index_round(const Attrs& attrs, std::int64_t width) const;

private:
  struct Binding {
    std::string name;
    Dim dim;
    std::size_t operand;
  };
  const Binding* find(std::string_view name) const;
  void bind_dim(std::size_t i, std::string_view pattern, std::string_view name, const Dim& dim);

  std::string_view op_;
  const Schema* schema_;
  Types in_;
  std::vector<Binding> bound_;
  std::optional<std::vector<Dim>> rest_;
};

/// "f32[T<=512,4096]"
std::string describe(const ValueType& type);
inline ValueType f32_type(std::vector<Dim> dims) { return {DType::f32, std::move(dims)}; }
inline ValueType i32_type(std::vector<Dim> dims) { return {DType::i32, std::move(dims)}; }
inline Dim fixed(std::int64_t n) { return {n, 0}; }

} // namespace seacliff::ops
