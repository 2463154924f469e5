// nano on Vulkan, most often on Mesa's driver that runs on the CPU: few tokens, it is slow. To add a way to use the
// device: a line in k_ways with options of the plugin.
#include "tests/e2e/nano.hpp"

#include <gtest/gtest.h>

namespace seacliff::test {
namespace {

constexpr std::size_t k_vocab = 4096, k_prompt = 20, k_more = 3;

struct Way {
  std::string name;
  plugins::Options options;
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

const std::vector<Way> k_ways = {
    {"mapped", {}},
    {"staged", {{"staging", std::int64_t{1}}}},
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

class NanoOnVulkan : public testing::TestWithParam<Way> {};

TEST_P(NanoOnVulkan, LogitsAsTheReference) {
  try {
    graph::Runtime(graph::RuntimeOptions{}).open_devices("vulkan");
  } catch (const Error& error) {
    if (error.code() == Code::not_found) GTEST_SKIP() << error.what();
    throw;
  }
  graph::RuntimeOptions settings;
  settings.plugin_options["vulkan"] = GetParam().options;
  const auto runtime = std::make_shared<graph::Runtime>(settings);
  const auto on_device = std::make_unique<graph::Model>(runtime, GgufFile::open(nano_gguf("q4")), options("vulkan"));
  const auto right = load("q4", options("reference"));
  const Difference off = compare(prompt_and_steps(*right), prompt_and_steps(*on_device), k_vocab);
  EXPECT_EQ(off.rows, k_prompt + k_more);
  EXPECT_LT(off.mean_kl, 1e-6);
  EXPECT_EQ(off.top1, 1.0);
}

INSTANTIATE_TEST_SUITE_P(Nano, NanoOnVulkan, testing::ValuesIn(k_ways), [](const auto& way) { return way.param.name; });

} // namespace
} // namespace seacliff::test
