// A composite's own kernel against its decomposition on the primitives, on all generated cases. To add a case, add it
// to ops/cases.
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <gtest/gtest.h>

namespace seacliff::ops {
namespace {

class Composite : public ::testing::TestWithParam<std::string> {};

TEST_P(Composite, EqualsItsDecomposition) {
  const auto kernels = reference::reference_kernels();
  for (const Case& test : cases_for(GetParam())) {
    const Outputs direct = run_kernel(*reference::find_kernel(test.op), test, 2);
    const Outputs composed = run_decomposed(kernels, test, 2).outputs;
    const auto wrong = find_mismatch(test, direct, composed, kernels);
    EXPECT_FALSE(wrong) << wrong.value_or("");
  }
}

std::vector<std::string> composites() {
  std::vector<std::string> names;
  for (const Schema& schema : catalogue())
    if (schema.composite()) names.emplace_back(schema.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Catalogue, Composite, ::testing::ValuesIn(composites()),
                         [](const auto& instance) { return instance.param; });

} // namespace
} // namespace seacliff::ops
