// The many-token products of the set `amx` on a model of its tile instructions, on any machine, against the reference
// kernels. To add a case, add it to ops/cases; products_test.cpp has the products alone.
#include "backends/cpu/ops/ops.hpp"
#include "ops/cases/data.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <gtest/gtest.h>

#include <array>

namespace seacliff::cpu {
namespace amx_model {
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

} // namespace
} // namespace seacliff::cpu
