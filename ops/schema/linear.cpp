// Products with weights, and table look-ups.
#include "ops/schema/cost.hpp"
#include "ops/schema/families.hpp"

#include <algorithm>

namespace seacliff::ops {
namespace {

/// A product whose weight (input 1) is read once.
Cost product_cost(Types in, Types out, const Attrs&) {
  const double inner = extent(in[1], in[1]->dims.size() - 1);
  return {2.0 * elems(out[0]) * inner, bytes(in[1]), bytes(in[0]) + bytes(out[0])};
}

} // namespace

Schema gather_rows_schema() {
  return {
      .name = "gather_rows",
      .doc = "out[t] = decoded row ids[t] of the table",
      .inputs = {"table", "ids"},
      .outputs = {"rows"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("gather_rows", in);
        const ValueType& table = o.bind(0, Kind::any, "V ... N");
        o.bind(1, Kind::i32, "T");
        std::vector<Dim> dims = table.dims;
        dims.front() = o["T"];
        return {{table.dtype == DType::i32 ? DType::i32 : DType::f32, std::move(dims)}};
      },
      .cost = [](Types in, Types out, const Attrs&) -> Cost {
        const double read = bytes(in[0]) * std::min(1.0, extent(out[0], 0) / extent(in[0], 0));
        return {0, read, bytes(in[1]) + bytes(out[0])};
      },
  };
}

Schema matmul_schema() {
  return {
      .name = "matmul",
      .doc = "y = x·wT",
      .inputs = {"x", "w"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("matmul", in);
        o.bind(0, Kind::f32, "T ... K");
        o.bind(1, Kind::weight, "N K");
        std::vector<Dim> dims = o.type(0).dims;
        dims.back() = o["N"];
        return {f32_type(std::move(dims))};
      },
      .cost = product_cost,
  };
}

Schema matmul_grouped_schema() {
  return {
      .name = "matmul_grouped",
      .doc = "y[g·N+j] = w[g·N+j]·x[g·K..]",
      .inputs = {"x", "w"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs& attrs) -> std::vector<ValueType> {
        Operands o("matmul_grouped", in);
        o.bind(0, Kind::f32, o.type(0).dims.size() == 3 ? "T H D" : "T C");
        o.bind(1, Kind::weight, "GN K");
        const std::int64_t groups = o.positive(attrs, "groups");
        o.require(o.size("GN") % groups == 0, 1,
                  fmt::format("is {}: its rows are not a multiple of {} groups", describe(o.type(1)), groups));
        const std::int64_t width = o.type(0).dims.size() == 3 ? o.size("H") * o.size("D") : o.size("C");
        o.require(width == groups * o.size("K"), 0,
                  fmt::format("is {}, expected {} groups of {} elements", describe(o.type(0)), groups, o.size("K")));
        return {f32_type({o["T"], o["GN"]})};
      },
      .cost = product_cost,
  };
}

Schema matmul_id_schema() {
  return {
      .name = "matmul_id",
      .doc = "y[t,s] = x[t] or x[t,s] · w[ids[t,s]]T",
      .inputs = {"x", "w", "ids"},
      .outputs = {"y"},
      .infer = [](Types in, const Attrs&) -> std::vector<ValueType> {
        Operands o("matmul_id", in);
        o.bind(0, Kind::f32, o.type(0).dims.size() == 3 ? "T S K" : "T K");
        o.bind(1, Kind::weight, "X N K");
        o.bind(2, Kind::i32, "T S");
        return {f32_type({o["T"], o["S"], o["N"]})};
      },
      .cost = [](Types in, Types out, const Attrs&) -> Cost {
        const double used = std::min(1.0, elems(in[2]) / extent(in[1], 0)); // share of the matrices that is read
        return {2.0 * elems(out[0]) * extent(in[1], 2), used * bytes(in[1]),
                bytes(in[0]) + bytes(in[2]) + bytes(out[0])};
      },
  };
}

} // namespace seacliff::ops
