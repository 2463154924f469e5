// Attention over the sliding window and the compressed rows, with one sink per head.
#include "ops/schema/attrs.hpp"
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

namespace seacliff::ops {
namespace {

/// Checks k, window, cache?, sel? (inputs `first`..) and the attributes; returns N, the rows that one token may see.
std::int64_t check_rows(Operands& o, std::size_t first, const Attrs& attrs) {
  const std::size_t k = first, window = first + 1, cache = first + 2, sel = first + 3;
  o.bind(k, Kind::f32, "T D");
  o.bind(window, Kind::state, "slots R D");
  const std::int64_t visible = o.positive(attrs, "window");
  o.require(o.size("R") >= visible, window,
            fmt::format("is {}, expected at least {} rows (attribute 'window')", describe(o.type(window)), visible));
  if (!o.bind_if(cache, Kind::state, "slots M D")) {
    o.require(!o.has(sel), sel, "needs 'cache'");
    return visible;
  }
  o.positive(attrs, "ratio");
  return visible + (o.bind_if(sel, Kind::i32, "T S") ? o.size("S") : o.size("M"));
}

double dot_flops(const ValueType& q, double rows) { return 2.0 * elems(&q) * rows; }

} // namespace

Schema ring_write_schema() {
  return {
      .name = "ring_write",
      .doc = "window[slot][pos mod R] = k for the last R rows of each run",
      .inputs = {"k", "window!", "pos", "seq"},
      .outputs = {"window"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("ring_write", in);
        o.bind(0, Kind::f32, "T D");
        o.bind(1, Kind::state, "slots R D");
        o.bind(2, Kind::i32, "T");
        o.bind(3, Kind::i32, "T 3");
        return {o.type(1)};
      },
      .cost = [](Types in, Types, const Attrs&) -> Cost {
        return {0, 0, 2 * bytes(in[0])};
      },
  };
}

Schema gather_kv_schema() {
  return {
      .name = "gather_kv",
      .doc = "the rows a token sees: raw ones old to new, then compressed ones; zeros past count",
      .inputs = {"k", "window", "cache?", "sel?", "pos", "seq"},
      .outputs = {"rows", "count"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("gather_kv", in);
        const std::int64_t n = check_rows(o, 0, attrs);
        o.bind(4, Kind::i32, "T");
        o.bind(5, Kind::i32, "T 3");
        return {f32_type({o["T"], fixed(n), o["D"]}), i32_type({o["T"]})};
      },
      .cost = [](Types, Types out, const Attrs&) -> Cost {
        return {0, 0, 2 * bytes(out[0])};
      },
  };
}

Schema attn_scores_schema() {
  return {
      .name = "attn_scores",
      .doc = "q·row·scale; -inf past count",
      .inputs = {"q", "rows", "count"},
      .outputs = {"scores"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("attn_scores", in);
        o.bind(0, Kind::f32, "T H D");
        o.bind(1, Kind::f32, "T N D");
        o.bind(2, Kind::i32, "T");
        o.positive_float(attrs, "scale");
        return {f32_type({o["T"], o["H"], o["N"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 2 * extent(in[0], 2)); },
  };
}

Schema softmax_sink_schema() {
  return {
      .name = "softmax_sink",
      .doc = "exp(s-M)/(exp(sink-M)+sum), M the maximum with the sink; 0 past count",
      .inputs = {"scores", "sinks", "count"},
      .outputs = {"probs"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("softmax_sink", in);
        o.bind(0, Kind::f32, "T H N");
        o.bind(1, Kind::f32, "H");
        o.bind(2, Kind::i32, "T");
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 8); },
  };
}

Schema attn_mix_schema() {
  return {
      .name = "attn_mix",
      .doc = "sum of p·row",
      .inputs = {"probs", "rows", "count"},
      .outputs = {"o"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("attn_mix", in);
        o.bind(0, Kind::f32, "T H N");
        o.bind(1, Kind::f32, "T N D");
        o.bind(2, Kind::i32, "T");
        return {f32_type({o["T"], o["H"], o["D"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 2 * extent(in[1], 1)); },
  };
}

Schema attention_mixed_schema() {
  return {
      .name = "attention_mixed",
      .doc = "softmax with sinks over the last `window` raw rows and the compressed rows; then the raw rows are stored",
      .inputs = {"q", "k", "window!", "cache?", "sel?", "sinks", "pos", "seq"},
      .outputs = {"o", "window"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("attention_mixed", in);
        o.bind(0, Kind::f32, "T H D");
        check_rows(o, 1, attrs);
        o.bind(5, Kind::f32, "H");
        o.bind(6, Kind::i32, "T");
        o.bind(7, Kind::i32, "T 3");
        o.positive_float(attrs, "scale");
        return {o.type(0), o.type(2)};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) -> Cost {
        const double raw = static_cast<double>(attrs.get_int("window"));
        const double compressed = in[4] ? extent(in[4], 1) : in[3] ? extent(in[3], 1) : 0;
        // Rows are shared by all heads of a token; raw rows also by neighbours, which is not counted on.
        const double row_bytes = bytes(in[1]) * (raw + compressed);
        return {2 * dot_flops(*in[0], raw + compressed), 0, bytes(in[0]) + bytes(out[0]) + row_bytes};
      },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId q = node.in[0], k = node.in[1], window = node.in[2], cache = node.in[3], sel = node.in[4],
                          sinks = node.in[5], pos = node.in[6], seq = node.in[7];
            const std::vector<ValueId> seen =
                emit.add("gather_kv", {k, window, cache, sel, pos, seq}, pick(node.attrs, {"window", "ratio"}), "rows");
            const ValueId scores =
                emit.add("attn_scores", {q, seen[0], seen[1]}, pick(node.attrs, {"scale"}), "scores")[0];
            const ValueId probs = emit.add("softmax_sink", {scores, sinks, seen[1]}, {}, "softmax")[0];
            emit.add_into("attn_mix", {probs, seen[0], seen[1]}, {node.out[0]}, {}, "mix");
            emit.add_into("ring_write", {k, window, pos, seq}, {node.out[1]}, {}, "store");
          },
  };
}

Schema attn_out_grouped_schema() {
  return {
      .name = "attn_out_grouped",
      .doc = "b·(block-diagonal a·o)",
      .inputs = {"o", "a", "b"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("attn_out_grouped", in);
        o.bind(0, Kind::f32, o.type(0).dims.size() == 3 ? "T H D" : "T C");
        o.bind(1, Kind::weight, "GN K");
        o.bind(2, Kind::weight, "E GN");
        const std::int64_t groups = o.positive(attrs, "groups");
        o.require(o.size("GN") % groups == 0, 1,
                  fmt::format("is {}: its rows are not a multiple of {} groups", describe(o.type(1)), groups));
        const std::int64_t width = o.type(0).dims.size() == 3 ? o.size("H") * o.size("D") : o.size("C");
        o.require(width == groups * o.size("K"), 0,
                  fmt::format("is {}, expected {} groups of {} elements", describe(o.type(0)), groups, o.size("K")));
        return {f32_type({o["T"], o["E"]})};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("attn_out_grouped", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId low =
                emit.add("matmul_grouped", {node.in[0], node.in[1]}, pick(node.attrs, {"groups", "act8"}), "a")[0];
            emit.add_into("matmul", {low, node.in[2]}, {node.out[0]}, pick(node.attrs, {"act8"}), "b");
          },
  };
}

} // namespace seacliff::ops
