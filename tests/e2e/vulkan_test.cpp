// nano on Vulkan, most often on Mesa's driver that runs on the CPU: few tokens, it is slow. To add a way to use the
// device: a line in k_ways with options of the plugin.
#include "tests/e2e/nano.hpp"
#include "tests/e2e/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seacliff::test {
namespace {

constexpr std::size_t k_prompt = 20, k_more = 3;

struct Way {
  std::string name;
  plugins::Options options;
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

const std::vector<Way> k_ways = {
    {"mapped", {}},
    {"staged", {{"staging", std::int64_t{1}}}},
    {"watched", {{"validation", std::int64_t{1}}}}, // by the validation layer: what it finds is an error
};

graph::ModelOptions options(const std::string& backend) {
  graph::ModelOptions made = exact_options(backend);
  made.max_step = 64;
  made.max_ctx = 256;
  return made;
}

/// A prompt in one step, then tokens one by one: both kinds of program.
std::vector<float> prompt_and_steps(graph::Model& model) {
  const std::span<const std::int32_t> ids{vector_named("text_1000").ids};
  graph::Session session(model);
  std::vector<float> logits = all_logits(model, session, ids.first(k_prompt));
  const std::vector<float> more = all_logits(model, session, ids.subspan(k_prompt, k_more), 1);
  logits.insert(logits.end(), more.begin(), more.end());
  return logits;
}

graph::RuntimeOptions settings_for(const plugins::Options& options) {
  graph::RuntimeOptions settings;
  settings.plugin_options["vulkan"] = options;
  return settings;
}

/// Why nothing can run; empty: something can.
std::string no_device(const plugins::Options& options = {}) {
  try {
    graph::Runtime(settings_for(options)).open_devices("vulkan");
    return {};
  } catch (const Error& error) {
    const std::string why = error.what();
    if (error.code() == Code::not_found || why.find("validation layer is not installed") != why.npos) return why;
    throw;
  }
}

class NanoOnVulkan : public testing::TestWithParam<Way> {};

TEST_P(NanoOnVulkan, LogitsAsTheReference) {
  if (const std::string why = no_device(GetParam().options); !why.empty()) GTEST_SKIP() << why;
  const auto runtime = std::make_shared<graph::Runtime>(settings_for(GetParam().options));
  const auto on_device = std::make_unique<graph::Model>(runtime, GgufFile::open(nano_gguf("q4")), options("vulkan"));
  const auto right = load("q4", options("reference"));
  const Difference off = compare(prompt_and_steps(*right), prompt_and_steps(*on_device), k_vocab);
  EXPECT_EQ(off.rows, k_prompt + k_more);
  EXPECT_LT(off.mean_kl, 1e-6);
  EXPECT_EQ(off.top1, 1.0);
}

#ifdef SEACLIFF_VULKAN_LAYERS
/// The program with a driver that fails as vulkan_faults.cpp describes.
Ran with_fault(const std::string& fault) {
  return seacliff({"run", "-m", nano_gguf("q4"), "-p", "The sea", "--raw", "-n", "8", "--ctx", "256", "--temp", "0",
                   "--backend", "vulkan", "--option", "vulkan.staging=1"},
                  0,
                  {{"VK_LAYER_PATH", SEACLIFF_VULKAN_LAYERS},
                   {"VK_INSTANCE_LAYERS", "VK_LAYER_SEACLIFF_faults"},
                   {"SEACLIFF_VULKAN_FAULT", fault}});
}

TEST(VulkanFaults, ALostDeviceEndsTheRun) {
  if (const std::string why = no_device(); !why.empty()) GTEST_SKIP() << why;
  const Ran whole = with_fault("");
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  for (const std::string at : {"lost:1", "lost:250"}) { // as weights come, and between tokens
    SCOPED_TRACE(at);
    const Ran ran = with_fault(at);
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_THAT(ran.err, testing::HasSubstr("VK_ERROR_DEVICE_LOST"));
    EXPECT_EQ(whole.out.rfind(ran.out.substr(0, ran.out.find_last_not_of('\n') + 1), 0), 0U) << ran.out;
  }
}

TEST(VulkanFaults, MemoryThatRunsOutIsNamed) {
  if (const std::string why = no_device(); !why.empty()) GTEST_SKIP() << why;
  for (const std::string bytes : {"memory:4096", "memory:30000000"}) {
    SCOPED_TRACE(bytes);
    const Ran ran = with_fault(bytes);
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_THAT(ran.err,
                testing::ContainsRegex("heap [01] of device .* no room for a buffer of [0-9]+ bytes, [0-9]+ are free"));
  }
}
#endif

INSTANTIATE_TEST_SUITE_P(Nano, NanoOnVulkan, testing::ValuesIn(k_ways), [](const auto& way) { return way.param.name; });

} // namespace
} // namespace seacliff::test
