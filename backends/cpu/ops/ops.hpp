// The operations: each has claim_OP (pure, from the node alone) and make_OP. A new one is a line here and a kernel
// class in one of the files of this folder.
#pragma once

#include "isa.hpp"

#include <seacliff/sdk/kernel.hpp>

#include <memory>

#define SCF_CPU_OPS(X)                                                                                                 \
  X(gather_rows)                                                                                                       \
  X(matmul)                                                                                                            \
  X(matmul_grouped)                                                                                                    \
  X(matmul_id)                                                                                                         \
  X(rms_norm)                                                                                                          \
  X(rope_tail)                                                                                                         \
  X(kv_round)                                                                                                          \
  X(index_round)                                                                                                       \
  X(add)                                                                                                               \
  X(swiglu)                                                                                                            \
  X(sum_slots)                                                                                                         \
  X(repeat_streams)                                                                                                    \
  X(hc_split)                                                                                                          \
  X(hc_gate)                                                                                                           \
  X(stream_mix)                                                                                                        \
  X(stream_add)                                                                                                        \
  X(sqrt_softplus)                                                                                                     \
  X(top_k)                                                                                                             \
  X(route_weights)                                                                                                     \
  X(compress_pool)                                                                                                     \
  X(cache_append)                                                                                                      \
  X(ring_write)                                                                                                        \
  X(gather_kv)                                                                                                         \
  X(attn_scores)                                                                                                       \
  X(softmax_sink)                                                                                                      \
  X(attn_mix)                                                                                                          \
  X(index_score)                                                                                                       \
  X(top_k_rows)                                                                                                        \
  X(hc_pre)                                                                                                            \
  X(hc_post)                                                                                                           \
  X(hc_head)                                                                                                           \
  X(compress)                                                                                                          \
  X(index_select)                                                                                                      \
  X(attention_mixed)                                                                                                   \
  X(attn_out_grouped)                                                                                                  \
  X(route)                                                                                                             \
  X(moe_experts)                                                                                                       \
  X(shared_expert)

namespace seacliff::cpu {

#define SCF_CPU_DECLARE_OP(op)                                                                                         \
  sdk::Claim claim_##op(const sdk::NodeView& node);                                                                    \
  std::unique_ptr<sdk::Kernel> make_##op(const Isa& isa, const sdk::NodeView& node);
SCF_CPU_OPS(SCF_CPU_DECLARE_OP)
#undef SCF_CPU_DECLARE_OP

/// (x * scale) * w with scale = 1 / sqrt(mean of squares + eps); `w` may be nullptr.
void rms_norm_row(const Isa& isa, const float* x, const float* w, float eps, float* out, std::int64_t n);

} // namespace seacliff::cpu
