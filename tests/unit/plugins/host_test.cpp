// The host's services as plugins see them.
#include "plugins/loader/host.hpp"

#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"
#include "plugins/loader/candidate.hpp"
#include "plugins/loader/elf.hpp"

#include <seacliff/sdk/status.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <stdexcept>

namespace seacliff::plugins {
namespace {

TEST(Host, KnowsItsOps) {
  const HostServices host(nullptr, {"add", "matmul"});
  const scf_host& table = *host.table();
  const auto id = [&](std::string_view domain, std::string_view name, std::uint32_t version) {
    return table.op_id(table.ctx, sdk::str(domain), sdk::str(name), version);
  };
  EXPECT_EQ(id("scf", "matmul", 1), 2u);
  EXPECT_EQ(id("scf", "matmul", 2), 0u);
  EXPECT_EQ(id("other", "matmul", 1), 0u);
  EXPECT_EQ(id("scf", "conv", 1), 0u);
  EXPECT_EQ(sdk::view(table.op_name(table.ctx, 1)), "scf.add");
  EXPECT_EQ(table.op_name(table.ctx, 3).len, 0u);
  EXPECT_EQ(host.op_id("add"), 1u);
}

TEST(Host, StatusesCarryEverything) {
  const HostServices host(nullptr, {});
  const auto thrown = sdk::guard(host.table(), [] {
    throw sdk::Failure(SCF_DOES_NOT_FIT, "heap 0 is full",
                       {{"heap", std::int64_t{0}}, {"share", 0.5}, {"mend", std::string("close something")}});
  });
  scf_status* copy = host.table()->status_clone(host.table()->ctx, thrown);
  take_status(thrown);
  const Status status = take_status(copy);
  EXPECT_EQ(status.code, Code::does_not_fit);
  EXPECT_EQ(status.text(), "heap 0 is full; close something");
  ASSERT_EQ(status.details.size(), 2u);
  EXPECT_EQ(status.details[1].first, "share");
  EXPECT_EQ(std::get<double>(status.details[1].second), 0.5);
}

TEST(Host, GuardTurnsEveryExceptionIntoAStatus) {
  const HostServices host(nullptr, {});
  const auto code = [&](auto body) { return take_status(sdk::guard(host.table(), body)).code; };
  EXPECT_EQ(code([] {}), Code::ok);
  EXPECT_EQ(code([] { throw std::bad_alloc(); }), Code::resource_exhausted);
  EXPECT_EQ(code([] { throw std::runtime_error("x"); }), Code::internal);
  EXPECT_EQ(code([] { throw 7; }), Code::internal);
  EXPECT_EQ(code([&]() -> scf_status* { return make_status({Code::aborted, "x", {}, {}}); }), Code::aborted);
}

TEST(Host, UnknownCodesBecomeUnknown) {
  const HostServices host(nullptr, {});
  EXPECT_EQ(take_status(sdk::make_status(host.table(), 4711, "from the future")).code, Code::unknown);
}

TEST(Host, RunsTheTeam) {
  const Topology topology;
  Team team(topology, 3);
  const HostServices host(&team, {});
  const scf_host& table = *host.table();
  EXPECT_EQ(table.team_size(table.ctx, 0), 3u);
  std::atomic<std::uint32_t> seen{0};
  const auto add = [](void* arg, scf_worker* worker) {
    *static_cast<std::atomic<std::uint32_t>*>(arg) |= 1u << worker->index;
  };
  EXPECT_EQ(take_status(table.team_run(table.ctx, 0, add, &seen)).code, Code::ok);
  EXPECT_EQ(seen, 7u);
}

TEST(Versions, NumbersAreComparedAsNumbers) {
  EXPECT_TRUE(newer("1.10.0", "1.9.9"));
  EXPECT_FALSE(newer("1.9.9", "1.10.0"));
  EXPECT_TRUE(newer("2", "1.99"));
  EXPECT_TRUE(newer("1.0.1", "1.0"));
  EXPECT_FALSE(newer("1.0", "1.0"));
  EXPECT_FALSE(newer("", ""));
  EXPECT_FALSE(newer("beta", "0.1"));
}

TEST(Elf, ReadsWhatALibraryNeeds) {
  EXPECT_THAT(needed_libraries("/proc/self/exe"), ::testing::Contains(::testing::StartsWith("libc.so")));
  EXPECT_TRUE(needed_libraries("/etc/passwd").empty());
  EXPECT_TRUE(needed_libraries("/does/not/exist").empty());
}

TEST(Elf, SurvivesEveryTruncationAndDamage) {
  std::ifstream in(SEACLIFF_PLUGIN_DIR "/scf_reference.so", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  ASSERT_GT(bytes.size(), 4096u);
  const std::string path = ::testing::TempDir() + "damaged.so";
  const auto read = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    return needed_libraries(path);
  };
  EXPECT_FALSE(read(bytes).empty());
  for (std::size_t size = 0; size < 1024; size += 16) read(bytes.substr(0, size));
  for (std::size_t at = 16; at < 640; ++at) {
    std::string damaged = bytes.substr(0, 8192);
    damaged[at] = static_cast<char>(0xff);
    read(damaged);
  }
  std::remove(path.c_str());
}

} // namespace
} // namespace seacliff::plugins
