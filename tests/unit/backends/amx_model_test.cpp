// The model of tile instructions that the set `amx` is tested with on any machine: which kernels it stands for
// (cpu_kernels_test.cpp runs their cases, products_test.cpp has the products alone), and its attention.
#include "tests/unit/backends/amx_model.hpp"

#include "backends/cpu/ops/ops.hpp"
#include "ops/cases/data.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory>

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
                                     MODELLED(moe_experts), MODELLED(shared_expert), MODELLED(attention_mixed),
                                     MODELLED(index_score), MODELLED(index_select), MODELLED(route)});

/// Attention of `isa` over `count` rows: some f32, some f16 one after another, the rest picked from f16.
std::vector<float> attention(const Isa& isa, std::int64_t count) {
  constexpr std::int64_t heads = 32, dim = 64, kept = 300;
  ops::CaseBuilder b("attention_mixed", fmt::format("{} rows", count), 1);
  b.activations({ops::n(heads), ops::n(dim)}, 1.5)
      .activations({ops::n(heads)})
      .activations({ops::n(9), ops::n(dim)}, 1.0, true);
  b.state(DType::f16, {ops::n(1), ops::n(kept), ops::n(dim)}, 1.0, [](std::int64_t, std::int64_t) { return true; });
  const ops::Case made = b.build();
  std::vector<std::int32_t> pick;
  for (std::int32_t i = 0; i < kept; ++i) pick.push_back((i * 7 + 3) % kept);
  const std::byte* rows = made.inputs[3].data.data();
  const std::int64_t plain = std::min<std::int64_t>(count, 9), half = std::min<std::int64_t>(count - plain, 50);
  const Segment segments[] = {{made.inputs[2].data.data(), dim * 4, plain, nullptr, false},
                              {rows, dim * 2, half, nullptr, true},
                              {rows, dim * 2, count - plain - half, pick.data(), true}};
  std::vector<std::byte> scratch(isa.attend_scratch(heads, dim) + 64);
  void* at = scratch.data();
  std::size_t room = scratch.size();
  std::vector<float> o(static_cast<std::size_t>(heads * dim), std::numeric_limits<float>::quiet_NaN());
  isa.attend({made.inputs[0].as<float>().data(), made.inputs[1].as<float>().data(), o.data(), heads, dim, 0.3f,
              segments, 3, static_cast<std::byte*>(std::align(64, scratch.size() - 64, at, room)), true});
  return o;
}

TEST(AmxModel, StandsForOpsOfTheCatalogue) {
  for (const sdk::KernelEntry& kernel : k_modelled) EXPECT_NE(ops::find_schema(kernel.op), nullptr) << kernel.op;
}

TEST(AmxModelAttention, IsAsExactAsFloatSums) {
  for (const std::int64_t count : {1, 8, 33, 64, 192, 193, 250, 309}) { // parts of blocks and of chunks
    const std::vector<float> got = attention(amx_model::isa, count), want = attention(scalar::isa, count);
    double largest = 0;
    for (const float v : want) largest = std::max(largest, std::abs(double{v}));
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(got[i], want[i], 1e-4 * largest) << count << " rows, element " << i;
  }
  for (const float v : attention(amx_model::isa, 0)) EXPECT_EQ(v, 0.0f);
  for (const float v : attention(scalar::isa, 0)) EXPECT_EQ(v, 0.0f);
}

} // namespace

std::optional<sdk::KernelEntry> amx_model_kernel(std::string_view op) {
  for (const sdk::KernelEntry& kernel : k_modelled)
    if (kernel.op == op) return kernel;
  return {};
}

} // namespace seacliff::cpu
