// Models of random weights run like any other; `synth` and `bench` from outside.
// To add a shape: seacliff({"synth", ...}) with its hyper-parameters.
#include "tests/e2e/nano.hpp"
#include "tests/e2e/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>

namespace seacliff::test {
namespace {

using testing::HasSubstr;

/// A synthetic model, removed at the end.
class Synth {
public:
  explicit Synth(std::vector<std::string> more) : path_(testing::TempDir() + "seacliff-synth.gguf") {
    more.insert(more.begin(), {"synth", "--out", path_, "--json"});
    const Ran ran = seacliff(more);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    if (ran.exit_code == 0) summary = nlohmann::json::parse(ran.out);
  }
  ~Synth() { std::filesystem::remove(path_); }
  Synth(const Synth&) = delete;
  Synth& operator=(const Synth&) = delete;

  const std::string& path() const { return path_; }
  nlohmann::json summary;

private:
  std::string path_;
};

class Recipe : public testing::TestWithParam<std::string> {};

TEST_P(Recipe, LogitsAreFiniteAndTheSameOnCpuAndReference) {
  const Synth model({"--shape", "custom", "--recipe", GetParam(), "--layers", "6", "--vocab", "600", "--experts", "8",
                     "--seed", "3"});
  const auto runtime = std::make_shared<graph::Runtime>(graph::RuntimeOptions{});
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 150; ++i) tokens.push_back(i * 37 % 600);
  std::vector<std::vector<float>> logits;
  for (const std::string backend : {"cpu", "reference"}) {
    graph::Model loaded(runtime, GgufFile::open(model.path()), exact_options(backend));
    logits.push_back(all_logits(loaded, tokens));
  }
  for (const float x : logits[0]) ASSERT_TRUE(std::isfinite(x));
  const Difference d = compare(logits[1], logits[0], 600);
  EXPECT_LE(d.median_rel, 1e-3);
  EXPECT_GE(d.top1, 0.99);
}

INSTANTIATE_TEST_SUITE_P(Synthetic, Recipe, testing::Values("q2", "q4", "mxfp4", "f32"),
                         [](const auto& recipe) { return recipe.param; });

/// The last of three layers is hash-routed, which takes all tokens; the last of five is not.
class LastLayer : public testing::TestWithParam<int> {};

TEST_P(LastLayer, RowsAreTheSameWhicheverOthersAreWanted) {
  const Synth model({"--shape", "nano", "--recipe", "q8", "--layers", std::to_string(GetParam()), "--vocab", "600"});
  const auto runtime = std::make_shared<graph::Runtime>(graph::RuntimeOptions{});
  graph::Model loaded(runtime, GgufFile::open(model.path()), exact_options("cpu"));
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 40; ++i) tokens.push_back(i * 37 % 600);
  const std::vector<float> all = all_logits(loaded, tokens);
  const std::vector<std::int32_t> wanted{39, 7};
  const graph::Run run{loaded.take_slot(), 0, tokens};
  const std::span<const float> some = loaded.step({&run, 1}, wanted);
  ASSERT_EQ(some.size(), 2 * 600u);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::span row(all.data() + 600 * wanted[i], 600);
    EXPECT_LE(compare(row, some.subspan(600 * i, 600), 600).median_rel, 1e-4) << "row " << wanted[i];
  }
  EXPECT_TRUE(loaded.step({&run, 1}, {}).empty());

  const Ran graph = seacliff({"graph", "-m", model.path(), "--format", "text"});
  EXPECT_EQ(graph.exit_code, 0) << graph.err;
  EXPECT_THAT(graph.out, HasSubstr(GetParam() == 3 ? "%blk.02.ffn.experts : f32[n_tokens,"
                                                   : "%blk.04.ffn.experts : f32[n_outputs,"));
}

INSTANTIATE_TEST_SUITE_P(Synthetic, LastLayer, testing::Values(3, 5));

TEST(Synthetic, AliasedModelRuns) {
  const Synth model({"--shape", "nano", "--recipe", "q2", "--alias", "--alias-dense", "2", "--alias-experts", "2"});
  EXPECT_LT(model.summary["file_bytes"], model.summary["described_bytes"]);
  const Ran ran = seacliff({"run", "-m", model.path(), "-p", "the sea", "--raw", "-n", "4", "--temp", "0", "--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(nlohmann::json::parse(ran.out)["tokens"].size(), 4U);
}

TEST(Synthetic, WrongShapesAreNamed) {
  const std::string out = testing::TempDir() + "seacliff-never.gguf";
  const Ran shape = seacliff({"synth", "--shape", "huge", "--recipe", "q2", "--out", out});
  EXPECT_EQ(shape.exit_code, 2);
  EXPECT_THAT(shape.err, HasSubstr("flash"));
  const Ran experts =
      seacliff({"synth", "--shape", "custom", "--recipe", "q2", "--out", out, "--experts", "4", "--experts-used", "5"});
  EXPECT_EQ(experts.exit_code, 2);
  EXPECT_THAT(experts.err, HasSubstr("expert_used_count"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(Bench, JsonHasAllPhases) {
  const Ran ran = seacliff({"bench", "-m", nano_gguf("q4"), "--pp", "40", "--tg", "4", "--depth", "0,100",
                            "--sequences", "1,3", "-r", "2", "--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto out = nlohmann::json::parse(ran.out);
  EXPECT_EQ(out["model"], nano_gguf("q4"));
  EXPECT_GT(out["threads"], 0);
  EXPECT_GT(out["measured_read_gbps"], 0.0);
  EXPECT_THAT(out["backend"].get<std::string>(), HasSubstr("cpu"));
  std::vector<std::string> lines;
  for (const auto& r : out["results"]) {
    lines.push_back(fmt::format("{} {} {} {}", r["phase"].get<std::string>(), r["tokens"].get<int>(),
                                r["depth"].get<int>(), r["sequences"].get<int>()));
    const double rate = r["tokens_per_s"], tokens = r["tokens"], sequences = r["sequences"], bytes = r["weight_bytes"];
    EXPECT_LE(r["tokens_per_s_min"].get<double>(), rate);
    EXPECT_GE(r["tokens_per_s_max"].get<double>(), rate);
    EXPECT_EQ(r["seconds"].size(), 2U);
    const double seconds = tokens * sequences / rate;
    EXPECT_NEAR(r["gbps"].get<double>() * seconds * 1e9 / bytes, 1.0, 1e-6);
    const auto share = [&](int i) {
      return bytes * 1e-9 / r["seconds"][i].get<double>() / r["memory_gbps"][i].get<double>();
    };
    EXPECT_EQ(r["memory_gbps"].size(), 2U);
    EXPECT_NEAR(r["bandwidth_share"].get<double>() * 2 / (share(0) + share(1)), 1.0, 1e-6);
    EXPECT_GT(r["tflops"], 0.0);
  }
  EXPECT_THAT(lines, testing::ElementsAre("prefill 40 0 1", "decode 4 0 1", "decode 4 0 3", "prefill 40 100 1",
                                          "decode 4 100 1", "decode 4 100 3"));
}

TEST(Bench, TurnsTimeTheSameLines) {
  const std::vector<std::string> grid = {"bench",   "-m",      nano_gguf("q4"), "--pp", "0,20", "--tg", "2",
                                         "--depth", "90,0,30", "--sequences",   "2,1",  "-r",   "2"};
  const auto lines_with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = grid;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = seacliff(arguments);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    std::vector<std::string> lines;
    const auto out = nlohmann::json::parse(ran.out);
    for (const auto& r : out["results"]) {
      EXPECT_EQ(r["seconds"].size(), 2U);
      EXPECT_EQ(r.contains("idle_share"), r["phase"] == "decode");
      lines.push_back(fmt::format("{} at {} x {}, {} bytes", r["phase"].get<std::string>(), r["depth"].get<int>(),
                                  r["sequences"].get<int>(), r["weight_bytes"].get<double>()));
    }
    return lines;
  };
  const auto one_by_one = lines_with({"--json"});
  EXPECT_EQ(one_by_one.size(), 9U);
  EXPECT_EQ(lines_with({"--json", "--turns"}), one_by_one);
  EXPECT_EQ(lines_with({"--json", "--turns", "--fill"}), one_by_one);
}

TEST(Bench, SweepGoesAlongTheContext) {
  const Ran ran = seacliff({"bench", "-m", nano_gguf("q4"), "--ctx-start", "50", "--ctx-max", "250", "--step-mul", "2",
                            "--tg", "3", "-r", "1", "--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  std::vector<std::string> lines;
  const auto out = nlohmann::json::parse(ran.out);
  for (const auto& r : out["results"])
    lines.push_back(
        fmt::format("{} {} at {}", r["phase"].get<std::string>(), r["tokens"].get<int>(), r["depth"].get<int>()));
  EXPECT_THAT(lines,
              testing::ElementsAre("prefill 50 at 0", "decode 3 at 50", "prefill 50 at 50", "decode 3 at 100",
                                   "prefill 100 at 100", "decode 3 at 200", "prefill 50 at 200", "decode 3 at 250"));
}

TEST(Bench, InterruptPrintsWhatItHas) {
  const Ran ran = seacliff(
      {"bench", "-m", nano_gguf("q4"), "--pp", "0", "--tg", "8", "--depth", "0,8000", "-r", "5000", "--csv"}, 10);
  EXPECT_EQ(ran.exit_code, 130);
  EXPECT_THAT(ran.out, HasSubstr("tokens_per_s"));
}

TEST(Bench, WrongOptionsExitWithTwo) {
  const std::string model = nano_gguf("q4");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"bench"},
           {"bench", "-m", model, "--pp", "-1"},
           {"bench", "-m", model, "--sequences", "0"},
           {"bench", "-m", model, "--json", "--csv"},
           {"bench", "-m", model, "--ctx-start", "100"},
           {"bench", "-m", model, "--ctx-start", "100", "--ctx-max", "200", "--turns"},
           {"bench", "-m", model, "--ctx-start", "200", "--ctx-max", "100"},
           {"bench", "-m", model, "--ctx-start", "100", "--ctx-max", "200", "--step-mul", "1"},
       }) {
    const Ran ran = seacliff(arguments);
    EXPECT_EQ(ran.exit_code, 2) << testing::PrintToString(arguments) << "\n" << ran.err;
    EXPECT_FALSE(ran.err.empty());
  }
}

} // namespace
} // namespace seacliff::test
