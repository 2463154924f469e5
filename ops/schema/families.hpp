// One function per op, one file per family. catalogue() in schema.cpp puts them in the order of docs/ops.md.
#pragma once

#include "ops/schema/schema.hpp"

namespace seacliff::ops {

// linear.cpp
Schema gather_rows_schema();
Schema matmul_schema();
Schema matmul_grouped_schema();
Schema matmul_id_schema();

// norm_rope.cpp
Schema rms_norm_schema();
Schema rope_tail_schema();
Schema kv_round_schema();
Schema index_round_schema();

// elementwise.cpp
Schema add_schema();
Schema swiglu_schema();
Schema sum_slots_schema();
Schema sqrt_softplus_schema();

// hyper.cpp
Schema repeat_streams_schema();
Schema hc_split_schema();
Schema hc_gate_schema();
Schema stream_mix_schema();
Schema stream_add_schema();
Schema hc_pre_schema();
Schema hc_post_schema();
Schema hc_head_schema();

// compress.cpp
Schema compress_pool_schema();
Schema cache_append_schema();
Schema compress_schema();

// attention.cpp
Schema ring_write_schema();
Schema gather_kv_schema();
Schema attn_scores_schema();
Schema softmax_sink_schema();
Schema attn_mix_schema();
Schema attention_mixed_schema();
Schema attn_out_grouped_schema();

// index.cpp
Schema index_score_schema();
Schema top_k_rows_schema();
Schema index_select_schema();

// router_moe.cpp
Schema top_k_schema();
Schema route_weights_schema();
Schema route_schema();
Schema moe_experts_schema();
Schema shared_expert_schema();

} // namespace seacliff::ops
