// Routing to experts, and the experts.
#include "ops/schema/attrs.hpp"
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

namespace seacliff::ops {

Schema top_k_schema() {
  return {
      .name = "top_k",
      .doc = "indices of the k largest x+bias, descending, ties to the lower index",
      .inputs = {"x", "bias?"},
      .outputs = {"ids"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("top_k", in);
        o.bind(0, Kind::f32, "T X");
        o.bind_if(1, Kind::f32, "X");
        const std::int64_t k = o.positive(attrs, "k");
        if (k > o.size("X")) o.fail_attr("k", fmt::format("is {}, but there are {} columns", k, o.size("X")));
        return {i32_type({o["T"], fixed(k)})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, extent(in[0], 1)); },
  };
}

Schema route_weights_schema() {
  return {
      .name = "route_weights",
      .doc = "prob[ids]/max(sum, 2^-14)·scale",
      .inputs = {"prob", "ids"},
      .outputs = {"weights"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("route_weights", in);
        o.bind(0, Kind::f32, "T X");
        o.bind(1, Kind::i32, "T K");
        o.positive_float(attrs, "scale");
        return {f32_type({o["T"], o["K"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 3); },
  };
}

Schema route_schema() {
  return {
      .name = "route",
      .doc = "prob = sqrt(softplus(x·wT)); ids by top k of prob+bias or from the table; weights prob[ids]/sum·scale",
      .inputs = {"x", "w", "bias?", "table?", "tokens?"},
      .outputs = {"ids", "weights"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("route", in);
        o.bind(0, Kind::f32, "T E");
        o.bind(1, Kind::weight, "X E");
        o.bind_if(2, Kind::f32, "X");
        o.positive_float(attrs, "scale");
        const std::int64_t k = o.positive(attrs, "k");
        if (k > o.size("X")) o.fail_attr("k", fmt::format("is {}, but there are {} experts", k, o.size("X")));
        if (o.bind_if(3, Kind::i32, "V K")) {
          o.expect(3, "K", k, "the attribute 'k'");
          o.require(o.has(4), 4, "is missing: 'table' is looked up by token");
          o.require(!o.has(2), 2, "does not go with 'table'");
        }
        o.bind_if(4, Kind::i32, "T");
        return {i32_type({o["T"], fixed(k)}), f32_type({o["T"], fixed(k)})};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("route", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId x = node.in[0], w = node.in[1], bias = node.in[2], table = node.in[3], tokens = node.in[4];
            const ValueId ids = node.out[0], weights = node.out[1];
            const ValueId logits = emit.add("matmul", {x, w}, {}, "logits")[0];
            const ValueId prob = emit.add("sqrt_softplus", {logits}, {}, "prob")[0];
            if (table == k_none)
              emit.add_into("top_k", {prob, bias}, {ids}, pick(node.attrs, {"k"}), "top_k");
            else
              emit.add_into("gather_rows", {table, tokens}, {ids}, {}, "hash");
            emit.add_into("route_weights", {prob, ids}, {weights}, pick(node.attrs, {"scale"}), "weights");
          },
  };
}

Schema moe_experts_schema() {
  return {
      .name = "moe_experts",
      .doc = "sum over slots of down[e]·swiglu(gate[e]·x, up[e]·x, weight), e = ids[t,s]",
      .inputs = {"x", "ids", "weights", "gate", "up", "down"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("moe_experts", in);
        o.bind(0, Kind::f32, "T E");
        o.bind(1, Kind::i32, "T K");
        o.bind(2, Kind::f32, "T K");
        o.bind(3, Kind::weight, "X F E");
        o.bind(4, Kind::weight, "X F E");
        o.bind(5, Kind::weight, "X E F");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("moe_experts", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId x = node.in[0], ids = node.in[1], weights = node.in[2];
            const Attrs act8 = pick(node.attrs, {"act8"});
            const ValueId g = emit.add("matmul_id", {x, node.in[3], ids}, act8, "gate")[0];
            const ValueId u = emit.add("matmul_id", {x, node.in[4], ids}, act8, "up")[0];
            const ValueId mid = emit.add("swiglu", {g, u, weights}, pick(node.attrs, {"clamp"}), "act")[0];
            const ValueId parts = emit.add("matmul_id", {mid, node.in[5], ids}, act8, "down")[0];
            emit.add_into("sum_slots", {parts}, {node.out[0]}, {}, "sum");
          },
  };
}

Schema shared_expert_schema() {
  return {
      .name = "shared_expert",
      .doc = "down·swiglu(gate·x, up·x)",
      .inputs = {"x", "gate", "up", "down"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("shared_expert", in);
        o.bind(0, Kind::f32, "T E");
        o.bind(1, Kind::weight, "F E");
        o.bind(2, Kind::weight, "F E");
        o.bind(3, Kind::weight, "E F");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("shared_expert", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const Attrs act8 = pick(node.attrs, {"act8"});
            const ValueId g = emit.add("matmul", {node.in[0], node.in[1]}, act8, "gate")[0];
            const ValueId u = emit.add("matmul", {node.in[0], node.in[2]}, act8, "up")[0];
            const ValueId mid = emit.add("swiglu", {g, u, k_none}, pick(node.attrs, {"clamp"}), "act")[0];
            emit.add_into("matmul", {mid, node.in[3]}, {node.out[0]}, act8, "down");
          },
  };
}

} // namespace seacliff::ops
