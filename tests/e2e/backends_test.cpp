// `seacliff backends` from outside: what it lists, what `auto` takes and why, when it fails.
// To add a case: backends({...}) and look at exit_code, out and err; the plugins are those of tests/abi/plugins.
#include "tests/e2e/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace seacliff::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string plugin(const std::string& name) { return SEACLIFF_BINARY_DIR "/tests/wrong_plugins/" + name + ".so"; }

Ran backends(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "backends");
  return seacliff(arguments);
}

nlohmann::json choice(const nlohmann::json& report, const std::string& id) {
  for (const auto& entry : report.at("auto"))
    if (entry.at("id") == id) return entry;
  ADD_FAILURE() << "auto says nothing of " << id << ": " << report.at("auto");
  return {};
}

TEST(Backends, AutoTakesTheCpuAndTheLastResort) {
  const Ran ran = backends({"--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_EQ(report["auto"][0]["id"], "cpu:0");
  EXPECT_EQ(choice(report, "reference:0")["taken"], true);
  EXPECT_THAT(choice(report, "reference:0")["why"].get<std::string>(), HasSubstr("last resort"));
  for (const auto& entry : report["plugins"])
    for (const auto& device : entry["devices"]) {
      EXPECT_GE(device["memory_total"], device["memory_budget"]) << device;
      EXPECT_FALSE(device["heaps"].empty());
    }
}

TEST(Backends, ANamedPluginComesFirstAmongEquals) {
  const Ran ran = backends({"--json", "--plugin", plugin("minimal")});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_EQ(report["auto"][0]["id"], "minimal:0");
  EXPECT_THAT(report["auto"][0]["why"].get<std::string>(), HasSubstr("--plugin"));
  EXPECT_EQ(report["auto"][1]["id"], "cpu:0");
}

TEST(Backends, UnusableDevicesAreNeverTaken) {
  const Ran ran = backends({"--json", "--plugin", plugin("unusable")});
  EXPECT_EQ(ran.exit_code, 1) << "a plugin was named that cannot be used";
  const auto report = nlohmann::json::parse(ran.out);
  const auto last = report["auto"].back();
  EXPECT_EQ(last["taken"], false);
  EXPECT_THAT(last["why"].get<std::string>(), HasSubstr("cannot be used"));
}

TEST(Backends, NamedPluginsThatDoNotLoadFail) {
  const Ran ran = backends({"--plugin", plugin("newer_abi")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("abi_mismatch"));
  EXPECT_THAT(ran.out, HasSubstr("cpu:0")) << "the rest is listed all the same";
  EXPECT_THAT(ran.err, HasSubstr("newer_abi.so was not loaded"));
  EXPECT_THAT(backends({"--plugin", SEACLIFF_SOURCE_DIR "/docs"}).err, HasSubstr("there is no plugin in"));
}

TEST(Backends, TablesForPeopleHaveNoColoursInAFile) {
  const Ran ran = backends({"--why"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("--backend auto takes"));
  EXPECT_THAT(ran.out, HasSubstr("isa "));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b")));
}

} // namespace
} // namespace seacliff::test
