// Wrong plugins, each a real shared object: every one is listed with its reason and the program runs on.
// To add one: see plugins/minimal.c.
#include "plugins/loader/loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace seacliff::plugins {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path wrong(const std::string& name) {
  return fs::path(SEACLIFF_BINARY_DIR) / "tests/wrong_plugins" / (name + ".so");
}

class WrongPlugins : public ::testing::Test {
protected:
  WrongPlugins() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    dir_ = fs::temp_directory_path() / (std::string("seacliff-") + test->name() + "-" + std::to_string(getpid()));
    fs::create_directories(dir_);
  }
  ~WrongPlugins() override {
    std::error_code ec;
    fs::remove_all(dir_, ec);
  }

  void write(const std::string& name, const std::string& text) const { std::ofstream(dir_ / name) << text; }

  PluginSet load(std::vector<std::string> paths, std::map<std::string, Options> options = {}) const {
    return PluginSet::load(host_, {std::move(paths), std::move(options), false});
  }

  /// The one verdict about one path, after the reference plugin beside it has loaded as if nothing were wrong.
  Verdict verdict(const fs::path& path) const {
    const PluginSet set = load({path.string(), SEACLIFF_PLUGIN_DIR "/reference.scplugin.json"});
    EXPECT_NE(set.find("reference"), nullptr);
    for (const Verdict& v : set.verdicts())
      if (v.path == path.string()) return v;
    ADD_FAILURE() << "no verdict about " << path;
    return {};
  }

  fs::path dir_;
  std::shared_ptr<HostServices> host_ = std::make_shared<HostServices>(nullptr, std::vector<std::string>{"add"});
};

#define EXPECT_VERDICT(path, expected, words)                                                                          \
  do {                                                                                                                 \
    const Verdict v = verdict(path);                                                                                   \
    EXPECT_EQ(verdict_name(v.status), verdict_name(VerdictStatus::expected)) << v.reason;                              \
    EXPECT_THAT(v.reason, HasSubstr(words));                                                                           \
  } while (false)

TEST_F(WrongPlugins, MinimalOneLoads) {
  const Verdict v = verdict(wrong("minimal"));
  EXPECT_EQ(v.status, VerdictStatus::loaded) << v.reason;
  EXPECT_EQ(v.name, "minimal");
  ASSERT_EQ(v.plugin->devices().size(), 1u);
  EXPECT_EQ(v.plugin->full_id(v.plugin->devices()[0]), "minimal:0");
}

TEST_F(WrongPlugins, BuiltAgainstAFrozenHeaderLoads) {
  const Verdict v = verdict(wrong("frozen_1_0"));
  EXPECT_EQ(v.status, VerdictStatus::loaded) << v.reason;
}

TEST_F(WrongPlugins, NewerAbi) { EXPECT_VERDICT(wrong("newer_abi"), abi_mismatch, "ABI 1.1, this program serves 1.0"); }
TEST_F(WrongPlugins, OlderAbi) { EXPECT_VERDICT(wrong("older_abi"), abi_mismatch, "ABI 0.9, this program serves 1.0"); }
TEST_F(WrongPlugins, MissingEntry) { EXPECT_VERDICT(wrong("no_submit"), abi_mismatch, "queue.submit"); }
TEST_F(WrongPlugins, MissingTable) { EXPECT_VERDICT(wrong("no_queue"), abi_mismatch, "no table 'queue'"); }
TEST_F(WrongPlugins, NoAnswer) { EXPECT_VERDICT(wrong("no_answer"), abi_mismatch, "returns no description"); }
TEST_F(WrongPlugins, NoEntrySymbol) { EXPECT_VERDICT(wrong("no_entry"), no_entry_symbol, "scf_plugin_query_v1"); }
TEST_F(WrongPlugins, OpenFails) { EXPECT_VERDICT(wrong("open_fails"), open_failed, "the driver is not running"); }
TEST_F(WrongPlugins, Unusable) { EXPECT_VERDICT(wrong("unusable"), no_usable_device, "firmware is too old"); }
TEST_F(WrongPlugins, OtherSanitizer) {
  EXPECT_VERDICT(wrong("other_sanitizer"), sanitizer_mismatch, "built with ThreadSanitizer");
}
TEST_F(WrongPlugins, RealSanitizerBuild) {
  if (!fs::exists(wrong("asan"))) GTEST_SKIP() << "this build has a sanitizer itself, or the compiler has none";
  EXPECT_VERDICT(wrong("asan"), sanitizer_mismatch, "built with");
}
TEST_F(WrongPlugins, ThrowsAcrossTheBoundary) {
  EXPECT_VERDICT(wrong("throws"), open_failed, "an exception crossed the plugin boundary (the table fell over)");
}
TEST_F(WrongPlugins, ThrowsInsideTheAdapter) {
  const Verdict v = verdict(wrong("throws_guarded"));
  EXPECT_EQ(v.status, VerdictStatus::open_failed);
  EXPECT_EQ(v.reason, "throws: open: the table fell over");
}

TEST_F(WrongPlugins, TextFileNamedSo) {
  write("letter.so", "Dear loader, this is only a text.\n");
  EXPECT_VERDICT(dir_ / "letter.so", not_a_library, "file too short");
}

TEST_F(WrongPlugins, EmptyFileAndTruncatedLibrary) {
  write("empty.so", "");
  EXPECT_VERDICT(dir_ / "empty.so", not_a_library, "file too short");
  fs::copy_file(wrong("minimal"), dir_ / "cut.so");
  fs::resize_file(dir_ / "cut.so", 200);
  EXPECT_VERDICT(dir_ / "cut.so", not_a_library, "cannot read file data");
}

TEST_F(WrongPlugins, ManifestOfMissingLibrary) {
  write("gone.scplugin.json", R"({"name": "gone", "library": "scf_gone.so", "abi": {"min": 10, "max": 10}})");
  EXPECT_VERDICT(dir_ / "gone.scplugin.json", missing_library, "scf_gone.so");
}

TEST_F(WrongPlugins, ManifestOfAnotherAbi) {
  write("old.scplugin.json", R"({"name": "old", "library": "scf_old.so", "abi": {"min": 7, "max": 8}})");
  EXPECT_VERDICT(dir_ / "old.scplugin.json", abi_mismatch, "made for ABI 0.7 to 0.8");
}

TEST_F(WrongPlugins, BadManifests) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{", "not a JSON object"},
      {"[]", "not a JSON object"},
      {R"({"library": "x.so", "abi": {"min": 10, "max": 10}})", "\"name\""},
      {R"({"name": "x", "library": 3, "abi": {"min": 10, "max": 10}})", "\"library\""},
      {R"({"name": "x", "library": "/etc/x.so", "abi": {"min": 10, "max": 10}})", "relative"},
      {R"({"name": "x", "library": "x.so", "abi": 9})", "\"abi\""},
      {R"({"name": "x", "library": "x.so", "abi": {"min": -1, "max": 10}})", "\"abi.min\""},
      {R"({"name": "x", "library": "x.so", "abi": {"min": 10, "max": 10}, "needs": "a"})", "\"needs\""},
      {R"({"name": "x", "library": "x.so", "abi": {"min": 10, "max": 10}, "priority": "high"})", "\"priority\""},
  };
  for (const auto& [text, words] : cases) {
    write("bad.scplugin.json", text);
    EXPECT_VERDICT(dir_ / "bad.scplugin.json", bad_manifest, words);
  }
}

TEST_F(WrongPlugins, NewerVersionOfOneNameWins) {
  fs::copy_file(wrong("minimal"), dir_ / "a.so");
  fs::copy_file(wrong("minimal_1_10"), dir_ / "b.so");
  const PluginSet set = load({dir_.string()});
  ASSERT_EQ(set.verdicts().size(), 2u);
  EXPECT_EQ(set.verdicts()[0].status, VerdictStatus::shadowed);
  EXPECT_THAT(set.verdicts()[0].reason, HasSubstr("minimal 1.10.0"));
  EXPECT_EQ(set.find("minimal")->version(), "1.10.0");
}

TEST_F(WrongPlugins, EarlierPlaceWinsOverNewerVersion) {
  const PluginSet set = load({wrong("minimal").string(), wrong("minimal_1_10").string()});
  EXPECT_EQ(set.find("minimal")->version(), "1.0.0");
  EXPECT_EQ(set.verdicts()[1].status, VerdictStatus::shadowed);
}

TEST_F(WrongPlugins, OneFileReachedTwiceIsOneCandidate) {
  const PluginSet set = load({wrong("minimal").string(), wrong("minimal").string()});
  EXPECT_EQ(set.verdicts().size(), 1u);
}

TEST_F(WrongPlugins, LibraryWithItsManifestIsOneCandidate) {
  fs::copy_file(wrong("minimal"), dir_ / "m.so");
  write("m.scplugin.json", R"({"name": "minimal", "library": "m.so", "abi": {"min": 10, "max": 10}, "priority": 5})");
  const PluginSet set = load({dir_.string()});
  ASSERT_EQ(set.verdicts().size(), 1u);
  EXPECT_EQ(set.verdicts()[0].path, (dir_ / "m.scplugin.json").string());
  EXPECT_EQ(set.verdicts()[0].status, VerdictStatus::loaded);
}

TEST_F(WrongPlugins, ExplicitPathThatDoesNotExistIsAnError) {
  EXPECT_THROW(load({(dir_ / "nowhere.so").string()}), Error);
}

TEST_F(WrongPlugins, OptionsAreNeverLost) {
  const std::string minimal = wrong("minimal").string();
  try {
    load({minimal}, {{"minimal", {{"speed", std::int64_t{11}}}}});
    FAIL() << "a rejected option must be an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr("there are no options"));
  }
  try {
    load({minimal}, {{"absent", {{"isa", std::string("avx2")}}}});
    FAIL() << "an option for a plugin that is not there must be an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("option 'isa' is for plugin absent"));
  }
}

TEST_F(WrongPlugins, SelectSaysWhyABackendIsNotThere) {
  const PluginSet set =
      load({wrong("open_fails").string(), wrong("unusable").string(), SEACLIFF_PLUGIN_DIR "/reference.scplugin.json"});
  EXPECT_EQ(set.select("auto").size(), 1u);
  EXPECT_EQ(set.select("reference,reference:0").size(), 1u);
  EXPECT_EQ(set.last_resorts().size(), 1u);
  const auto message = [&](const char* backends) -> std::string {
    try {
      set.select(backends);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("open_fails"), HasSubstr("was not loaded: open_fails: open: the driver is not running"));
  EXPECT_THAT(message("minimal"), HasSubstr("was not loaded"));
  EXPECT_THAT(message("minimal:0"), HasSubstr("its firmware is too old"));
  EXPECT_THAT(message("tpu"), HasSubstr("was not found"));
  EXPECT_THAT(message(""), HasSubstr("no usable device"));
}

TEST_F(WrongPlugins, SearchPathTakesAbsolutePlacesOnly) {
  setenv("SEACLIFF_PLUGIN_PATH", (dir_.string() + "::plugins:.").c_str(), 1);
  std::vector<fs::path> from_environment;
  for (const SearchPlace& place : search_places({}))
    if (place.origin == "SEACLIFF_PLUGIN_PATH") from_environment.push_back(place.path);
  unsetenv("SEACLIFF_PLUGIN_PATH");
  EXPECT_EQ(from_environment, std::vector<fs::path>{dir_});
}

} // namespace
} // namespace seacliff::plugins
