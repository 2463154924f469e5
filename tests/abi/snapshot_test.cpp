// scf_abi.h against the snapshot of its minor in plugins/abi/frozen: within a minor only what RULES.md allows. To
// change more: raise SCF_ABI_MINOR, write the entry of CHANGELOG.md, run plugins/abi/freeze. To add a test of the
// comparison: one line in `Finds` or `Allows`, an edit of the header.
#include "plugins/loader/host.hpp"
#include "tests/abi/abi_layout.hpp"

#include <seacliff/abi/scf_abi.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <sstream>

namespace seacliff::abi {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string k_abi = SEACLIFF_SOURCE_DIR "/plugins/abi/";

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return in ? std::move(text).str() : std::string();
}

std::string header() { return read(k_abi + "scf_abi.h"); }

std::string edited(const std::string& from, const std::string& to) {
  std::string text = header();
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "nothing to edit: " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::vector<std::string> changes(const std::string& from, const std::string& to) {
  return breaking_changes(read_layout(header()), read_layout(edited(from, to)));
}

TEST(AbiSnapshot, KeepsTheRulesWithinItsMinor) {
  const std::string version = plugins::abi_version(SCF_ABI_MINOR), minor = version.substr(2);
  const std::string snapshot = read(k_abi + "frozen/scf_abi_" + version.substr(0, 1) + "_" + minor + ".h");
  ASSERT_FALSE(snapshot.empty()) << "there is no snapshot of " << version << ": run plugins/abi/freeze";
  EXPECT_THAT(breaking_changes(read_layout(snapshot), read_layout(header())), IsEmpty())
      << "raise SCF_ABI_MINOR, say why in CHANGELOG.md and run plugins/abi/freeze";
  EXPECT_THAT(read(k_abi + "CHANGELOG.md"), HasSubstr("\n## " + version + "\n"));
}

// The text is read as the compiler reads it.
TEST(AbiSnapshot, OffsetsAreTheCompilers) {
  Layout layout = read_layout(header());
#define CHECK_STRUCT(struct_name, last_member)                                                                         \
  do {                                                                                                                 \
    const Struct& s = layout.structs[#struct_name];                                                                    \
    ASSERT_FALSE(s.members.empty()) << #struct_name;                                                                   \
    EXPECT_EQ(s.size, sizeof(struct_name)) << #struct_name;                                                            \
    EXPECT_EQ(s.members.back().name, #last_member);                                                                    \
    EXPECT_EQ(s.members.back().offset, offsetof(struct_name, last_member)) << #struct_name;                            \
    layout.structs.erase(#struct_name);                                                                                \
  } while (false)
  CHECK_STRUCT(scf_str, len);
  CHECK_STRUCT(scf_hdr, next);
  CHECK_STRUCT(scf_kv, v);
  CHECK_STRUCT(scf_worker, team);
  CHECK_STRUCT(scf_slice, bytes);
  CHECK_STRUCT(scf_wait, value);
  CHECK_STRUCT(scf_need, align);
  CHECK_STRUCT(scf_dim, value);
  CHECK_STRUCT(scf_host, get_ext);
  CHECK_STRUCT(scf_heap_desc, read_gbps);
  CHECK_STRUCT(scf_device_desc, detail);
  CHECK_STRUCT(scf_value, reserved);
  CHECK_STRUCT(scf_node, name);
  CHECK_STRUCT(scf_graph_view, nodes);
  CHECK_STRUCT(scf_claim, est_us);
  CHECK_STRUCT(scf_requirements, barriers);
  CHECK_STRUCT(scf_binding, slice);
  CHECK_STRUCT(scf_bindings, n_needs);
  CHECK_STRUCT(scf_submit, n_signals);
  CHECK_STRUCT(scf_memory_api, budget);
  CHECK_STRUCT(scf_layout_desc, row_granularity);
  CHECK_STRUCT(scf_layout_api, unpack);
  CHECK_STRUCT(scf_program_api, program_free);
  CHECK_STRUCT(scf_queue_api, copy);
  CHECK_STRUCT(scf_profile_record, bytes);
  CHECK_STRUCT(scf_profile_api, end);
  CHECK_STRUCT(scf_plugin_api, get_ext);
  CHECK_STRUCT(scf_plugin, api);
#undef CHECK_STRUCT
  for (const auto& [name, s] : layout.structs) ADD_FAILURE() << name << " is not checked here";
  EXPECT_EQ(layout.numbers["SCF_DTYPE_MXFP4"], std::uint64_t{SCF_DTYPE_MXFP4});
  EXPECT_EQ(layout.numbers["SCF_NONE"], SCF_NONE);
  EXPECT_EQ(layout.declarations.size(), 2u) << "the entry and its type";
}

TEST(AbiSnapshot, Finds) {
  const auto finds = [](const std::string& from, const std::string& to, const std::string& words) {
    EXPECT_THAT(changes(from, to), Contains(HasSubstr(words))) << from << " -> " << to;
  };
  finds("uint64_t n_waits;", "uint64_t more;\n  uint64_t n_waits;", "scf_submit.n_waits: in its place stands more");
  finds("  int32_t numa_node; /* -1: not bound to one */", "", "scf_heap_desc.numa_node");
  finds("uint64_t import_align;", "uint32_t import_align;", "scf_heap_desc.import_align: was 'uint64_t'");
  finds("scf_status* (*unmap)(scf_buffer*);", "", "scf_memory_api.unmap");
  finds("void (*queue_free)(scf_queue*);", "scf_status* (*queue_free)(scf_queue*);", "scf_queue_api.queue_free");
  finds("scf_status* (*requirements)(scf_program*, scf_requirements* out);",
        "scf_status* (*requirements)(scf_program*, uint32_t, scf_requirements* out);", "scf_program_api.requirements");
  finds("SCF_UNIMPLEMENTED = 12u", "SCF_UNIMPLEMENTED = 21u", "SCF_UNIMPLEMENTED has another value");
  finds("SCF_DTYPE_BF16 = 30u,\n", "", "SCF_DTYPE_BF16 is gone");
  finds("uint64_t offset, bytes;\n} scf_slice", "uint64_t offset, bytes, stride;\n} scf_slice",
        "scf_slice has no header");
  finds("#define SCF_MAX_RANK 6u", "#define SCF_MAX_RANK 8u", "scf_value");
  finds("SCF_EXPORT uint32_t scf_plugin_query_v1", "SCF_EXPORT uint64_t scf_plugin_query_v1", "scf_plugin_query_v1");
}

TEST(AbiSnapshot, Allows) {
  EXPECT_THAT(changes("double est_us;", "double est_us;\n  uint64_t bytes;"), IsEmpty());
  EXPECT_THAT(changes("SCF_DOES_NOT_FIT = 19u", "SCF_DOES_NOT_FIT = 19u,\n SCF_TIRED = 20u"), IsEmpty());
  EXPECT_THAT(
      changes("scf_status* (*end)(scf_device*);", "scf_status* (*end)(scf_device*);\n  void (*more)(scf_device*);"),
      IsEmpty());
  EXPECT_THAT(changes("host services", "what the host does"), IsEmpty());
  EXPECT_THAT(changes("typedef struct scf_binding {", "typedef struct scf_new {\n  scf_hdr h;\n} scf_new;\n\n"
                                                      "typedef struct scf_binding {"),
              IsEmpty());
}

} // namespace
} // namespace seacliff::abi
