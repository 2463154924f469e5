// Random cases: every op has some, their types are what the op takes, and the same seed gives the same bytes. To add an
// op: its generator in ops/cases; nothing here.
#include "ops/cases/random_cases.hpp"

#include "ops/cases/run_case.hpp"
#include "ops/reference/kernels.hpp"
#include "tests/unit/ops/op_names.hpp"

#include <gtest/gtest.h>

#include <set>

namespace seacliff::ops {
namespace {

class RandomCases : public testing::TestWithParam<std::string> {};

TEST_P(RandomCases, RunOnTheReference) {
  for (const Case& test : random_cases(GetParam(), 42, 5)) {
    SCOPED_TRACE(test.name);
    EXPECT_EQ(test.op, GetParam());
    EXPECT_EQ(run_kernel(*reference::find_kernel(test.op), test).size(), find_schema(test.op)->outputs.size());
  }
}

TEST_P(RandomCases, AreDeterminedByTheSeed) {
  const auto once = random_cases(GetParam(), 7, 3), again = random_cases(GetParam(), 7, 4),
             other = random_cases(GetParam(), 8, 3);
  std::set<std::string> names, other_names;
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].name, again[i].name);
    for (std::size_t in = 0; in < once[i].inputs.size(); ++in)
      EXPECT_TRUE(once[i].inputs[in].same_data(again[i].inputs[in]));
    names.insert(once[i].name);
    other_names.insert(other[i].name);
  }
  EXPECT_NE(names, other_names);
}

INSTANTIATE_TEST_SUITE_P(Ops, RandomCases, testing::ValuesIn(op_names()), [](const auto& op) { return op.param; });

TEST(RandomCases, NoneForAnUnknownOp) { EXPECT_TRUE(random_cases("teleport", 1, 3).empty()); }

} // namespace
} // namespace seacliff::ops
