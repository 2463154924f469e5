// Every op of the CPU backend on every instruction set that this machine runs, against the reference kernels. To add a
// case, add it to ops/cases; a new op or a new instruction set is picked up by itself. The expected outputs of a case
// are computed once and kept for all instruction sets.
#include "backends/cpu/catalogue.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <gtest/gtest.h>

#include <map>

namespace seacliff::cpu {
namespace {

struct Solved {
  ops::Case test;
  ops::Outputs expected;
};

const std::vector<Solved>& solved_cases(const std::string& op) {
  static std::map<std::string, std::vector<Solved>> kept;
  auto [at, fresh] = kept.try_emplace(op);
  if (fresh)
    for (ops::Case& test : ops::cases_for(op)) {
      ops::Outputs expected = ops::run_kernel(*reference::find_kernel(op), test, 2);
      at->second.push_back({std::move(test), std::move(expected)});
    }
  return at->second;
}

const sdk::KernelEntry& entry_of(const Isa& isa, std::string_view op) {
  for (const sdk::KernelEntry& entry : catalogue(isa))
    if (entry.op == op) return entry;
  throw std::runtime_error("no such op");
}

struct Subject {
  const Isa* isa;
  std::string op;
};

class CpuKernel : public ::testing::TestWithParam<Subject> {};

TEST_P(CpuKernel, AgreesWithTheReference) {
  const auto& [isa, op] = GetParam();
  for (const Solved& solved : solved_cases(op))
    for (const std::uint32_t workers : {1u, 3u, 7u}) {
      const ops::Outputs got = ops::run_kernel(entry_of(*isa, op), solved.test, workers);
      const auto wrong = ops::find_mismatch(solved.test, solved.expected, got, reference::reference_kernels());
      EXPECT_FALSE(wrong) << workers << " workers: " << wrong.value_or("");
    }
}

TEST_P(CpuKernel, RepeatsItselfBitForBit) {
  const auto& [isa, op] = GetParam();
  for (const Solved& solved : solved_cases(op)) {
    const ops::Outputs once = ops::run_kernel(entry_of(*isa, op), solved.test, 3);
    const ops::Outputs again = ops::run_kernel(entry_of(*isa, op), solved.test, 3);
    for (std::size_t o = 0; o < once.size(); ++o)
      EXPECT_EQ(once[o].data, again[o].data) << solved.test.name << ", output " << o;
  }
}

std::vector<Subject> subjects() {
  std::vector<Subject> all;
  for (const Isa* isa : compiled_isas())
    if (enable(isa->name))
      for (const ops::Schema& schema : ops::catalogue()) all.push_back({isa, std::string(schema.name)});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Isas, CpuKernel, ::testing::ValuesIn(subjects()),
                         [](const auto& instance) { return instance.param.isa->name + ("_" + instance.param.op); });

TEST(CpuCatalogue, HasEveryOpOnceForEverySet) {
  for (const Isa* isa : compiled_isas()) {
    std::vector<std::string_view> have, want;
    for (const sdk::KernelEntry& entry : catalogue(*isa)) have.push_back(entry.op);
    for (const ops::Schema& schema : ops::catalogue()) want.push_back(schema.name);
    std::sort(have.begin(), have.end());
    std::sort(want.begin(), want.end());
    EXPECT_EQ(have, want) << isa->name;
  }
}

TEST(CpuIsa, ScalarRunsEverywhereAndUnknownNamesNowhere) {
  EXPECT_NE(find_isa("scalar"), nullptr);
  EXPECT_EQ(find_isa("mmx"), nullptr);
  EXPECT_EQ(find_isa(best_isa().name), &best_isa());
  EXPECT_NE(usable_isa_names().find("scalar"), std::string::npos);
}

TEST(CpuIsa, OnlyWhatRunsHereCanBeEnabled) {
  EXPECT_TRUE(enable("scalar"));
  EXPECT_FALSE(enable("mmx"));
  for (const Isa* isa : compiled_isas()) EXPECT_TRUE(runs_here(isa->name) || !enable(isa->name)) << isa->name;
}

} // namespace
} // namespace seacliff::cpu
