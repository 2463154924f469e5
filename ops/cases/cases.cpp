#include "ops/cases/cases.hpp"

#include "ops/cases/data.hpp"

namespace seacliff::ops {

std::vector<Case> cases_for(std::string_view op) {
  for (const auto family :
       {linear_cases, row_cases, hyper_cases, compress_cases, attention_cases, index_cases, router_moe_cases})
    if (std::vector<Case> cases = family(op); !cases.empty()) return cases;
  return {};
}

std::vector<const ValueType*> input_types(const Case& test) {
  std::vector<const ValueType*> types;
  for (const CaseValue& value : test.inputs) types.push_back(value.present() ? &value.type : nullptr);
  return types;
}

std::vector<ValueType> output_types(const Case& test) {
  const Schema* schema = find_schema(test.op);
  if (schema == nullptr) throw Error(Code::not_found, fmt::format("there is no op '{}'", test.op));
  return schema->infer(input_types(test), test.attrs);
}

} // namespace seacliff::ops
