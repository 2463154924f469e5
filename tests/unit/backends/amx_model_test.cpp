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
std::vector<float> attention(const Isa& isa, std::int64_t count, bool act8 = false) {
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
  std::vector<std::byte> scratch(isa.attend_scratch(heads, dim, act8) + 64);
  void* at = scratch.data();
  std::size_t room = scratch.size();
  std::vector<float> o(static_cast<std::size_t>(heads * dim), std::numeric_limits<float>::quiet_NaN());
  isa.attend({made.inputs[0].as<float>().data(), made.inputs[1].as<float>().data(), o.data(), heads, dim, 0.3f,
              segments, 3, static_cast<std::byte*>(std::align(64, scratch.size() - 64, at, room)), true, act8});
  return o;
}

/// What tokens together see of a window of f32 rows and of f16 ones behind it, as `attend` of several tokens and as
/// that of each alone has it in f32; results lie over the queries. Returns the largest difference as a part of the
/// largest value.
double together_against_alone(std::int64_t tokens, std::int64_t window, std::int64_t kept, bool act8) {
  constexpr std::int64_t heads = 32, dim = 64;
  ops::CaseBuilder b("attention_mixed", fmt::format("{} tokens of {} and {} rows", tokens, window, kept), 1);
  b.activations({ops::n(tokens), ops::n(heads), ops::n(dim)}, 1.5)
      .activations({ops::n(heads)})
      .activations({ops::n(window + tokens - 1), ops::n(dim)}, 1.0, true);
  b.state(DType::f16, {ops::n(1), ops::n(kept), ops::n(dim)}, 1.0, [](std::int64_t, std::int64_t) { return true; });
  const ops::Case made = b.build();
  const std::byte *near = made.inputs[2].data.data(), *far = made.inputs[3].data.data();
  const float* sinks = made.inputs[1].as<float>().data();
  const auto queries = made.inputs[0].as<float>();
  std::vector<float> got(queries.begin(), queries.end()), want(got.size());
  std::vector<std::int32_t> calls;
  const auto note = [](const void* context, std::int64_t t) {
    static_cast<std::vector<std::int32_t>*>(const_cast<void*>(context))->push_back(static_cast<std::int32_t>(t));
  };
  std::vector<std::byte> memory(amx_model::isa.attend_scratch(heads, dim, act8) +
                                scalar::isa.attend_scratch(heads, dim, false) + 64);
  void* at = memory.data();
  std::size_t room = memory.size();
  auto* scratch = static_cast<std::byte*>(std::align(64, memory.size() - 64, at, room));
  std::vector<Seen> seen;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t visible = kept - tokens + t + 1;
    seen.push_back({{t, window + tokens - 1}, {t + window, window + tokens - 1 + visible}});
    const Segment alone[] = {{near + t * dim * 4, dim * 4, window, nullptr, false},
                             {far, dim * 2, visible, nullptr, true}};
    scalar::isa.attend({queries.data() + t * heads * dim, sinks, want.data() + t * heads * dim, heads, dim, 0.3f, alone,
                        2, scratch, true});
  }
  const Segment all[] = {{near, dim * 4, window + tokens - 1, nullptr, false}, {far, dim * 2, kept, nullptr, true}};
  amx_model::isa.attend({got.data(), sinks, got.data(), heads, dim, 0.3f, all, 2, scratch, true, act8, tokens,
                         seen.data(), note, note, &calls});
  double largest = 0, off = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(double{want[i]}));
    off = std::max(off, std::abs(double{got[i]} - double{want[i]}));
  }
  EXPECT_EQ(calls.size(), static_cast<std::size_t>(2 * tokens)) << "each token's queries and results are told of once";
  return off / largest;
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

TEST(AmxModelAttention, KeepsEightBitsWithAct8) {
  for (const std::int64_t count : {1, 8, 33, 64, 192, 193, 250, 309}) {
    const std::vector<float> got = attention(amx_model::isa, count, true), want = attention(scalar::isa, count);
    double off = 0, all = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      off += std::pow(double{got[i]} - double{want[i]}, 2);
      all += std::pow(double{want[i]}, 2);
    }
    EXPECT_LT(std::sqrt(off / all), 6e-3) << count << " rows";
    EXPECT_GT(std::sqrt(off / all), 1e-4) << count << " rows: as if of more bits";
    EXPECT_EQ(attention(scalar::isa, count, true), want) << "no other set rounds";
  }
  for (const float v : attention(amx_model::isa, 0, true)) EXPECT_EQ(v, 0.0f);
  EXPECT_LT(amx_model::isa.attend_scratch(64, 512, true), amx_model::isa.attend_scratch(64, 512, false));
}

TEST(AmxModelAttention, OfTokensTogetherIsThatOfEach) {
  const std::int64_t most = amx_model::isa.attend_together(32, 64, true);
  EXPECT_GT(most, 1);
  EXPECT_EQ(scalar::isa.attend_together(32, 64, true), 1);
  for (const std::int64_t tokens : {std::int64_t{2}, most})
    for (const std::int64_t kept : {8, 40, 530, 700, 1500}) { // one chunk, and several
      EXPECT_LT(together_against_alone(tokens, 128, kept, false), 1e-4) << tokens << " tokens, " << kept << " rows";
      EXPECT_LT(together_against_alone(tokens, 128, kept, true), 1.5e-2) << tokens << " tokens, " << kept << " rows";
    }
}

} // namespace

std::optional<sdk::KernelEntry> amx_model_kernel(std::string_view op) {
  for (const sdk::KernelEntry& kernel : k_modelled)
    if (kernel.op == op) return kernel;
  return {};
}

} // namespace seacliff::cpu
