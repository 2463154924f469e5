// The many-token products of the set `amx` on a model of its tile instructions, on any machine, against the reference
// kernels. To add a case, add a shape to `k_edges`, or add it to ops/cases.
#include "backends/cpu/ops/ops.hpp"
#include "ops/cases/data.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

namespace seacliff::cpu {
namespace amx_model {
extern const Isa isa;
}
namespace scalar {
extern const Isa isa;
}
namespace {

template <auto MAKE> std::unique_ptr<sdk::Kernel> make_modelled(const sdk::NodeView& node) {
  return MAKE(amx_model::isa, node);
}
#define MODELLED(op)                                                                                                   \
  sdk::KernelEntry { #op, claim_##op, make_modelled < make_##op> }
const auto k_modelled =
    std::to_array<sdk::KernelEntry>({MODELLED(matmul), MODELLED(matmul_grouped), MODELLED(attn_out_grouped),
                                     MODELLED(moe_experts), MODELLED(shared_expert)});

constexpr DType k_formats[] = {DType::q8_0, DType::mxfp4, DType::q2_k, DType::q3_k,
                               DType::q4_k, DType::q5_k,  DType::q6_k, DType::iq2_xxs};

void expect_as_reference(const sdk::KernelEntry& kernel, const ops::Case& test, std::uint32_t workers) {
  const ops::Outputs expected = ops::run_kernel(*reference::find_kernel(kernel.op), test, 2);
  const ops::Outputs got = ops::run_kernel(kernel, test, workers);
  const auto wrong = ops::find_mismatch(test, expected, got, reference::reference_kernels());
  EXPECT_FALSE(wrong) << workers << " workers: " << wrong.value_or("");
  const ops::Outputs again = ops::run_kernel(kernel, test, workers);
  for (std::size_t o = 0; o < got.size(); ++o) EXPECT_EQ(got[o].data, again[o].data) << test.name;
}

class AmxModel : public ::testing::TestWithParam<sdk::KernelEntry> {};

TEST_P(AmxModel, AgreesWithTheReference) {
  for (const ops::Case& test : ops::cases_for(GetParam().op)) expect_as_reference(GetParam(), test, 3);
}

INSTANTIATE_TEST_SUITE_P(Ops, AmxModel, ::testing::ValuesIn(k_modelled),
                         [](const auto& instance) { return std::string(instance.param.op); });

struct Product {
  std::int64_t rows, k, tokens;
};
// Part of a tile, whole tiles, one more than whole tiles; part of a chunk of k, several chunks and a part.
constexpr Product k_edges[] = {{1, 1, 8}, {16, 35, 16}, {17, 3, 33}, {64, 2, 32}, {70, 5, 17}, {65, 7, 70}};

class AmxModelFormat : public ::testing::TestWithParam<DType> {};

/// y of `isa` for tokens that read rows `from` of x and write rows `to` of y.
std::vector<float> picked(const Isa& isa, const ops::Case& test, const std::vector<std::int32_t>& from,
                          const std::vector<std::int32_t>& to, std::int64_t k, std::int64_t rows, float poison) {
  const Format& format = *isa.find(test.inputs[1].type.dtype);
  const std::uint64_t x_stride = act_layout(format.act, k).bytes;
  std::vector<float> x(test.inputs[0].as<float>().begin(), test.inputs[0].as<float>().end());
  x[static_cast<std::size_t>(from[3]) * static_cast<std::size_t>(k) + 5] *= poison;
  const std::size_t x_rows = x.size() / static_cast<std::size_t>(k);
  std::vector<std::byte> codes(x_rows * x_stride);
  for (std::size_t r = 0; r < x_rows; ++r)
    isa.quantise(format.act, x.data() + r * static_cast<std::size_t>(k), k, codes.data() + r * x_stride);
  std::vector<float> y(to.size() * static_cast<std::size_t>(rows + 3), -1.0f);
  GemmArgs args{};
  args.w = test.inputs[1].data.data();
  args.w_stride = row_bytes(format.dtype, static_cast<std::uint64_t>(k));
  args.rows = rows;
  args.k = k;
  args.x = codes.data();
  args.x_stride = x_stride;
  args.tokens = static_cast<std::int64_t>(from.size());
  args.y = y.data();
  args.y_stride = rows + 3;
  args.x_row = from.data();
  args.y_row = to.data();
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  const std::unique_ptr<Line[]> scratch(new Line[isa.act_scratch(args.tokens) / sizeof(Line)]);
  args.scratch = reinterpret_cast<std::byte*>(scratch.get());
  format.gemm_act(args);
  return y;
}

/// Same codes, same exact integer sums: only the order of the float sums may differ from the set `scalar`.
void expect_close(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
  double largest = 0;
  for (const float v : want) largest = std::isfinite(v) ? std::max(largest, std::abs(double{v})) : largest;
  ASSERT_GT(largest, 0) << what;
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(std::isnan(got[i]), std::isnan(want[i])) << what << ", element " << i;
    if (!std::isnan(want[i])) {
      ASSERT_NEAR(got[i], want[i], 1e-5 * largest) << what << ", element " << i;
    }
  }
}

TEST_P(AmxModelFormat, IsScalarAtEveryEdge) {
  for (const Product& edge : k_edges) {
    const std::int64_t k = edge.k * dtype_info(GetParam()).block_elems;
    const std::string name = fmt::format("{}x{} T={}", edge.rows, k, edge.tokens);
    ops::CaseBuilder b("matmul", name, edge.tokens);
    b.activations({b.T(), ops::n(k)}).weight(GetParam(), {ops::n(edge.rows), ops::n(k)}, 0.05);
    const ops::Case test = b.build();
    std::vector<std::int32_t> rows(static_cast<std::size_t>(edge.tokens));
    std::iota(rows.begin(), rows.end(), 0);
    expect_close(picked(amx_model::isa, test, rows, rows, k, edge.rows, 1.0f),
                 picked(scalar::isa, test, rows, rows, k, edge.rows, 1.0f), name);
  }
}

/// Any bytes are codes of a format, if its scales are ordinary numbers: f16 at these offsets of a block, or MXFP4's
/// exponent.
void make_extreme(ops::Case& test, DType format) {
  const auto scales_at = [&]() -> std::vector<std::size_t> {
    switch (format) {
    case DType::q2_k: return {80, 82};
    case DType::q3_k: return {108};
    case DType::q6_k: return {208};
    case DType::q4_k:
    case DType::q5_k: return {0, 2};
    default: return {0};
    }
  }();
  ops::Random random(7);
  std::vector<std::byte>& bytes = test.inputs[1].data;
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  for (std::size_t block = 0; block < bytes.size(); block += dtype_info(format).block_bytes)
    for (const std::size_t at : scales_at) {
      if (format == DType::mxfp4)
        bytes[block] = static_cast<std::byte>(118 + random.below(8));
      else
        bytes[block + at + 1] = static_cast<std::byte>(0x18 + random.below(8));
    }
  for (float& x : test.inputs[0].as<float>()) x = random.below(2) == 0 ? -1.0f : 1.0f; // codes are 127 and -127
}

TEST_P(AmxModelFormat, IsScalarWithTheLargestCodesAndScales) {
  const std::int64_t k = 1024, rows = 33, tokens = 12;
  ops::CaseBuilder b("matmul", "extreme", tokens);
  b.activations({b.T(), ops::n(k)}).weight(GetParam(), {ops::n(rows), ops::n(k)}, 0.05);
  ops::Case test = b.build();
  make_extreme(test, GetParam());
  std::vector<std::int32_t> all(static_cast<std::size_t>(tokens));
  std::iota(all.begin(), all.end(), 0);
  expect_close(picked(amx_model::isa, test, all, all, k, rows, 1.0f),
               picked(scalar::isa, test, all, all, k, rows, 1.0f), "extreme");
}

TEST_P(AmxModelFormat, PicksRowsAndWritesNothingElse) {
  const std::int64_t k = 768, rows = 21, tokens = 40;
  ops::CaseBuilder b("matmul", "picked", tokens);
  b.activations({b.T(), ops::n(k)}).weight(GetParam(), {ops::n(rows), ops::n(k)}, 0.05);
  const ops::Case test = b.build();
  std::vector<std::int32_t> from, to;
  for (std::int32_t t = 0; t < 19; ++t) {
    from.push_back((7 * t + 3) % 40);
    to.push_back(18 - t);
  }
  to.push_back(19); // a row of y that is nobody's
  for (const float poison : {1.0f, std::numeric_limits<float>::infinity()}) {
    const std::vector<float> want = picked(scalar::isa, test, from, to, k, rows, poison);
    const std::vector<float> got = picked(amx_model::isa, test, from, to, k, rows, poison);
    expect_close(got, want, "picked");
    int unusable = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      unusable += std::isnan(got[i]);
      if (i % static_cast<std::size_t>(rows + 3) >= static_cast<std::size_t>(rows)) {
        EXPECT_EQ(got[i], -1.0f) << "element " << i;
      }
    }
    EXPECT_EQ(unusable, std::isinf(poison) ? rows : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, AmxModelFormat, ::testing::ValuesIn(k_formats),
                         [](const auto& instance) { return std::string(dtype_info(instance.param).name); });

} // namespace
} // namespace seacliff::cpu
