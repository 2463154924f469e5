// The rules of evolution (plugins/abi/RULES.md, E1-E11), seen from hosts and plugins that are older or newer than this
// one. To add a test: change what one side knows, and state what the other side must make of it.
#include "plugins/loader/tables.hpp"
#include "tests/unit/plugins/toy_fixture.hpp"

#include <cstddef>
#include <cstring>

namespace seacliff::plugins {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

const scf_plugin* toy(const scf_host* host) {
  const scf_plugin* plugin = nullptr;
  sdk::query<ToyPlugin>(host, &plugin);
  return plugin;
}

class Evolution : public ::testing::Test {
protected:
  std::shared_ptr<HostServices> host_ = std::make_shared<HostServices>(nullptr, toy_ops());
};

TEST_F(Evolution, E1FrozenLayouts) {
  // Structs without a header never change within the major; these are their sizes on 64-bit machines.
  EXPECT_EQ(sizeof(scf_str), 16u);
  EXPECT_EQ(sizeof(scf_hdr), 16u);
  EXPECT_EQ(sizeof(scf_kv), 40u);
  EXPECT_EQ(sizeof(scf_slice), 24u);
  EXPECT_EQ(sizeof(scf_wait), 16u);
  EXPECT_EQ(sizeof(scf_need), 24u);
  EXPECT_EQ(sizeof(scf_dim), 16u);
  EXPECT_EQ(sizeof(scf_binding), 32u);
  EXPECT_EQ(offsetof(scf_host, minor_min), 16u);
  EXPECT_EQ(offsetof(scf_plugin, minor), 16u);
}

TEST_F(Evolution, E4LargerHostIsNoError) {
  struct {
    scf_host host;
    std::uint64_t future[8];
  } larger{*host_->table(), {1, 2, 3, 4, 5, 6, 7, 8}};
  larger.host.h.size = sizeof larger;
  scf_instance* instance = nullptr;
  const scf_plugin* plugin = toy(&larger.host);
  EXPECT_EQ(take_status(plugin->api->open(&larger.host, nullptr, 0, &instance)).code, Code::ok);
  EXPECT_EQ(take_status(plugin->api->close(instance)).code, Code::ok);
}

TEST_F(Evolution, E4SmallerPluginTableReadsAsZero) {
  const scf_plugin* plugin = toy(host_->table());
  scf_plugin_api api = *plugin->api;
  api.h.size = offsetof(scf_plugin_api, profile); // a plugin from before there were profiles
  scf_plugin older = *plugin;
  older.api = &api;
  const Tables tables = normalise(older);
  EXPECT_FALSE(tables.has_profile());
  EXPECT_NE(tables.queue.submit, nullptr);

  scf_queue_api queue = *plugin->api->queue;
  queue.h.size = offsetof(scf_queue_api, submit);
  api.queue = &queue;
  try {
    normalise(older);
    FAIL() << "submit is required";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("queue.submit"));
  }
}

TEST_F(Evolution, E4LargerPluginTableIsNoError) {
  const scf_plugin* plugin = toy(host_->table());
  struct {
    scf_plugin_api api;
    void (*future)();
  } larger{*plugin->api, nullptr};
  larger.api.h.size = sizeof larger;
  scf_plugin newer = *plugin;
  newer.api = &larger.api;
  EXPECT_TRUE(normalise(newer).has_profile());
}

TEST_F(Evolution, E2WrongKindIsRefused) {
  const scf_plugin* plugin = toy(host_->table());
  scf_memory_api memory = *plugin->api->memory;
  memory.h.kind = SCF_KIND_QUEUE_API;
  scf_plugin_api api = *plugin->api;
  api.memory = &memory;
  scf_plugin confused = *plugin;
  confused.api = &api;
  EXPECT_THROW(normalise(confused), Error);
}

TEST_F(Evolution, E3RequirementsFitTheHostsRoom) {
  const auto device = open_toy(host_)->open_device("toy:0");
  SegmentBuilder builder([this](const std::string& op) { return host_->op_id(op); });
  const auto in = builder.value(SCF_ROLE_INPUT, {100}), mid = builder.value(SCF_ROLE_TEMP, {100});
  const auto out = builder.value(SCF_ROLE_OUTPUT, {100});
  builder.node("scale", {in}, {mid});
  builder.node("scale", {mid}, {out});
  scf_program* program = nullptr;
  const scf_graph_view view = builder.view();
  const auto& api = device->tables().program;
  ASSERT_EQ(take_status(api.compile(device->handle(), &view, nullptr, 0, &program)).code, Code::ok);
  scf_requirements room;
  std::memset(&room, 0x5a, sizeof room);
  room.h = {offsetof(scf_requirements, launches), SCF_KIND_REQUIREMENTS, nullptr}; // an older host
  ASSERT_EQ(take_status(api.requirements(program, &room)).code, Code::ok);
  EXPECT_EQ(room.h.size, offsetof(scf_requirements, launches));
  ASSERT_EQ(room.n_needs, 1u);
  EXPECT_GE(room.needs[0].bytes, 400u);
  EXPECT_EQ(room.launches, 0x5a5a5a5a5a5a5a5aull) << "written beyond the room";
  api.program_free(program);
}

TEST_F(Evolution, E9UnknownExtensionsAreSkipped) {
  const scf_hdr unknown{sizeof(scf_hdr), 0xfeedu, nullptr};
  scf_host extended = *host_->table();
  extended.h.next = &unknown;
  scf_instance* instance = nullptr;
  const scf_plugin* plugin = toy(&extended);
  ASSERT_EQ(take_status(plugin->api->open(&extended, nullptr, 0, &instance)).code, Code::ok);
  EXPECT_EQ(take_status(plugin->api->close(instance)).code, Code::ok);
}

TEST_F(Evolution, E11ArraysAreWalkedWithTheirStride) {
  struct FutureValue {
    scf_value value;
    std::uint64_t more[3];
  };
  struct FutureNode {
    scf_node node;
    std::uint64_t more[5];
  };
  const auto device = open_toy(host_)->open_device("toy:0");
  SegmentBuilder builder([this](const std::string& op) { return host_->op_id(op); });
  const auto in = builder.value(SCF_ROLE_INPUT, {8}), mid = builder.value(SCF_ROLE_TEMP, {8});
  const auto out = builder.value(SCF_ROLE_OUTPUT, {8});
  builder.node("scale", {in}, {mid}, {{"factor", 2}});
  builder.node("scale", {mid}, {out}, {{"factor", 5}});
  scf_graph_view view = builder.view();
  std::vector<FutureValue> values;
  for (std::uint32_t i = 0; i < view.n_values; ++i) values.push_back({view.values[i], {~0ull, ~0ull, ~0ull}});
  std::vector<FutureNode> nodes;
  for (std::uint32_t i = 0; i < view.n_nodes; ++i)
    nodes.push_back({view.nodes[i], {~0ull, ~0ull, ~0ull, ~0ull, ~0ull}});
  view.values = &values[0].value;
  view.value_stride = sizeof(FutureValue);
  view.nodes = &nodes[0].node;
  view.node_stride = sizeof(FutureNode);

  EXPECT_EQ(device->propose(view).size(), 2u);
  Bench bench(device);
  bench.give(in, 8, 1);
  const float* result = bench.give(out, 8);
  const Exec exec = bench.instantiate(device->compile(view), {});
  bench.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + 8), Each(10.0f));
}

TEST_F(Evolution, QueryAnswersHostsItCannotServe) {
  scf_host other = *host_->table();
  other.minor_min = other.minor_max = SCF_ABI_MINOR + 1;
  const scf_plugin* plugin = nullptr;
  EXPECT_EQ(sdk::query<ToyPlugin>(&other, &plugin), std::uint32_t{SCF_INCOMPATIBLE});
  ASSERT_NE(plugin, nullptr) << "the loader prints both ranges";
  EXPECT_EQ(plugin->minor, SCF_ABI_MINOR);
}

TEST_F(Evolution, StatusesOutliveThePlugin) {
  scf_status* status = nullptr;
  {
    auto plugin = open_toy(host_);
    const auto device = plugin->open_device("toy:0");
    scf_buffer* buffer = nullptr;
    status = device->tables().memory.alloc(device->handle(), 42, 64, 64, &buffer);
  }
  EXPECT_THAT(take_status(status).message, HasSubstr("no heap 42"));
}

} // namespace
} // namespace seacliff::plugins
