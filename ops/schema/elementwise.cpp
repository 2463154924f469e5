// Ops that look at one element, or one slot, at a time.
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

namespace seacliff::ops {

Schema add_schema() {
  return {
      .name = "add",
      .doc = "a + b",
      .inputs = {"a", "b"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("add", in);
        o.bind(0, Kind::f32, "T ...");
        o.bind(1, Kind::f32, "T ...");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 1); },
  };
}

Schema swiglu_schema() {
  return {
      .name = "swiglu",
      .doc = "silu(min(g,c))·clamp(u,-c,c)·w",
      .inputs = {"g", "u", "w?"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("swiglu", in);
        o.bind(0, Kind::f32, "T ... F");
        o.bind(1, Kind::f32, "T ... F");
        o.bind_if(2, Kind::f32, "T ...");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 8); },
  };
}

Schema sum_slots_schema() {
  return {
      .name = "sum_slots",
      .doc = "sum over the slots, in order",
      .inputs = {"x"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("sum_slots", in);
        o.bind(0, Kind::f32, "T S N");
        return {f32_type({o["T"], o["N"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, extent(in[0], 1)); },
  };
}

Schema sqrt_softplus_schema() {
  return {
      .name = "sqrt_softplus",
      .doc = "sqrt(softplus(x))",
      .inputs = {"x"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("sqrt_softplus", in);
        o.bind(0, Kind::f32, "T ...");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 8); },
  };
}

} // namespace seacliff::ops
