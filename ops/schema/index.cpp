// The lightning indexer: which compressed rows a token looks at.
#include "ops/schema/attrs.hpp"
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

#include <algorithm>
#include <cmath>

namespace seacliff::ops {

Schema index_score_schema() {
  return {
      .name = "index_score",
      .doc = "sum over heads of max(0, cache_c·iq_h)·w_h·scale; -inf for rows c >= (pos+1)/ratio",
      .inputs = {"iq", "w", "cache", "pos", "seq"},
      .outputs = {"scores"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("index_score", in);
        o.bind(0, Kind::f32, "T I D");
        o.bind(1, Kind::f32, "T I");
        o.bind(2, Kind::state, "slots M D");
        o.bind(3, Kind::i32, "T");
        o.bind(4, Kind::i32, "T 3");
        o.positive(attrs, "ratio");
        o.positive_float(attrs, "scale");
        return {f32_type({o["T"], o["M"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) -> Cost {
        const double heads = extent(in[0], 1), width = extent(in[0], 2);
        return {2 * elems(out[0]) * heads * width, 0,
                bytes(in[0]) + bytes(in[1]) + bytes(in[2]) / extent(in[2], 0) + bytes(out[0])};
      },
  };
}

Schema top_k_rows_schema() {
  return {
      .name = "top_k_rows",
      .doc = "the k largest, ties to the lower row, in ascending order of row; -inf never; padded with -1",
      .inputs = {"scores"},
      .outputs = {"sel"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("top_k_rows", in);
        o.bind(0, Kind::f32, "T M");
        return {i32_type({o["T"], fixed(std::min(o.positive(attrs, "k"), o.size("M")))})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 8); },
  };
}

Schema index_select_schema() {
  return {
      .name = "index_select",
      .doc = "the k rows of the cache with the largest index score",
      .inputs = {"qr", "x", "wq_b", "proj", "cache", "pos", "seq"},
      .outputs = {"sel"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("index_select", in);
        o.bind(0, Kind::f32, "T Q");
        o.bind(1, Kind::f32, "T E");
        o.bind(2, Kind::weight, "ID Q");
        o.bind(3, Kind::weight, "I E");
        o.bind(4, Kind::state, "slots M D");
        o.bind(5, Kind::i32, "T");
        o.bind(6, Kind::i32, "T 3");
        o.expect(2, "ID", o.size("I") * o.size("D"), "heads of 'proj' times width of 'cache'");
        if (attrs.get_int("heads") != o.size("I"))
          o.fail_attr("heads", fmt::format("is {}, but 'proj' has {} rows", attrs.get_int("heads"), o.size("I")));
        o.positive(attrs, "ratio");
        o.check_rope(attrs, o.size("D"));
        o.check_index_round(attrs, o.size("D"));
        return {i32_type({o["T"], fixed(std::min(o.positive(attrs, "k"), o.size("M")))})};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("index_select", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId qr = node.in[0], x = node.in[1], wq_b = node.in[2], proj = node.in[3], cache = node.in[4],
                          pos = node.in[5], seq = node.in[6];
            const ValueId flat = emit.add("matmul", {qr, wq_b}, {}, "q")[0];
            Attrs rope = rope_attrs(node.attrs);
            rope.set("heads", node.attrs.get_int("heads"));
            const ValueId turned = emit.add("rope_tail", {flat, pos}, rope, "rope")[0];
            const ValueId iq = emit.add("index_round", {turned}, pick(node.attrs, {"idx4"}), "round")[0];
            const ValueId weights = emit.add("matmul", {x, proj}, {}, "weights")[0];
            const double elems = static_cast<double>(emit.type(flat).dims[1].max); // I·D
            Attrs score = pick(node.attrs, {"ratio"});
            score.set("scale", 1.0 / std::sqrt(elems));
            const ValueId scores = emit.add("index_score", {iq, weights, cache, pos, seq}, score, "score")[0];
            emit.add_into("top_k_rows", {scores}, {node.out[0]}, pick(node.attrs, {"k"}), "top_k");
          },
  };
}

} // namespace seacliff::ops
