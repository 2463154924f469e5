// Schemas: every generated case is accepted, broken ones are refused with the operand's name. To add a case, add it to
// ops/cases; to add a refusal, copy one of the tests at the end.
#include "ops/cases/cases.hpp"
#include "ops/cases/run_case.hpp"
#include "tests/unit/ops/op_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace seacliff::ops {
namespace {

using ::testing::HasSubstr;

std::string refusal(std::string_view op, const std::vector<const ValueType*>& in, const Attrs& attrs) {
  try {
    find_schema(op)->infer(in, attrs);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument) << error.what();
    return error.what();
  }
  return "accepted";
}

ValueType f32(std::vector<Dim> dims) { return {DType::f32, std::move(dims)}; }
ValueType i32(std::vector<Dim> dims) { return {DType::i32, std::move(dims)}; }
const Dim T{64, 1};

TEST(Schema, CatalogueIsWellFormed) {
  std::set<std::string_view> names;
  for (const Schema& schema : catalogue()) {
    EXPECT_TRUE(names.insert(schema.name).second) << schema.name;
    EXPECT_FALSE(schema.doc.empty()) << schema.name;
    EXPECT_NE(schema.infer, nullptr) << schema.name;
    EXPECT_NE(schema.cost, nullptr) << schema.name;
    EXPECT_EQ(find_schema(schema.name), &schema);
    for (const std::string_view input : schema.inputs) {
      if (!input.ends_with('!')) continue;
      bool updated = false;
      for (std::size_t o = 0; o < schema.outputs.size(); ++o)
        updated = updated || input.substr(0, input.size() - 1) == schema.outputs[o];
      EXPECT_TRUE(updated) << schema.name << ": the STATE " << input << " is not among the outputs";
    }
  }
  EXPECT_EQ(names.size(), 38u);
  EXPECT_EQ(find_schema("no_such_op"), nullptr);
}

TEST(Schema, AliasNamesTheUpdatedState) {
  const Schema& attention = *find_schema("attention_mixed");
  EXPECT_EQ(attention.alias_of(0), -1);
  EXPECT_EQ(attention.alias_of(1), 2);
  const Schema& compress = *find_schema("compress");
  EXPECT_EQ(compress.alias_of(0), 4);
  EXPECT_EQ(compress.alias_of(1), 5);
}

class SchemaOfOp : public ::testing::TestWithParam<std::string> {};

TEST_P(SchemaOfOp, AcceptsItsCases) {
  const Schema& schema = *find_schema(GetParam());
  const std::vector<Case> cases = cases_for(GetParam());
  ASSERT_GE(cases.size(), 4u);
  std::set<std::string> names;
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    EXPECT_TRUE(names.insert(test.name).second);
    ASSERT_EQ(test.inputs.size(), schema.inputs.size());
    std::vector<ValueType> out;
    ASSERT_NO_THROW(out = output_types(test));
    ASSERT_EQ(out.size(), schema.outputs.size());
    for (std::size_t o = 0; o < out.size(); ++o) {
      const int alias = schema.alias_of(o);
      if (alias < 0) continue;
      EXPECT_EQ(out[o], test.inputs[static_cast<std::size_t>(alias)].type);
    }
  }
}

TEST_P(SchemaOfOp, RefusesCasesWithOneOperandBroken) {
  const Schema& schema = *find_schema(GetParam());
  const Case test = cases_for(GetParam()).front();
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    if (!test.inputs[i].present()) continue;
    std::string operand(schema.inputs[i]);
    const bool optional = operand.ends_with('?');
    if (optional || operand.ends_with('!')) operand.pop_back();
    std::vector<const ValueType*> in = input_types(test);

    if (!optional) {
      in[i] = nullptr;
      EXPECT_THAT(refusal(test.op, in, test.attrs), HasSubstr("operand '" + operand + "' is missing"));
    }
    ValueType deeper = test.inputs[i].type;
    for (int axis = 0; axis < 6; ++axis) deeper.dims.insert(deeper.dims.begin(), Dim{1, 0});
    in[i] = &deeper;
    EXPECT_THAT(refusal(test.op, in, test.attrs), HasSubstr("operand '" + operand + "'"));

    ValueType empty = test.inputs[i].type;
    empty.dims.back().max = 0;
    in[i] = &empty;
    EXPECT_THAT(refusal(test.op, in, test.attrs), HasSubstr("operand '" + operand + "'"));

    ValueType other = test.inputs[i].type;
    if (schema.name == "gather_rows" && i == 0) continue; // a table may have any format
    other.dtype = other.dtype == DType::i32 ? DType::f32 : DType::i32;
    in[i] = &other;
    EXPECT_THAT(refusal(test.op, in, test.attrs), HasSubstr("operand '" + operand + "'"));
  }
  const std::vector<const ValueType*> all = input_types(test);
  EXPECT_THAT(refusal(test.op, {all.begin(), all.end() - 1}, test.attrs), HasSubstr("operands, not"));
}

TEST_P(SchemaOfOp, CostIsPositiveAndFinite) {
  const Schema& schema = *find_schema(GetParam());
  for (const Case& test : cases_for(GetParam())) {
    const std::vector<ValueType> out = output_types(test);
    std::vector<const ValueType*> out_types;
    for (const ValueType& type : out) out_types.push_back(&type);
    const Cost cost = schema.cost(input_types(test), out_types, test.attrs);
    EXPECT_GE(cost.flops, 0) << test.name;
    EXPECT_GE(cost.bytes_weights, 0) << test.name;
    EXPECT_GT(cost.bytes_weights + cost.bytes_activations, 0) << test.name;
    EXPECT_LT(cost.flops + cost.bytes_weights + cost.bytes_activations, 1e12) << test.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, SchemaOfOp, ::testing::ValuesIn(op_names()),
                         [](const auto& instance) { return instance.param; });

TEST(Schema, MatmulNamesTheMisfit) {
  const ValueType x = f32({T, {256, 0}}), w{DType::q8_0, {{64, 0}, {128, 0}}};
  EXPECT_THAT(refusal("matmul", {&x, &w}, {}), HasSubstr("operand 'w' is q8_0[64,128], expected [N K] with K = 256"));
  const ValueType half_block{DType::q8_0, {{64, 0}, {48, 0}}};
  EXPECT_THAT(refusal("matmul", {&x, &half_block}, {}), HasSubstr("whole blocks of 32"));
}

TEST(Schema, CostOfMatmulIsItsWeight) {
  const ValueType x = f32({T, {256, 0}}), w{DType::q8_0, {{64, 0}, {256, 0}}}, y = f32({T, {64, 0}});
  const ValueType *in[] = {&x, &w}, *out[] = {&y};
  const Cost cost = find_schema("matmul")->cost(std::span(in), std::span(out), {});
  EXPECT_EQ(cost.flops, 2.0 * 64 * 64 * 256);
  EXPECT_EQ(cost.bytes_weights, 64.0 * 256 / 32 * 34);
}

TEST(Schema, ExpertsThatCannotBeUsedCostNothing) {
  const ValueType x = f32({{1, 1}, {64, 0}}), ids = i32({{1, 1}, {2, 0}}), weights = f32({{1, 1}, {2, 0}}),
                  up{DType::f16, {{16, 0}, {32, 0}, {64, 0}}}, down{DType::f16, {{16, 0}, {64, 0}, {32, 0}}};
  const ValueType *in[] = {&x, &ids, &weights, &up, &up, &down}, *out[] = {&x};
  const Cost cost = find_schema("moe_experts")->cost(std::span(in), std::span(out), {});
  EXPECT_DOUBLE_EQ(cost.bytes_weights, 3.0 * 2 * 32 * 64 * 2);
}

TEST(Schema, RangesOfAttributes) {
  const ValueType x = f32({T, {100, 0}}), pos = i32({T});
  EXPECT_THAT(refusal("rope_tail", {&x, &pos}, {{"rot", std::int64_t{7}}, {"base", 1e4}}), HasSubstr("'rot' is 7"));
  EXPECT_THAT(refusal("rope_tail", {&x, &pos}, {{"rot", std::int64_t{128}}, {"base", 1e4}}), HasSubstr("'rot' is 128"));
  EXPECT_THAT(refusal("rope_tail", {&x, &pos}, {{"rot", std::int64_t{64}}}), HasSubstr("'base'"));
  EXPECT_THAT(refusal("index_round", {&x}, {{"idx4", std::int64_t{1}}}), HasSubstr("2^n"));
  EXPECT_THAT(refusal("kv_round", {&x}, {{"kv8", std::int64_t{1}}}), HasSubstr("blocks of 64"));
  EXPECT_THAT(refusal("top_k", {&x, nullptr}, {{"k", std::int64_t{101}}}), HasSubstr("'k' is 101"));
}

TEST(Schema, StatesMustBeLongEnough) {
  const ValueType k = f32({T, {32, 0}}), ring = f32({{2, 0}, {15, 0}, {32, 0}}), pos = i32({T}), seq = i32({T, {3, 0}});
  EXPECT_THAT(refusal("gather_kv", {&k, &ring, nullptr, nullptr, &pos, &seq}, {{"window", std::int64_t{16}}}),
              HasSubstr("at least 16 rows"));
  const ValueType kv = f32({T, {64, 0}}), ape = f32({{4, 0}, {64, 0}}), carry = f32({{2, 0}, {7, 0}, {2, 0}, {64, 0}});
  EXPECT_THAT(refusal("compress_pool", {&kv, &kv, &ape, &carry, &pos, &seq}, {{"ratio", std::int64_t{4}}}),
              HasSubstr("at least 8 rows"));
}

TEST(Schema, RowsBeyondAllMemoryAreRefused) {
  const ValueType x = f32({{std::int64_t{1} << 40, 1}, {std::int64_t{1} << 30, 0}});
  EXPECT_THAT(refusal("sqrt_softplus", {&x}, {}), HasSubstr("too large"));
}

} // namespace
} // namespace seacliff::ops
