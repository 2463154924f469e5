// Compression of key-value rows: windows of `ratio` tokens pooled into one cached row.
#include "ops/schema/attrs.hpp"
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

namespace seacliff::ops {
namespace {

/// Checks kv, gate, ape (inputs 0-2) and `carry`; returns the width of a pooled row.
std::int64_t check_pool(Operands& o, std::size_t carry, const Attrs& attrs) {
  const std::int64_t ratio = o.positive(attrs, "ratio");
  o.bind(0, Kind::f32, "T w");
  o.bind(1, Kind::f32, "T w");
  o.bind(2, Kind::weight, "r w");
  o.expect(2, "r", ratio, "the attribute 'ratio'");
  const ValueType& ring = o.bind(carry, Kind::f32, "slots C 2 w");
  const std::int64_t rows = ratio == 4 ? 8 : ratio; // ratio 4 pools the window before, too
  o.require(o.size("C") >= rows, carry, fmt::format("is {}, expected at least {} rows", describe(ring), rows));
  if (ratio != 4) return o.size("w");
  o.require(o.size("w") % 2 == 0, 0, fmt::format("is {}: ratio 4 has two lanes of equal width", describe(o.type(0))));
  return o.size("w") / 2;
}

Cost pool_cost(Types in, Types out, const Attrs& attrs) {
  const double width = elems(in[0]); // T·w: every element is stored once and pooled once (twice in ratio 4)
  return {8 * width, bytes(in[2]),
          bytes(in[0]) * 4 + (attrs.get_int("ratio") == 4 ? 2 : 1) * 2 * bytes(in[0]) + bytes(out[0])};
}

} // namespace

Schema compress_pool_schema() {
  return {
      .name = "compress_pool",
      .doc = "stores kv and gate+ape[pos mod r]; where (pos+1) mod r == 0 the softmax-pooled row, else zeros",
      .inputs = {"kv", "gate", "ape", "carry!", "pos", "seq"},
      .outputs = {"rows", "carry"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("compress_pool", in);
        const std::int64_t width = check_pool(o, 3, attrs);
        o.bind(4, Kind::i32, "T");
        o.bind(5, Kind::i32, "T 3");
        return {f32_type({o["T"], fixed(width)}), o.type(3)};
      },
      .cost = pool_cost,
  };
}

Schema cache_append_schema() {
  return {
      .name = "cache_append",
      .doc = "where (pos+1) mod ratio == 0: cache[slot][pos/ratio] = row",
      .inputs = {"rows", "cache!", "pos", "seq"},
      .outputs = {"cache"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("cache_append", in);
        o.bind(0, Kind::f32, "T D");
        o.bind(1, Kind::state, "slots M D");
        o.bind(2, Kind::i32, "T");
        o.bind(3, Kind::i32, "T 3");
        o.positive(attrs, "ratio");
        return {o.type(1)};
      },
      .cost = [](Types in, Types, const Attrs& attrs) -> Cost {
        return {0, 0, 2 * bytes(in[0]) / static_cast<double>(attrs.get_int("ratio"))};
      },
  };
}

Schema compress_schema() {
  return {
      .name = "compress",
      .doc = "pooled rows, normalised, rotated to the first position of their window, rounded, appended to the cache",
      .inputs = {"kv", "gate", "ape", "norm", "carry!", "cache!", "pos", "seq"},
      .outputs = {"carry", "cache"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("compress", in);
        const std::int64_t width = check_pool(o, 4, attrs);
        o.bind(3, Kind::f32, "D");
        o.expect(3, "D", width, "the pooled row");
        o.bind(5, Kind::state, "slots M D");
        o.bind(6, Kind::i32, "T");
        o.bind(7, Kind::i32, "T 3");
        o.check_rope(attrs, width);
        if (attrs.get_int("index") != 0)
          o.check_index_round(attrs, width);
        else
          o.check_kv_round(attrs, width);
        return {o.type(4), o.type(5)};
      },
      .cost = [](Types in, Types out, const Attrs& attrs) { return composed("compress", in, out, attrs); },
      .decompose =
          [](const NodeDesc& node, Emitter& emit) {
            const ValueId kv = node.in[0], gate = node.in[1], ape = node.in[2], norm = node.in[3], carry = node.in[4],
                          cache = node.in[5], pos = node.in[6], seq = node.in[7];
            const Attrs& attrs = node.attrs;
            const std::int64_t ratio = attrs.get_int("ratio");
            const ValueId pooled =
                emit.add("compress_pool", {kv, gate, ape, carry, pos, seq}, {{"ratio", ratio}}, "pool")[0];
            const ValueId normed =
                emit.add("rms_norm", {pooled, norm}, {{"eps", attrs.get_float("rms_eps")}}, "norm")[0];
            Attrs rope = rope_attrs(attrs);
            rope.set("shift", 1 - ratio);
            const ValueId turned = emit.add("rope_tail", {normed, pos}, rope, "rope")[0];
            const ValueId rounded =
                attrs.get_int("index") != 0
                    ? emit.add("index_round", {turned}, pick(attrs, {"idx4", "f16"}), "round")[0]
                    : emit.add("kv_round", {turned}, pick(attrs, {"kv8", "f16", "rot"}), "round")[0];
            emit.add_into("cache_append", {rounded, cache, pos, seq}, {node.out[1]}, {{"ratio", ratio}}, "append");
          },
  };
}

} // namespace seacliff::ops
