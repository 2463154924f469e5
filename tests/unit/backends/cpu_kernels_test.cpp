// Every op of the CPU backend on every instruction set that this machine runs (and of `amx` on a model of its tiles),
// against the reference kernels. To add a case, add it to ops/cases; a new op or a new instruction set is picked up by
// itself. Making a case and its expected outputs takes longer than what is tested: all sets share them.
#include "backends/cpu/catalogue.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"
#include "tests/unit/backends/amx_model.hpp"

#include <gtest/gtest.h>

namespace seacliff::cpu {
namespace {

const sdk::KernelEntry& entry_of(const Isa& isa, std::string_view op) {
  for (const sdk::KernelEntry& entry : catalogue(isa))
    if (entry.op == op) return entry;
  throw std::runtime_error("no such op");
}

struct Subject {
  std::string isa;
  sdk::KernelEntry kernel;
  std::vector<std::uint32_t> workers; // the last number twice
};

std::vector<Subject> subjects(std::string_view op) {
  std::vector<Subject> all;
  for (const Isa* isa : compiled_isas())
    if (enable(isa->name)) all.push_back({isa->name, entry_of(*isa, op), {1, 7, 3}});
  if (const auto modelled = amx_model_kernel(op)) all.push_back({"amx_model", *modelled, {3}});
  return all;
}

void expect_right(const Subject& subject, const ops::Case& test, const ops::Outputs& expected) {
  ops::Outputs got;
  for (const std::uint32_t workers : subject.workers) {
    got = ops::run_kernel(subject.kernel, test, workers);
    const auto wrong = ops::find_mismatch(test, expected, got, reference::reference_kernels());
    EXPECT_FALSE(wrong) << subject.isa << ", " << workers << " workers: " << wrong.value_or("");
  }
  const ops::Outputs again = ops::run_kernel(subject.kernel, test, subject.workers.back());
  for (std::size_t o = 0; o < got.size(); ++o)
    EXPECT_TRUE(got[o].same_data(again[o])) << subject.isa << ", " << test.name << ", output " << o;
}

class CpuKernel : public ::testing::TestWithParam<std::string_view> {};

TEST_P(CpuKernel, AgreesWithTheReferenceAndRepeatsItselfBitForBit) {
  const std::vector<Subject> all = subjects(GetParam());
  for (const ops::Case& test : ops::cases_for(GetParam())) {
    const ops::Outputs expected = ops::run_kernel(*reference::find_kernel(GetParam()), test, 2);
    for (const Subject& subject : all) expect_right(subject, test, expected);
  }
}

std::vector<std::string_view> op_names() {
  std::vector<std::string_view> names;
  for (const ops::Schema& schema : ops::catalogue()) names.push_back(schema.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Ops, CpuKernel, ::testing::ValuesIn(op_names()),
                         [](const auto& instance) { return std::string(instance.param); });

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
