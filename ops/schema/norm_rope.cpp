// RMS norm, rotary positions, and the round trips through narrow formats that cached rows go through.
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

namespace seacliff::ops {
namespace {

/// x[T,H·D] -> [T,H,D] for the ops that take *heads*.
std::vector<Dim> split_heads(const Operands& o, std::int64_t heads) {
  const std::int64_t width = o.size("D");
  o.require(o.rest().empty(), 0, fmt::format("is {}, expected [T H·D] because 'heads' is set", describe(o.type(0))));
  if (heads < 0 || width % heads != 0)
    o.fail_attr("heads", fmt::format("is {}, but rows have {} elements", heads, width));
  return {o["T"], fixed(heads), fixed(width / heads)};
}

} // namespace

Schema rms_norm_schema() {
  return {
      .name = "rms_norm",
      .doc = "(x·scale)·w, scale = 1/sqrt(mean(x²)+eps)",
      .inputs = {"x", "w?"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("rms_norm", in);
        o.bind(0, Kind::f32, "T ... D");
        if (!(attrs.get_float("eps") >= 0)) o.fail_attr("eps", "is negative");
        std::vector<Dim> dims = o.type(0).dims;
        if (const std::int64_t heads = attrs.get_int("heads"); heads != 0) {
          if (attrs.get_int("flatten") != 0) o.fail_attr("flatten", "does not go with 'heads'");
          dims = split_heads(o, heads);
        } else if (attrs.get_int("flatten") != 0) {
          dims = {o["T"], fixed(o.rest_elems() * o.size("D"))};
        }
        if (o.bind_if(1, Kind::f32, "W")) o.expect(1, "W", dims.back().max, "the elements under one norm");
        return {f32_type(std::move(dims))};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 4); },
  };
}

Schema rope_tail_schema() {
  return {
      .name = "rope_tail",
      .doc = "rotates adjacent pairs of the last rot elements by (pos+shift)·freq_i",
      .inputs = {"x", "pos"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("rope_tail", in);
        o.bind(0, Kind::f32, "T ... D");
        o.bind(1, Kind::i32, "T");
        std::vector<Dim> dims = o.type(0).dims;
        if (const std::int64_t heads = attrs.get_int("heads"); heads != 0) dims = split_heads(o, heads);
        o.check_rope(attrs, dims.back().max);
        return {f32_type(std::move(dims))};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 3); },
  };
}

Schema kv_round_schema() {
  return {
      .name = "kv_round",
      .doc = "kv8: E4M3 round trip of the first D-rot elements in blocks of 64; f16: all rounded to f16",
      .inputs = {"x"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("kv_round", in);
        o.bind(0, Kind::f32, "T D");
        o.check_kv_round(attrs, o.size("D"));
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 4); },
  };
}

Schema index_round_schema() {
  return {
      .name = "index_round",
      .doc = "idx4: Walsh-Hadamard rotation and E2M1 round trip in blocks of 32; f16: rounded to f16",
      .inputs = {"x"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("index_round", in);
        o.bind(0, Kind::f32, "T ... D");
        o.check_index_round(attrs, o.size("D"));
        return {o.type(0)};
      },
      .cost = [](Types in, Types out, const Attrs&) { return streamed(in, out, 12); },
  };
}

} // namespace seacliff::ops
