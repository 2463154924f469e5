// The conformance kit on a right plugin and on plugins that are wrong in one way each: every one is caught by the check
// that is meant for it. To add one: plugins/subject.cpp, and a line in k_wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/wait.h>

namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

struct Outcome {
  int exit_code = -1;
  std::string console;
  std::set<std::string> failures; // "L4:add:0 [result]"
  std::map<std::string, int> counts;
};

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string subject(const std::string& name) { return SEACLIFF_BINARY_DIR "/tests/wrong_plugins/" + name + ".so"; }

Outcome conform(const std::string& plugin, const std::string& arguments) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string("seacliff-") + test->name() + "-" + std::to_string(getpid());
  std::replace(name.begin(), name.end(), '/', '-');
  const fs::path json = fs::temp_directory_path() / (name + ".json"), out = fs::temp_directory_path() / (name + ".txt");
  const std::string command = SEACLIFF_BINARY_DIR "/bin/seacliff-conform " + plugin + " --json " + json.string() + " " +
                              arguments + " >" + out.string() + " 2>&1";
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.console = read(out);
  if (fs::exists(json)) {
    const auto report = nlohmann::json::parse(read(json));
    outcome.counts = report["counts"].get<std::map<std::string, int>>();
    for (const auto& entry : report["tests"])
      if (entry["outcome"] == "fail")
        for (const auto& finding : entry["findings"])
          outcome.failures.insert(entry["id"].get<std::string>() + " [" + finding["check"].get<std::string>() + "]");
  }
  fs::remove(json);
  fs::remove(out);
  return outcome;
}

struct Wrong {
  std::string name, arguments, failure; // a pattern that one of the failures must match
  std::string only_check = {};          // when set: every failure is of this check
};
void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

const std::string k_ops = "--levels L4 --cases 0 --ops add,sum_slots,matmul,sqrt_softplus";

const std::vector<Wrong> k_wrong = {
    {"wrong_result", k_ops, "L4:matmul:[0-9]+ .result.", "result"},
    {"wrong_claim", k_ops, "L4:sqrt_softplus:0 .honesty.", "honesty"},
    {"wrong_bounds", k_ops, "L4:add:0 .bounds.", "bounds"},
    {"wrong_input", k_ops, "L4:add:0 .inputs.", "inputs"},
    {"wrong_repeat", k_ops, "L4:matmul:[0-9]+ .repeat.", "repeat"},
    {"wrong_unpack", "--levels L5", "L5:repack:f32 .unpack.", "unpack"},
    {"wrong_thread", "--levels L0", "L0:open:clean .threads."},
    {"wrong_file", "--levels L0", "L0:open:clean .descriptors.", "descriptors"},
    {"wrong_memory", "--levels L0", "L0:open:many .memory.", "memory"},
    {"wrong_close", "--levels L0", "L0:open:clean .crash.", "crash"},
    {"wrong_stdout", "--levels L0-L1", "L0:open:clean .output.", "output"},
    {"wrong_query", "--levels L0", "L0:query:pure .environment.", "environment"},
    {"wrong_floats", "--levels L0", "L0:load:pure .float-mode.", "float-mode"},
    {"wrong_size", "--levels L0", "L0:age:host-plus-8 .larger.", "larger"},
    {"wrong_throw", k_ops, "L4:add:0 .exception.", "exception"},
    {"wrong_hang", "--levels L4 --ops add --cases 0 --timeout 1", "L4:add:[0-9]+ .hang.", "hang"},
    {"wrong_exit", k_ops, "L4:sum_slots:0 .exit.", "exit"},
    {"wrong_signal", "--levels L3 --timeout 2", "L3:submit:arguments .hang."},
    {"wrong_alloc", "--levels L2", "L2:heap:too-large .too-large.", "too-large"},
    {"wrong_id", "--levels L1", "L1:devices:stable .stable."},
    {"wrong_twice", "--levels L1", "L1:devices:twice .open."},
    {"wrong_null", "--levels L1", "L1:devices:nothing .crash.", "crash"},
    {"wrong_async", "--levels L3 --timeout 2", "L3:submit:open-wait .hang.", "hang"},
    {"wrong_value", "--levels L3 --timeout 2", "L3:submit:shared-timeline .value.", "value"},
    {"wrong_export", "--levels L0", "L0:file:exports .exports."},
    {"throws", "--levels L1", "L1:plugin:opens .exception."},
    {"no_entry", "--levels L0-L1", "L0:file:exports .exports."},
};

class Conform : public testing::TestWithParam<Wrong> {};

TEST_P(Conform, IsCaughtByName) {
  const Wrong& wrong = GetParam();
  if (!fs::exists(subject(wrong.name))) GTEST_SKIP() << "not built here";
  const Outcome outcome = conform(subject(wrong.name), wrong.arguments);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.console;
  EXPECT_THAT(outcome.failures, Contains(ContainsRegex(wrong.failure))) << outcome.console;
  if (wrong.only_check.empty()) return;
  for (const std::string& failure : outcome.failures)
    EXPECT_THAT(failure, HasSubstr("[" + wrong.only_check + "]")) << outcome.console;
}

INSTANTIATE_TEST_SUITE_P(Wrong, Conform, testing::ValuesIn(k_wrong), [](const auto& test) { return test.param.name; });

/// The right ones: on the caller's thread, with copies only, with a thread per queue.
class ConformRight : public testing::TestWithParam<std::string> {};

TEST_P(ConformRight, Passes) {
  const Outcome outcome = conform(subject(GetParam()), "--levels L0-L5,L7 --ops add,sum_slots,matmul,top_k --cases 2");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.console;
  EXPECT_THAT(outcome.failures, IsEmpty());
  EXPECT_GT(outcome.counts.at("pass"), 80) << outcome.console;
  EXPECT_GT(outcome.counts.at("skip"), 50) << "cases that it declines";
}

INSTANTIATE_TEST_SUITE_P(Right, ConformRight, testing::Values("subject", "subject_staged", "subject_async"),
                         [](const auto& test) { return test.param; });

/// Every op in memory of its own, whole models with it.
struct Far {
  std::string name, library, levels, options;
};
void PrintTo(const Far& far, std::ostream* out) { *out << far.name; }

class ConformFar : public testing::TestWithParam<Far> {};

TEST_P(ConformFar, Passes) {
  const Outcome outcome =
      conform(subject(GetParam().library),
              "--levels " + GetParam().levels + " --cases 0 --every 12 --timeout 120 " + GetParam().options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.console;
  EXPECT_THAT(outcome.failures, IsEmpty());
  EXPECT_GT(outcome.counts.at("pass"), 100) << outcome.console;
}

INSTANTIATE_TEST_SUITE_P(Right, ConformFar,
                         testing::Values(Far{"copies", "far", "L0-L4", ""},
                                         Far{"small", "far", "L0-L4",
                                             "--option max_alloc=8388608 --option bind_align=256"},
                                         Far{"async", "far_async", "L0-L4,L6", "--option bind_align=128"},
                                         Far{"pages", "far", "L0-L4", "--option unified=1 --option import_align=4096"}),
                         [](const auto& test) { return test.param.name; });

/// A crash in one test is its failure; the tests behind it run.
TEST(ConformKit, GoesOnBehindACrash) {
  const Outcome outcome = conform(subject("wrong_exit"), "--levels L4 --ops sum_slots,matmul --cases 0");
  EXPECT_THAT(outcome.failures, Contains("L4:sum_slots:1 [exit]")) << outcome.console;
  EXPECT_GT(outcome.counts.at("pass"), 5) << "products";
}

TEST(ConformKit, FailuresSayHowToRepeatThem) {
  const Outcome outcome = conform(subject("wrong_bounds"), "--levels L4 --ops add --seed 9");
  EXPECT_THAT(outcome.console, HasSubstr("wrong_bounds.so --seed 9 --only L4:add:0"));
  const Outcome again = conform(subject("wrong_bounds"), "--seed 9 --only L4:add:r1");
  EXPECT_THAT(again.failures, Contains("L4:add:r1 [bounds]"));
  EXPECT_EQ(again.counts.at("fail"), 1);
}

class Expectations : public testing::Test {
protected:
  Outcome run(const std::string& plugin, const std::string& text, const std::string& arguments) {
    const fs::path file = fs::temp_directory_path() / ("seacliff-expect-" + std::to_string(getpid()));
    std::ofstream(file) << text;
    const Outcome outcome = conform(plugin, "--expect " + file.string() + " " + arguments);
    fs::remove(file);
    return outcome;
  }
};

TEST_F(Expectations, ExcuseWhatTheyName) {
  const Outcome outcome = run(subject("wrong_bounds"), "# known\nxfail L4:add:* writes too far # soon\n",
                              "--levels L4 --ops add --cases 2");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.console;
  EXPECT_GT(outcome.counts.at("xfail"), 4);
}

TEST_F(Expectations, MustShrink) {
  const Outcome outcome = run(subject("subject"), "xfail L4:add:0 was wrong once\n", "--levels L4 --ops add");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.failures, Contains("expect:1 [stale]")) << outcome.console;
}

TEST_F(Expectations, UnsupportedIsKeptTrue) {
  const std::string arguments = "--levels L4 --ops add,top_k --cases 0";
  EXPECT_EQ(run(subject("subject"), "unsupported top_k no sorting here\n", arguments).exit_code, 0);
  const Outcome claimed = run(subject("subject"), "unsupported top_k no\nunsupported add no\n", arguments);
  EXPECT_THAT(claimed.failures, Contains("expect:2 [stale]")) << claimed.console;
  const Outcome unlisted = run(subject("subject"), "# nothing\n", arguments);
  EXPECT_EQ(unlisted.exit_code, 1) << unlisted.console;
}

TEST_F(Expectations, MistakesAreUsage) {
  for (const char* text : {"xfail L4:add:0\n", "ignore add because\n", "unsupported teleport no\n"})
    EXPECT_EQ(run(subject("subject"), text, "--levels L1").exit_code, 2) << text;
}

TEST(ConformKit, UsageErrorsExitWithTwo) {
  for (const char* arguments : {"--levels L9", "--ops teleport", "--only L4:add:999", "--device nobody", "--every 0"})
    EXPECT_EQ(conform(subject("subject"), arguments).exit_code, 2) << arguments;
  EXPECT_EQ(conform("nothing.so", "").exit_code, 2);
}

/// The program cannot survive a plugin that crashes, but it says which one it was.
TEST(CrashReporter, NamesThePlugin) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have the last word";
#endif
  const fs::path out = fs::temp_directory_path() / ("seacliff-crash-" + std::to_string(getpid()));
  const std::string command =
      SEACLIFF_BINARY_DIR "/bin/seacliff backends --plugin " + subject("wrong_close") + " >" + out.string() + " 2>&1";
  EXPECT_NE(std::system(command.c_str()), 0);
  const std::string said = read(out);
  fs::remove(out);
  EXPECT_THAT(said, HasSubstr("SIGSEGV inside plugin 'subject', close(), in code of "));
  EXPECT_THAT(said, HasSubstr("wrong_close.so"));
}

TEST(ConformKit, WritesReports) {
  const fs::path base = fs::temp_directory_path() / ("seacliff-reports-" + std::to_string(getpid()));
  const auto file = [&](const char* ending) { return base.string() + ending; };
  conform(subject("wrong_bounds"), "--levels L4 --ops add,matmul --cases 0 --junit " + file(".xml") + " --csv " +
                                       file(".csv") + " --markdown " + file(".md"));
  EXPECT_THAT(read(file(".xml")), HasSubstr("<failure message=\"bounds\">"));
  EXPECT_THAT(read(file(".csv")), HasSubstr("L4:add:0,T=1,add,f32,fail,bounds,"));
  EXPECT_THAT(read(file(".md")), HasSubstr("| `add` |"));
  for (const char* ending : {".xml", ".csv", ".md"}) fs::remove(file(ending));
}

} // namespace
