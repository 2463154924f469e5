// Hyper-connections: n residual streams, mixed by gates that depend on the token.
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

namespace seacliff::ops {
namespace {

/// Streams n of a row of 2n+n² mixing numbers; 0 when there is no such n.
std::int64_t streams_of(std::int64_t width) {
  std::int64_t n = 1;
  while (n * n + 2 * n < width) ++n;
  return n * n + 2 * n == width ? n : 0;
}

Attrs norm_attrs(const Attrs& attrs) { return {{"eps", attrs.get_float("rms_eps")}, {"flatten", std::int64_t{1}}}; }

} // namespace

Schema repeat_streams_schema() {
  return {
      .name = "repeat_streams",
      .doc = "n copies of each row",
      .inputs = {"x"},
      .outputs = {"s"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("repeat_streams", in);
        o.bind(0, Kind::f32, "T E");
        return {f32_type({o["T"], fixed(o.positive(attrs, "n")), o["E"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 0); },
  };
}

Schema hc_split_schema() {
  return {
      .name = "hc_split",
      .doc = "sigmoid gates pre and post, and comb[source][destination] made doubly stochastic by Sinkhorn",
      .inputs = {"m", "base", "scale"},
      .outputs = {"pre", "post", "comb"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("hc_split", in);
        o.bind(0, Kind::f32, "T M");
        o.bind(1, Kind::f32, "M");
        o.bind(2, Kind::f32, "3");
        o.positive(attrs, "iters");
        const std::int64_t n = streams_of(o.size("M"));
        o.require(n > 0, 0, fmt::format("is {}: {} is not 2n+n²", describe(o.type(0)), o.size("M")));
        return {f32_type({o["T"], fixed(n)}), f32_type({o["T"], fixed(n)}), f32_type({o["T"], fixed(n), fixed(n)})};
      },
      .cost = [](Types in, Types out,
                 const Attrs& attrs) { return streamed(in, out, 4.0 * static_cast<double>(attrs.get_int("iters"))); },
  };
}

Schema hc_gate_schema() {
  return {
      .name = "hc_gate",
      .doc = "sigmoid(m·scale+base)+eps",
      .inputs = {"m", "base", "scale"},
      .outputs = {"gate"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("hc_gate", in);
        o.bind(0, Kind::f32, "T n");
        o.bind(1, Kind::f32, "n");
        o.bind(2, Kind::f32, "1");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 8); },
  };
}

Schema stream_mix_schema() {
  return {
      .name = "stream_mix",
      .doc = "out[c] = sum over r of a[r][c]·s[r]",
      .inputs = {"s", "a"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("stream_mix", in);
        o.bind(0, Kind::f32, "T n E");
        if (o.type(1).dims.size() == 2) {
          o.bind(1, Kind::f32, "T n");
          return {f32_type({o["T"], o["E"]})};
        }
        o.bind(1, Kind::f32, "T n m");
        return {f32_type({o["T"], o["m"], o["E"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 2 * extent(in[0], 1)); },
  };
}

Schema stream_add_schema() {
  return {
      .name = "stream_add",
      .doc = "s[c] + post[c]·y",
      .inputs = {"s", "y", "post"},
      .outputs = {"out"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("stream_add", in);
        o.bind(0, Kind::f32, "T n E");
        o.bind(1, Kind::f32, "T E");
        o.bind(2, Kind::f32, "T n");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 2); },
  };
}

Schema hc_pre_schema() {
  return {
      .name = "hc_pre",
      .doc = "x = sum of pre[r]·s[r]; pre, post, comb from the product of the normalised streams with fn",
      .inputs = {"s", "fn", "base", "scale"},
      .outputs = {"x", "post", "comb"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("hc_pre", in);
        o.bind(0, Kind::f32, "T n E");
        o.bind(1, Kind::weight, "M nE");
        o.bind(2, Kind::f32, "M");
        o.bind(3, Kind::f32, "3");
        o.positive(attrs, "iters");
        const std::int64_t n = o.size("n");
        o.expect(1, "nE", n * o.size("E"), "all streams of 's'");
        o.expect(1, "M", n * n + 2 * n, "2n+n²");
        return {f32_type({o["T"], o["E"]}), f32_type({o["T"], o["n"]}), f32_type({o["T"], o["n"], o["n"]})};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("hc_pre", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId z = emit.add("rms_norm", {node.in[0], k_none}, norm_attrs(node.attrs), "norm")[0];
            const ValueId m = emit.add("matmul", {z, node.in[1]}, {}, "fn")[0];
            const Attrs split{{"iters", node.attrs.get_int("iters")}, {"eps", node.attrs.get_float("eps")}};
            const ValueId pre = emit.add_into("hc_split", {m, node.in[2], node.in[3]},
                                              {k_none, node.out[1], node.out[2]}, split, "split")[0];
            emit.add_into("stream_mix", {node.in[0], pre}, {node.out[0]}, {}, "mix");
          },
  };
}

Schema hc_post_schema() {
  return {
      .name = "hc_post",
      .doc = "out[c] = post[c]·y + sum over r of comb[r][c]·s[r]",
      .inputs = {"s", "y", "post", "comb"},
      .outputs = {"out"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("hc_post", in);
        o.bind(0, Kind::f32, "T n E");
        o.bind(1, Kind::f32, "T E");
        o.bind(2, Kind::f32, "T n");
        o.bind(3, Kind::f32, "T n n");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("hc_post", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId mixed = emit.add("stream_mix", {node.in[0], node.in[3]}, {}, "mix")[0];
            emit.add_into("stream_add", {mixed, node.in[1], node.in[2]}, {node.out[0]}, {}, "add");
          },
  };
}

Schema hc_head_schema() {
  return {
      .name = "hc_head",
      .doc = "sum of gate[r]·s[r]; the gate from the product of the normalised streams with fn",
      .inputs = {"s", "fn", "base", "scale"},
      .outputs = {"x"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("hc_head", in);
        o.bind(0, Kind::f32, "T n E");
        o.bind(1, Kind::weight, "n nE");
        o.bind(2, Kind::f32, "n");
        o.bind(3, Kind::f32, "1");
        o.expect(1, "nE", o.size("n") * o.size("E"), "all streams of 's'");
        return {f32_type({o["T"], o["E"]})};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("hc_head", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId z = emit.add("rms_norm", {node.in[0], k_none}, norm_attrs(node.attrs), "norm")[0];
            const ValueId m = emit.add("matmul", {z, node.in[1]}, {}, "fn")[0];
            const ValueId gate =
                emit.add("hc_gate", {m, node.in[2], node.in[3]}, {{"eps", node.attrs.get_float("eps")}}, "gate")[0];
            emit.add_into("stream_mix", {node.in[0], gate}, {node.out[0]}, {}, "mix");
          },
  };
}

} // namespace seacliff::ops
