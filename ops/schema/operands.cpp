#include "ops/schema/operands.hpp"

#include <algorithm>
#include <charconv>

namespace seacliff::ops {
namespace {

constexpr std::int64_t k_max_elems = std::int64_t{1} << 59; // byte counts stay within 63 bits

bool is_number(std::string_view word) { return word.front() >= '0' && word.front() <= '9'; }

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> list;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) list.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

bool fits(Kind kind, DType dtype) {
  switch (kind) {
  case Kind::f32: return dtype == DType::f32;
  case Kind::i32: return dtype == DType::i32;
  case Kind::weight: return dtype != DType::i32;
  case Kind::state: return dtype == DType::f32 || dtype == DType::f16;
  case Kind::any: return true;
  }
  return false;
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
  case Kind::f32: return "f32";
  case Kind::i32: return "i32";
  case Kind::weight: return "a float format";
  case Kind::state: return "f32 or f16";
  case Kind::any: return "any format";
  }
  return "?";
}

std::string_view plain(std::string_view operand) {
  if (operand.ends_with('?') || operand.ends_with('!')) operand.remove_suffix(1);
  return operand;
}

} // namespace

std::string describe(const ValueType& type) {
  const DTypeInfo* info = find_dtype(static_cast<std::uint32_t>(type.dtype));
  std::string text = fmt::format("{}[", info ? info->name : "?");
  for (std::size_t i = 0; i < type.dims.size(); ++i)
    text += fmt::format("{}{}{}", i ? "," : "", type.dims[i].sym ? "<=" : "", type.dims[i].max);
  return text + "]";
}

Operands::Operands(std::string_view op, Types in) : op_(op), schema_(find_schema(op)), in_(in) {
  if (schema_ == nullptr) throw Error(Code::internal, fmt::format("there is no op '{}'", op));
  if (in.size() != schema_->inputs.size())
    throw Error(Code::invalid_argument,
                fmt::format("{} takes {} operands, not {}", op, schema_->inputs.size(), in.size()));
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] == nullptr) {
      require(schema_->inputs[i].ends_with('?'), i, "is missing");
      continue;
    }
    const DTypeInfo* info = find_dtype(static_cast<std::uint32_t>(in[i]->dtype));
    require(info != nullptr, i, "has a format this version does not know");
    const std::vector<Dim>& dims = in[i]->dims;
    require(!dims.empty() && dims.size() <= SCF_MAX_RANK, i, fmt::format("has rank {}", dims.size()));
    std::int64_t elems = 1;
    for (const Dim& dim : dims) {
      require(dim.max > 0, i, fmt::format("is {}: every dimension must be positive", describe(*in[i])));
      require(!__builtin_mul_overflow(elems, dim.max, &elems) && elems <= k_max_elems, i,
              fmt::format("is {}: too large", describe(*in[i])));
    }
    require(dims.back().max % info->block_elems == 0, i,
            fmt::format("is {}: rows must be whole blocks of {}", describe(*in[i]), info->block_elems));
  }
}

void Operands::fail(std::size_t i, std::string_view problem) const {
  throw Error(Code::invalid_argument, fmt::format("{}: operand '{}' {}", op_, plain(schema_->inputs[i]), problem));
}

void Operands::fail_attr(std::string_view key, std::string_view problem) const {
  throw Error(Code::invalid_argument, fmt::format("{}: attribute '{}' {}", op_, key, problem));
}

const Operands::Binding* Operands::find(std::string_view name) const {
  const auto it = std::ranges::find(bound_, name, &Binding::name);
  return it == bound_.end() ? nullptr : &*it;
}

const Dim& Operands::operator[](std::string_view name) const {
  const Binding* binding = find(name);
  if (binding == nullptr) throw Error(Code::internal, fmt::format("{}: no dimension '{}' is bound", op_, name));
  return binding->dim;
}

void Operands::bind_dim(std::size_t i, std::string_view pattern, std::string_view name, const Dim& dim) {
  const auto misfit = [&](std::int64_t expected, std::string_view from) {
    fail(i, fmt::format("is {}, expected [{}] with {} = {}{}", describe(type(i)), pattern, name, expected, from));
  };
  if (is_number(name)) {
    std::int64_t expected = 0;
    std::from_chars(name.data(), name.data() + name.size(), expected);
    if (dim != fixed(expected)) fail(i, fmt::format("is {}, expected [{}]", describe(type(i)), pattern));
    return;
  }
  if (const Binding* old = find(name)) {
    if (old->dim != dim) misfit(old->dim.max, fmt::format(" as in '{}'", plain(schema_->inputs[old->operand])));
    return;
  }
  require(dim.sym == 0 || name == "T" || name == "V", i,
          fmt::format("is {}: {} of [{}] must be constant", describe(type(i)), name, pattern));
  bound_.push_back({std::string(name), dim, i});
}

const ValueType& Operands::bind(std::size_t i, Kind kind, std::string_view pattern) {
  const ValueType& operand = type(i);
  require(fits(kind, operand.dtype), i, fmt::format("is {}, expected {}", describe(operand), kind_name(kind)));
  const std::vector<std::string_view> names = words(pattern);
  const auto dots = std::ranges::find(names, "...");
  const std::size_t before = static_cast<std::size_t>(dots - names.begin());
  const std::size_t after = dots == names.end() ? 0 : names.size() - before - 1;
  const std::vector<Dim>& dims = operand.dims;
  const bool rank_fits = dots == names.end() ? dims.size() == names.size() : dims.size() >= before + after;
  require(rank_fits, i, fmt::format("is {}, expected [{}]", describe(operand), pattern));
  for (std::size_t d = 0; d < before; ++d) bind_dim(i, pattern, names[d], dims[d]);
  for (std::size_t d = 0; d < after; ++d) bind_dim(i, pattern, names[before + 1 + d], dims[dims.size() - after + d]);
  if (dots != names.end()) {
    std::vector<Dim> middle(dims.begin() + static_cast<std::ptrdiff_t>(before),
                            dims.end() - static_cast<std::ptrdiff_t>(after));
    if (!rest_)
      rest_ = std::move(middle);
    else
      require(*rest_ == middle, i, fmt::format("is {}: its outer dimensions differ", describe(operand)));
  }
  return operand;
}

bool Operands::bind_if(std::size_t i, Kind kind, std::string_view pattern) {
  if (has(i)) bind(i, kind, pattern);
  return has(i);
}

std::int64_t Operands::rest_elems() const {
  std::int64_t n = 1;
  for (const Dim& dim : rest()) n *= dim.max;
  return n;
}

void Operands::expect(std::size_t i, std::string_view name, std::int64_t expected, std::string_view why) const {
  require(size(name) == expected, i,
          fmt::format("is {}, expected {} = {} ({})", describe(type(i)), name, expected, why));
}

std::int64_t Operands::positive(const Attrs& attrs, std::string_view key) const {
  const std::int64_t value = attrs.get_int(key);
  if (value <= 0) fail_attr(key, fmt::format("is {}, expected a positive number", value));
  return value;
}

double Operands::positive_float(const Attrs& attrs, std::string_view key) const {
  const double value = attrs.get_float(key);
  if (!(value > 0)) fail_attr(key, fmt::format("is {}, expected a positive number", value));
  return value;
}

void Operands::check_rope(const Attrs& attrs, std::int64_t width) const {
  const std::int64_t rot = positive(attrs, "rot");
  if (rot % 2 != 0 || rot > width)
    fail_attr("rot", fmt::format("is {}, expected an even number of at most {}", rot, width));
  positive_float(attrs, "base");
  if (attrs.get_int("yarn") == 0) return;
  positive_float(attrs, "factor");
  positive_float(attrs, "orig_ctx");
  positive_float(attrs, "beta_fast");
  positive_float(attrs, "beta_slow");
}

void Operands::check_kv_round(const Attrs& attrs, std::int64_t width) const {
  const std::int64_t rot = attrs.get_int("rot");
  if (rot < 0 || rot > width) fail_attr("rot", fmt::format("is {}, expected 0 to {}", rot, width));
  if (attrs.get_int("kv8") != 0 && (width - rot) % 64 != 0)
    fail_attr("kv8", fmt::format("needs blocks of 64, but {} elements are not rotated", width - rot));
}

void Operands::check_index_round(const Attrs& attrs, std::int64_t width) const {
  if (attrs.get_int("idx4") != 0 && (width % 32 != 0 || (width & (width - 1)) != 0))
    fail_attr("idx4", fmt::format("needs rows of 2^n >= 32 elements, not {}", width));
}

} // namespace seacliff::ops
