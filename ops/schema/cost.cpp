#include "ops/schema/cost.hpp"

namespace seacliff::ops {
namespace {

/// Types and adds up the nodes of a decomposition without building a graph.
class Tally final : public Emitter {
public:
  Tally(Types in, Types out) {
    for (const ValueType* type : in) types_.push_back(type ? *type : ValueType{});
    for (const ValueType* type : out) types_.push_back(*type);
  }

  const ValueType& type(ValueId value) const override { return types_[value]; }

  std::vector<ValueId> add(std::string_view op, std::vector<ValueId> in, Attrs attrs, std::string_view) override {
    return emit(op, in, {}, attrs);
  }
  std::vector<ValueId> add_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs,
                                std::string_view) override {
    return emit(op, in, std::move(out), attrs);
  }

  Cost total;

private:
  std::vector<ValueId> emit(std::string_view op, const std::vector<ValueId>& in, std::vector<ValueId> out,
                            const Attrs& attrs) {
    const Schema& schema = *find_schema(op);
    std::vector<const ValueType*> in_types, out_types;
    for (const ValueId id : in) in_types.push_back(id == k_none ? nullptr : &types_[id]);
    const std::vector<ValueType> results = schema.infer(in_types, attrs);
    for (const ValueType& type : results) out_types.push_back(&type);
    const Cost cost = schema.cost(in_types, out_types, attrs);
    total.flops += cost.flops;
    total.bytes_weights += cost.bytes_weights;
    total.bytes_activations += cost.bytes_activations;
    out.resize(results.size(), k_none);
    for (std::size_t o = 0; o < results.size(); ++o) {
      if (out[o] != k_none) continue;
      if (const int alias = schema.alias_of(o); alias >= 0) {
        out[o] = in[static_cast<std::size_t>(alias)];
      } else {
        out[o] = static_cast<ValueId>(types_.size());
        types_.push_back(results[o]);
      }
    }
    return out;
  }

  std::vector<ValueType> types_;
};

} // namespace

Cost streamed(Types in, Types out, double flops_per_output) {
  Cost cost;
  for (const ValueType* type : in) cost.bytes_activations += bytes(type);
  for (const ValueType* type : out) {
    cost.bytes_activations += bytes(type);
    cost.flops += flops_per_output * elems(type);
  }
  return cost;
}

Cost composed(std::string_view op, Types in, Types out, const Attrs& attrs) {
  const Schema& schema = *find_schema(op);
  NodeDesc node{std::string(op), std::string(op), {}, {}, attrs};
  for (std::size_t i = 0; i < in.size(); ++i) node.in.push_back(in[i] ? static_cast<ValueId>(i) : k_none);
  for (std::size_t o = 0; o < out.size(); ++o) {
    const int alias = schema.alias_of(o);
    node.out.push_back(static_cast<ValueId>(alias >= 0 ? static_cast<std::size_t>(alias) : in.size() + o));
  }
  Tally tally(in, out);
  schema.decompose(node, tally);
  return tally.total;
}

} // namespace seacliff::ops
