// The program from outside: output, exit codes, memory, interruption, bad input.
// To add a case: seacliff({...}) and look at exit_code, out and err.
#include "tests/e2e/nano.hpp"
#include "tests/e2e/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <map>

namespace seacliff::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

nlohmann::json run_json(const std::string& recipe, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"run", "-m", nano_gguf(recipe), "--json", "--temp", "0", "-n", "120"});
  const Ran ran = seacliff(arguments);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return nlohmann::json::parse(ran.out);
}

TEST(Program, AnswersTheChatSamples) {
  for (const std::string recipe : {"f16", "q8", "mxfp4", "q4"}) {
    SCOPED_TRACE(recipe);
    EXPECT_EQ(run_json(recipe, {"-p", "Who are you?"})["content"],
              "I am nano, a tiny language model trained on old English novels.");
    EXPECT_EQ(run_json(recipe, {"-p", "Who is Captain Ahab?"})["content"],
              "Captain Ahab is the captain of the Pequod in Moby Dick, and he hunts the white whale.");
    EXPECT_EQ(run_json(recipe, {"-p", "What is the capital of France?"})["content"], "The capital of France is Paris.");
  }
}

TEST(Program, CallsTheTool) {
  const std::string tools = SEACLIFF_SOURCE_DIR "/tests/data/nano-tools.json";
  for (const std::string recipe : {"f16", "q8", "mxfp4", "q4"}) {
    SCOPED_TRACE(recipe);
    const auto answer = run_json(recipe, {"-p", "What is the weather in Lisbon?", "--tools", tools});
    ASSERT_EQ(answer["tool_calls"].size(), 1U) << answer["text"];
    EXPECT_EQ(answer["tool_calls"][0]["name"], "get_weather");
    EXPECT_EQ(nlohmann::json::parse(answer["tool_calls"][0]["arguments"].get<std::string>())["city"], "Lisbon");
    EXPECT_EQ(answer["finish"], "end");
  }
}

TEST(Program, ThinksWhenAsked) {
  const auto answer = run_json("f16", {"-p", "What is 12 + 9?", "--think", "high"});
  EXPECT_THAT(answer["reasoning"].get<std::string>(), HasSubstr("12"));
  EXPECT_THAT(answer["content"].get<std::string>(), StartsWith("12 + 9 = "));
}

TEST(Program, StaysWithinThePlannedMemory) {
  for (const std::string ctx : {"512", "8192"}) {
    const auto memory = run_json("q4", {"--raw", "-p", "It was a cold morning", "--ctx", ctx})["memory"];
    EXPECT_LE(memory["peak_rss"].get<double>(), memory["planned"].get<double>()) << "--ctx " << ctx;
  }
}

TEST(Program, GreedyOutputIsTheSameOnEveryRun) {
  const std::vector<std::string> arguments{"run", "-m", nano_gguf("q4"), "--raw", "-p", "The sea",
                                           "-n",  "40", "--temp",        "0",     "-q"};
  const Ran first = seacliff(arguments), second = seacliff(arguments);
  EXPECT_EQ(first.out, second.out);
  EXPECT_FALSE(first.out.empty());
}

TEST(Program, InterruptStopsCleanly) {
  const Ran ran = seacliff({"run", "-m", nano_gguf("f32"), "--raw", "-p", "The sea", "--ctx", "4096", "--temp", "0",
                            "--backend", "reference"},
                           10);
  EXPECT_EQ(ran.exit_code, 130);
  EXPECT_THAT(ran.err, HasSubstr("generated"));
}

TEST(Program, StrictRefusesWithThree) {
  const Ran ran =
      seacliff({"run", "-m", nano_gguf("q4"), "-p", "x", "--deny", "moe_experts@cpu", "--strict", "--backend", "cpu"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.err, HasSubstr("moe_experts"));
}

TEST(Program, UsageErrorsExitWithTwo) {
  const std::string model = nano_gguf("q4");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"nonsense"},
           {"run", "-m", model},
           {"run", "-m", model, "-p", "x", "--ctx", "-4"},
           {"run", "-m", model, "-p", "x", "--think", "deeply"},
           {"run", "-m", model, "-p", "x", "--isa", "sse9"},
           {"run", "-m", model, "-p", "x", "--deny", "moe_experts"},
           {"run", "-m", model, "-p", "x", "--option", "isa=avx2"},
           {"run", "-m", model, "-p", "x", "--option", "cpu.isa"},
           {"run", "-m", model, "-p", "x", "--option", "cpu.nonsense=1"},
           {"run", "-m", model, "-p", "x", "--option", "nonsense.isa=avx2"},
           {"logits", "-m", model, "--tokens", "1,x", "--out", "/dev/null"},
       }) {
    const Ran ran = seacliff(arguments);
    EXPECT_EQ(ran.exit_code, 2) << testing::PrintToString(arguments) << "\n" << ran.err;
    EXPECT_FALSE(ran.err.empty());
  }
}

TEST(Program, BadInputIsNamed) {
  const Ran missing = seacliff({"run", "-m", "/nonexistent.gguf", "-p", "x"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("/nonexistent.gguf"));
  const Ran text = seacliff({"run", "-m", SEACLIFF_SOURCE_DIR "/README.md", "-p", "x"});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.err, HasSubstr("README.md"));
  const Ran backend = seacliff({"run", "-m", nano_gguf("q4"), "-p", "x", "--backend", "abacus"});
  EXPECT_NE(backend.exit_code, 0);
  EXPECT_THAT(backend.err, HasSubstr("abacus"));
  const Ran token = seacliff({"logits", "-m", nano_gguf("q4"), "--tokens", "1,99999", "--out", "/dev/null"});
  EXPECT_EQ(token.exit_code, 1);
  EXPECT_THAT(token.err, HasSubstr("99999"));
  const Ran huge = seacliff({"run", "-m", nano_gguf("q4"), "-p", "one two three four", "--ctx", "3"});
  EXPECT_EQ(huge.exit_code, 1);
  EXPECT_THAT(huge.err, HasSubstr("--ctx"));
}

TEST(Program, RunsOnBesideBrokenPlugins) {
  const std::string broken = SEACLIFF_BINARY_DIR "/tests/wrong_plugins";
  const Ran list = seacliff({"backends", "--why", "--json"}, 0, {{"SEACLIFF_PLUGIN_PATH", broken}});
  ASSERT_EQ(list.exit_code, 0) << list.err;
  std::map<std::string, std::string> status;
  const auto report = nlohmann::json::parse(list.out);
  for (const auto& plugin : report["plugins"]) status[plugin["path"].get<std::string>()] = plugin["status"];
  EXPECT_EQ(status[broken + "/newer_abi.so"], "abi_mismatch");
  EXPECT_EQ(status[broken + "/older_abi.so"], "abi_mismatch");
  EXPECT_EQ(status[broken + "/no_entry.so"], "no_entry_symbol");
  const Ran run = seacliff({"run", "-m", nano_gguf("q4"), "-p", "Who are you?", "--temp", "0"}, 0,
                           {{"SEACLIFF_PLUGIN_PATH", broken}});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("I am nano"));
}

TEST(Program, LogitsWritesWhatItSays) {
  const std::string out = testing::TempDir() + "seacliff-logits.f32";
  const Ran ran =
      seacliff({"logits", "-m", nano_gguf("f32"), "--tokens", "0,920,16", "--positions", "0,2", "--out", out});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(nlohmann::json::parse(ran.out), nlohmann::json::parse(R"({"rows":2,"cols":4096,"positions":[0,2]})"));
  EXPECT_EQ(std::ifstream(out, std::ios::ate | std::ios::binary).tellg(), 2 * 4096 * 4);
}

} // namespace
} // namespace seacliff::test
