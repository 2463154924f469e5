// Generated test cases: one call of one op on made-up data of realistic scale. The unit tests of the reference kernels
// and the conformance kit of plugins run the same ones. Data depend on the op and the name of the case only.
#pragma once

#include "ops/schema/schema.hpp"

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::ops {

/// Symbol of the number of tokens in the types of a case.
inline constexpr std::uint32_t k_case_tokens = 1;

/// An operand and its bytes; an absent optional one has no dimensions.
struct CaseValue {
  ValueType type;
  std::uint32_t role = SCF_ROLE_INPUT; // SCF_ROLE_*
  std::vector<std::byte> data;

  bool present() const { return !type.dims.empty(); }
  bool same_data(const CaseValue& other) const { // == of vectors of std::byte goes byte by byte
    return data.size() == other.data.size() &&
           (data.empty() || std::memcmp(data.data(), other.data.data(), data.size()) == 0);
  }
  template <class T> std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  template <class T> std::span<T> as() { return {reinterpret_cast<T*>(data.data()), data.size() / sizeof(T)}; }
};

struct Case {
  std::string op;
  std::string name; // unique within the op: "q4_k T=33"
  Attrs attrs;
  std::int64_t tokens = 0;       // T; dimensions with symbol k_case_tokens have this maximum
  std::vector<CaseValue> inputs; // in the order of the schema
};

/// All cases of one op; empty when there is no such op.
std::vector<Case> cases_for(std::string_view op);

/// Types of the operands (nullptr: absent), for Schema::infer.
std::vector<const ValueType*> input_types(const Case& test);
/// What Schema::infer says.
std::vector<ValueType> output_types(const Case& test);

} // namespace seacliff::ops
