// The header of today against the frozen ones: no field moves, no struct shrinks, no number changes. To freeze another
// minor: include its copy in a namespace of its own and repeat the lines for what it has.
#include <seacliff/abi/scf_abi.h>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

namespace frozen_0_9 {
#define scf_plugin_query_v1 scf_plugin_query_v1_frozen_0_9
#include "plugins/abi/frozen/scf_abi_0_9.h"
#undef scf_plugin_query_v1
} // namespace frozen_0_9

namespace {

#define EXPECT_KEPT(type, field)                                                                                       \
  EXPECT_EQ(offsetof(::type, field), offsetof(frozen_0_9::type, field));                                               \
  EXPECT_EQ(sizeof(::type::field), sizeof(frozen_0_9::type::field)) << #type "::" #field

#define EXPECT_NUMBER(name) EXPECT_EQ(std::uint64_t{::name}, std::uint64_t{frozen_0_9::name}) << #name

template <typename Now, typename Then> void expect_not_smaller() { EXPECT_GE(sizeof(Now), sizeof(Then)); }
template <typename Now, typename Then> void expect_same_size() { EXPECT_EQ(sizeof(Now), sizeof(Then)); }

TEST(Frozen09, Str) {
  EXPECT_KEPT(scf_str, ptr);
  EXPECT_KEPT(scf_str, len);
  expect_same_size<::scf_str, frozen_0_9::scf_str>();
}

TEST(Frozen09, Hdr) {
  EXPECT_KEPT(scf_hdr, size);
  EXPECT_KEPT(scf_hdr, kind);
  EXPECT_KEPT(scf_hdr, next);
  expect_same_size<::scf_hdr, frozen_0_9::scf_hdr>();
}

TEST(Frozen09, Kv) {
  EXPECT_KEPT(scf_kv, key);
  EXPECT_KEPT(scf_kv, type);
  EXPECT_KEPT(scf_kv, reserved);
  EXPECT_KEPT(scf_kv, v);
  expect_same_size<::scf_kv, frozen_0_9::scf_kv>();
}

TEST(Frozen09, Worker) {
  EXPECT_KEPT(scf_worker, index);
  EXPECT_KEPT(scf_worker, count);
  EXPECT_KEPT(scf_worker, team);
  expect_same_size<::scf_worker, frozen_0_9::scf_worker>();
}

TEST(Frozen09, Slice) {
  EXPECT_KEPT(scf_slice, buf);
  EXPECT_KEPT(scf_slice, offset);
  EXPECT_KEPT(scf_slice, bytes);
  expect_same_size<::scf_slice, frozen_0_9::scf_slice>();
}

TEST(Frozen09, Wait) {
  EXPECT_KEPT(scf_wait, sema);
  EXPECT_KEPT(scf_wait, value);
  expect_same_size<::scf_wait, frozen_0_9::scf_wait>();
}

TEST(Frozen09, Dim) {
  EXPECT_KEPT(scf_dim, sym);
  EXPECT_KEPT(scf_dim, reserved);
  EXPECT_KEPT(scf_dim, value);
  expect_same_size<::scf_dim, frozen_0_9::scf_dim>();
}

TEST(Frozen09, Host) {
  EXPECT_KEPT(scf_host, h);
  EXPECT_KEPT(scf_host, minor_min);
  EXPECT_KEPT(scf_host, minor_max);
  EXPECT_KEPT(scf_host, build_flags);
  EXPECT_KEPT(scf_host, ctx);
  EXPECT_KEPT(scf_host, status);
  EXPECT_KEPT(scf_host, status_free);
  EXPECT_KEPT(scf_host, status_code);
  EXPECT_KEPT(scf_host, status_message);
  EXPECT_KEPT(scf_host, status_clone);
  EXPECT_KEPT(scf_host, log);
  EXPECT_KEPT(scf_host, log_level);
  EXPECT_KEPT(scf_host, op_id);
  EXPECT_KEPT(scf_host, op_name);
  EXPECT_KEPT(scf_host, team_run);
  EXPECT_KEPT(scf_host, team_barrier);
  EXPECT_KEPT(scf_host, team_size);
  EXPECT_KEPT(scf_host, get_ext);
  expect_not_smaller<::scf_host, frozen_0_9::scf_host>();
}

TEST(Frozen09, HeapDesc) {
  EXPECT_KEPT(scf_heap_desc, h);
  EXPECT_KEPT(scf_heap_desc, id);
  EXPECT_KEPT(scf_heap_desc, kind);
  EXPECT_KEPT(scf_heap_desc, total);
  EXPECT_KEPT(scf_heap_desc, budget);
  EXPECT_KEPT(scf_heap_desc, max_alloc);
  EXPECT_KEPT(scf_heap_desc, max_binding);
  EXPECT_KEPT(scf_heap_desc, align);
  EXPECT_KEPT(scf_heap_desc, import_kinds);
  EXPECT_KEPT(scf_heap_desc, import_align);
  EXPECT_KEPT(scf_heap_desc, flags);
  EXPECT_KEPT(scf_heap_desc, numa_node);
  EXPECT_KEPT(scf_heap_desc, read_gbps);
  expect_not_smaller<::scf_heap_desc, frozen_0_9::scf_heap_desc>();
}

TEST(Frozen09, DeviceDesc) {
  EXPECT_KEPT(scf_device_desc, h);
  EXPECT_KEPT(scf_device_desc, id);
  EXPECT_KEPT(scf_device_desc, name);
  EXPECT_KEPT(scf_device_desc, driver);
  EXPECT_KEPT(scf_device_desc, reason_unusable);
  EXPECT_KEPT(scf_device_desc, phys_uuid);
  EXPECT_KEPT(scf_device_desc, kind);
  EXPECT_KEPT(scf_device_desc, flags);
  EXPECT_KEPT(scf_device_desc, numa_node);
  EXPECT_KEPT(scf_device_desc, n_heaps);
  EXPECT_KEPT(scf_device_desc, heaps);
  EXPECT_KEPT(scf_device_desc, detail);
  expect_not_smaller<::scf_device_desc, frozen_0_9::scf_device_desc>();
}

TEST(Frozen09, Value) {
  EXPECT_KEPT(scf_value, id);
  EXPECT_KEPT(scf_value, dtype);
  EXPECT_KEPT(scf_value, rank);
  EXPECT_KEPT(scf_value, role);
  EXPECT_KEPT(scf_value, dims);
  EXPECT_KEPT(scf_value, dim_sym);
  EXPECT_KEPT(scf_value, name);
  EXPECT_KEPT(scf_value, layout);
  EXPECT_KEPT(scf_value, reserved);
  expect_not_smaller<::scf_value, frozen_0_9::scf_value>();
}

TEST(Frozen09, Node) {
  EXPECT_KEPT(scf_node, id);
  EXPECT_KEPT(scf_node, op);
  EXPECT_KEPT(scf_node, n_in);
  EXPECT_KEPT(scf_node, n_out);
  EXPECT_KEPT(scf_node, n_attr);
  EXPECT_KEPT(scf_node, src_loc);
  EXPECT_KEPT(scf_node, in);
  EXPECT_KEPT(scf_node, out);
  EXPECT_KEPT(scf_node, attr);
  EXPECT_KEPT(scf_node, name);
  expect_not_smaller<::scf_node, frozen_0_9::scf_node>();
}

TEST(Frozen09, GraphView) {
  EXPECT_KEPT(scf_graph_view, h);
  EXPECT_KEPT(scf_graph_view, n_values);
  EXPECT_KEPT(scf_graph_view, value_stride);
  EXPECT_KEPT(scf_graph_view, n_nodes);
  EXPECT_KEPT(scf_graph_view, node_stride);
  EXPECT_KEPT(scf_graph_view, values);
  EXPECT_KEPT(scf_graph_view, nodes);
  expect_not_smaller<::scf_graph_view, frozen_0_9::scf_graph_view>();
}

TEST(Frozen09, Claim) {
  EXPECT_KEPT(scf_claim, h);
  EXPECT_KEPT(scf_claim, nodes);
  EXPECT_KEPT(scf_claim, n_nodes);
  EXPECT_KEPT(scf_claim, level);
  EXPECT_KEPT(scf_claim, pattern);
  EXPECT_KEPT(scf_claim, reason);
  EXPECT_KEPT(scf_claim, est_us);
  expect_not_smaller<::scf_claim, frozen_0_9::scf_claim>();
}

TEST(Frozen09, Requirements) {
  EXPECT_KEPT(scf_requirements, h);
  EXPECT_KEPT(scf_requirements, scratch_bytes);
  EXPECT_KEPT(scf_requirements, scratch_align);
  EXPECT_KEPT(scf_requirements, staging_bytes);
  EXPECT_KEPT(scf_requirements, scratch_heap);
  EXPECT_KEPT(scf_requirements, reserved);
  EXPECT_KEPT(scf_requirements, launches);
  EXPECT_KEPT(scf_requirements, barriers);
  expect_not_smaller<::scf_requirements, frozen_0_9::scf_requirements>();
}

TEST(Frozen09, Binding) {
  EXPECT_KEPT(scf_binding, value);
  EXPECT_KEPT(scf_binding, reserved);
  EXPECT_KEPT(scf_binding, slice);
  expect_same_size<::scf_binding, frozen_0_9::scf_binding>();
}

TEST(Frozen09, Bindings) {
  EXPECT_KEPT(scf_bindings, h);
  EXPECT_KEPT(scf_bindings, items);
  EXPECT_KEPT(scf_bindings, n_items);
  EXPECT_KEPT(scf_bindings, scratch);
  expect_not_smaller<::scf_bindings, frozen_0_9::scf_bindings>();
}

TEST(Frozen09, Submit) {
  EXPECT_KEPT(scf_submit, h);
  EXPECT_KEPT(scf_submit, dims);
  EXPECT_KEPT(scf_submit, n_dims);
  EXPECT_KEPT(scf_submit, io);
  EXPECT_KEPT(scf_submit, n_io);
  EXPECT_KEPT(scf_submit, waits);
  EXPECT_KEPT(scf_submit, n_waits);
  EXPECT_KEPT(scf_submit, signals);
  EXPECT_KEPT(scf_submit, n_signals);
  expect_not_smaller<::scf_submit, frozen_0_9::scf_submit>();
}

TEST(Frozen09, MemoryApi) {
  EXPECT_KEPT(scf_memory_api, h);
  EXPECT_KEPT(scf_memory_api, alloc);
  EXPECT_KEPT(scf_memory_api, free);
  EXPECT_KEPT(scf_memory_api, import_host);
  EXPECT_KEPT(scf_memory_api, map);
  EXPECT_KEPT(scf_memory_api, unmap);
  EXPECT_KEPT(scf_memory_api, flush);
  EXPECT_KEPT(scf_memory_api, invalidate);
  EXPECT_KEPT(scf_memory_api, budget);
  expect_not_smaller<::scf_memory_api, frozen_0_9::scf_memory_api>();
}

TEST(Frozen09, LayoutDesc) {
  EXPECT_KEPT(scf_layout_desc, h);
  EXPECT_KEPT(scf_layout_desc, name);
  EXPECT_KEPT(scf_layout_desc, id);
  EXPECT_KEPT(scf_layout_desc, flags);
  EXPECT_KEPT(scf_layout_desc, bytes);
  EXPECT_KEPT(scf_layout_desc, align);
  EXPECT_KEPT(scf_layout_desc, row_granularity);
  expect_not_smaller<::scf_layout_desc, frozen_0_9::scf_layout_desc>();
}

TEST(Frozen09, LayoutApi) {
  EXPECT_KEPT(scf_layout_api, h);
  EXPECT_KEPT(scf_layout_api, candidates);
  EXPECT_KEPT(scf_layout_api, repack);
  EXPECT_KEPT(scf_layout_api, unpack);
  expect_not_smaller<::scf_layout_api, frozen_0_9::scf_layout_api>();
}

TEST(Frozen09, ProgramApi) {
  EXPECT_KEPT(scf_program_api, h);
  EXPECT_KEPT(scf_program_api, propose);
  EXPECT_KEPT(scf_program_api, compile);
  EXPECT_KEPT(scf_program_api, requirements);
  EXPECT_KEPT(scf_program_api, instantiate);
  EXPECT_KEPT(scf_program_api, exec_free);
  EXPECT_KEPT(scf_program_api, program_free);
  expect_not_smaller<::scf_program_api, frozen_0_9::scf_program_api>();
}

TEST(Frozen09, QueueApi) {
  EXPECT_KEPT(scf_queue_api, h);
  EXPECT_KEPT(scf_queue_api, queue_create);
  EXPECT_KEPT(scf_queue_api, queue_free);
  EXPECT_KEPT(scf_queue_api, sema_create);
  EXPECT_KEPT(scf_queue_api, sema_free);
  EXPECT_KEPT(scf_queue_api, sema_query);
  EXPECT_KEPT(scf_queue_api, sema_wait);
  EXPECT_KEPT(scf_queue_api, sema_signal);
  EXPECT_KEPT(scf_queue_api, sema_fail);
  EXPECT_KEPT(scf_queue_api, submit);
  EXPECT_KEPT(scf_queue_api, copy);
  expect_not_smaller<::scf_queue_api, frozen_0_9::scf_queue_api>();
}

TEST(Frozen09, ProfileRecord) {
  EXPECT_KEPT(scf_profile_record, h);
  EXPECT_KEPT(scf_profile_record, first_node);
  EXPECT_KEPT(scf_profile_record, n_nodes);
  EXPECT_KEPT(scf_profile_record, worker);
  EXPECT_KEPT(scf_profile_record, flags);
  EXPECT_KEPT(scf_profile_record, t0);
  EXPECT_KEPT(scf_profile_record, t1);
  EXPECT_KEPT(scf_profile_record, bytes);
  expect_not_smaller<::scf_profile_record, frozen_0_9::scf_profile_record>();
}

TEST(Frozen09, ProfileApi) {
  EXPECT_KEPT(scf_profile_api, h);
  EXPECT_KEPT(scf_profile_api, begin);
  EXPECT_KEPT(scf_profile_api, drain);
  EXPECT_KEPT(scf_profile_api, correlate);
  EXPECT_KEPT(scf_profile_api, end);
  expect_not_smaller<::scf_profile_api, frozen_0_9::scf_profile_api>();
}

TEST(Frozen09, PluginApi) {
  EXPECT_KEPT(scf_plugin_api, h);
  EXPECT_KEPT(scf_plugin_api, open);
  EXPECT_KEPT(scf_plugin_api, close);
  EXPECT_KEPT(scf_plugin_api, enumerate);
  EXPECT_KEPT(scf_plugin_api, device_open);
  EXPECT_KEPT(scf_plugin_api, device_close);
  EXPECT_KEPT(scf_plugin_api, memory);
  EXPECT_KEPT(scf_plugin_api, layout);
  EXPECT_KEPT(scf_plugin_api, program);
  EXPECT_KEPT(scf_plugin_api, queue);
  EXPECT_KEPT(scf_plugin_api, profile);
  EXPECT_KEPT(scf_plugin_api, get_ext);
  expect_not_smaller<::scf_plugin_api, frozen_0_9::scf_plugin_api>();
}

TEST(Frozen09, Plugin) {
  EXPECT_KEPT(scf_plugin, h);
  EXPECT_KEPT(scf_plugin, minor);
  EXPECT_KEPT(scf_plugin, reserved);
  EXPECT_KEPT(scf_plugin, build_flags);
  EXPECT_KEPT(scf_plugin, name);
  EXPECT_KEPT(scf_plugin, vendor);
  EXPECT_KEPT(scf_plugin, version);
  EXPECT_KEPT(scf_plugin, build_id);
  EXPECT_KEPT(scf_plugin, api);
  expect_not_smaller<::scf_plugin, frozen_0_9::scf_plugin>();
}

TEST(Frozen09, Numbers) {
  EXPECT_NUMBER(SCF_KV_INT);
  EXPECT_NUMBER(SCF_KV_FLOAT);
  EXPECT_NUMBER(SCF_KV_STR);
  EXPECT_NUMBER(SCF_OK);
  EXPECT_NUMBER(SCF_CANCELLED);
  EXPECT_NUMBER(SCF_UNKNOWN);
  EXPECT_NUMBER(SCF_INVALID_ARGUMENT);
  EXPECT_NUMBER(SCF_DEADLINE_EXCEEDED);
  EXPECT_NUMBER(SCF_NOT_FOUND);
  EXPECT_NUMBER(SCF_ALREADY_EXISTS);
  EXPECT_NUMBER(SCF_PERMISSION_DENIED);
  EXPECT_NUMBER(SCF_RESOURCE_EXHAUSTED);
  EXPECT_NUMBER(SCF_FAILED_PRECONDITION);
  EXPECT_NUMBER(SCF_ABORTED);
  EXPECT_NUMBER(SCF_OUT_OF_RANGE);
  EXPECT_NUMBER(SCF_UNIMPLEMENTED);
  EXPECT_NUMBER(SCF_INTERNAL);
  EXPECT_NUMBER(SCF_UNAVAILABLE);
  EXPECT_NUMBER(SCF_DATA_LOSS);
  EXPECT_NUMBER(SCF_UNAUTHENTICATED);
  EXPECT_NUMBER(SCF_DEVICE_LOST);
  EXPECT_NUMBER(SCF_INCOMPATIBLE);
  EXPECT_NUMBER(SCF_DOES_NOT_FIT);
  EXPECT_NUMBER(SCF_KIND_HOST);
  EXPECT_NUMBER(SCF_KIND_PLUGIN);
  EXPECT_NUMBER(SCF_KIND_PLUGIN_API);
  EXPECT_NUMBER(SCF_KIND_MEMORY_API);
  EXPECT_NUMBER(SCF_KIND_LAYOUT_API);
  EXPECT_NUMBER(SCF_KIND_PROGRAM_API);
  EXPECT_NUMBER(SCF_KIND_QUEUE_API);
  EXPECT_NUMBER(SCF_KIND_PROFILE_API);
  EXPECT_NUMBER(SCF_KIND_DEVICE_DESC);
  EXPECT_NUMBER(SCF_KIND_HEAP_DESC);
  EXPECT_NUMBER(SCF_KIND_GRAPH_VIEW);
  EXPECT_NUMBER(SCF_KIND_CLAIM);
  EXPECT_NUMBER(SCF_KIND_REQUIREMENTS);
  EXPECT_NUMBER(SCF_KIND_BINDINGS);
  EXPECT_NUMBER(SCF_KIND_SUBMIT);
  EXPECT_NUMBER(SCF_KIND_LAYOUT_DESC);
  EXPECT_NUMBER(SCF_KIND_PROFILE_RECORD);
  EXPECT_NUMBER(SCF_LOG_ERROR);
  EXPECT_NUMBER(SCF_LOG_WARN);
  EXPECT_NUMBER(SCF_LOG_INFO);
  EXPECT_NUMBER(SCF_LOG_DEBUG);
  EXPECT_NUMBER(SCF_LOG_TRACE);
  EXPECT_NUMBER(SCF_BUILD_ASAN);
  EXPECT_NUMBER(SCF_BUILD_TSAN);
  EXPECT_NUMBER(SCF_BUILD_DEBUG);
  EXPECT_NUMBER(SCF_DEVICE_CPU);
  EXPECT_NUMBER(SCF_DEVICE_GPU);
  EXPECT_NUMBER(SCF_DEVICE_IGPU);
  EXPECT_NUMBER(SCF_DEVICE_ACCEL);
  EXPECT_NUMBER(SCF_DEVICE_USABLE);
  EXPECT_NUMBER(SCF_DEVICE_SOFTWARE);
  EXPECT_NUMBER(SCF_DEVICE_UNIFIED_MEMORY);
  EXPECT_NUMBER(SCF_DEVICE_TIMESTAMPS);
  EXPECT_NUMBER(SCF_DEVICE_LAST_RESORT);
  EXPECT_NUMBER(SCF_HEAP_HOST);
  EXPECT_NUMBER(SCF_HEAP_DEVICE_LOCAL);
  EXPECT_NUMBER(SCF_HEAP_MAPPABLE);
  EXPECT_NUMBER(SCF_HEAP_COHERENT);
  EXPECT_NUMBER(SCF_IMPORT_HOST_POINTER);
  EXPECT_NUMBER(SCF_BUFFER_READ_ONLY);
  EXPECT_NUMBER(SCF_DTYPE_F32);
  EXPECT_NUMBER(SCF_DTYPE_F16);
  EXPECT_NUMBER(SCF_DTYPE_Q8_0);
  EXPECT_NUMBER(SCF_DTYPE_Q2_K);
  EXPECT_NUMBER(SCF_DTYPE_Q3_K);
  EXPECT_NUMBER(SCF_DTYPE_Q4_K);
  EXPECT_NUMBER(SCF_DTYPE_Q5_K);
  EXPECT_NUMBER(SCF_DTYPE_Q6_K);
  EXPECT_NUMBER(SCF_DTYPE_IQ2_XXS);
  EXPECT_NUMBER(SCF_DTYPE_I32);
  EXPECT_NUMBER(SCF_DTYPE_BF16);
  EXPECT_NUMBER(SCF_DTYPE_MXFP4);
  EXPECT_NUMBER(SCF_ROLE_INPUT);
  EXPECT_NUMBER(SCF_ROLE_OUTPUT);
  EXPECT_NUMBER(SCF_ROLE_WEIGHT);
  EXPECT_NUMBER(SCF_ROLE_STATE);
  EXPECT_NUMBER(SCF_ROLE_TEMP);
  EXPECT_NUMBER(SCF_CLAIM_NO);
  EXPECT_NUMBER(SCF_CLAIM_SLOW);
  EXPECT_NUMBER(SCF_CLAIM_OK);
  EXPECT_NUMBER(SCF_CLAIM_PREFERRED);
  EXPECT_NUMBER(SCF_PROFILE_OFF);
  EXPECT_NUMBER(SCF_PROFILE_PROGRAM);
  EXPECT_NUMBER(SCF_PROFILE_GROUP);
  EXPECT_NUMBER(SCF_PROFILE_NODE);
}

} // namespace
