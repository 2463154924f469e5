// One table of hyper-parameters for both spellings, so that reading, checking and writing cannot disagree.
#pragma once

#include "core/model/hparams.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace seacliff::hparams {

inline constexpr std::string_view k_architecture = "deepseek4";
inline constexpr std::int64_t k_gating_sqrt_softplus = 4;

/// GGUF keys stand without their prefix "deepseek4."; a dot in a config key means a nested object.
struct IntField {
  std::int64_t HParams::*member;
  std::string_view gguf, config;
  std::int64_t low, high; // both allowed
  bool indexer = false;   // has a meaning only where some ratio is 4
};

struct FloatField {
  double HParams::*member;
  std::string_view gguf, config;
  double low, high; // both allowed
};

inline constexpr std::int64_t k_max_layers = 4096;

inline constexpr std::array k_int_fields{
    IntField{&HParams::n_layers, "block_count", "num_hidden_layers", 1, k_max_layers},
    IntField{&HParams::max_context, "context_length", "max_position_embeddings", 1, (std::int64_t{1} << 31) - 1},
    IntField{&HParams::n_embd, "embedding_length", "hidden_size", 1, 1 << 20},
    IntField{&HParams::n_vocab, "vocab_size", "vocab_size", 1, 1 << 24},
    IntField{&HParams::n_heads, "attention.head_count", "num_attention_heads", 1, 1 << 14},
    IntField{&HParams::head_dim, "attention.key_length", "head_dim", 2, 1 << 14},
    IntField{&HParams::rope_dim, "rope.dimension_count", "qk_rope_head_dim", 2, 1 << 14},
    IntField{&HParams::q_lora_rank, "attention.q_lora_rank", "q_lora_rank", 1, 1 << 20},
    IntField{&HParams::o_lora_rank, "attention.output_lora_rank", "o_lora_rank", 1, 1 << 20},
    IntField{&HParams::o_groups, "attention.output_group_count", "o_groups", 1, 1 << 14},
    IntField{&HParams::window, "attention.sliding_window", "sliding_window", 1, 1 << 24},
    IntField{&HParams::index_heads, "attention.indexer.head_count", "index_n_heads", 1, 1 << 14, true},
    IntField{&HParams::index_dim, "attention.indexer.key_length", "index_head_dim", 2, 1 << 14, true},
    IntField{&HParams::index_top_k, "attention.indexer.top_k", "index_topk", 1, 1 << 24, true},
    IntField{&HParams::n_experts, "expert_count", "n_routed_experts", 1, 1 << 16},
    IntField{&HParams::n_experts_used, "expert_used_count", "num_experts_per_tok", 1, 1 << 10},
    IntField{&HParams::n_experts_shared, "expert_shared_count", "n_shared_experts", 1, 1 << 10},
    IntField{&HParams::d_ff, "expert_feed_forward_length", "moe_intermediate_size", 1, 1 << 20},
    IntField{&HParams::n_hash_layers, "hash_layer_count", "num_hash_layers", 0, k_max_layers},
    IntField{&HParams::n_streams, "hyper_connection.count", "hc_mult", 1, 64},
    IntField{&HParams::sinkhorn_iters, "hyper_connection.sinkhorn_iterations", "hc_sinkhorn_iters", 1, 1000},
};

inline constexpr std::array k_float_fields{
    FloatField{&HParams::rms_eps, "attention.layer_norm_rms_epsilon", "rms_norm_eps", 1e-30, 1},
    FloatField{&HParams::hc_eps, "hyper_connection.epsilon", "hc_eps", 1e-30, 1},
    FloatField{&HParams::expert_scale, "expert_weights_scale", "routed_scaling_factor", 1e-6, 1e6},
    FloatField{&HParams::rope_base, "rope.freq_base", "rope_theta", 1.001, 1e12},
    FloatField{&HParams::compress_rope_base, "attention.compress_rope_freq_base", "compress_rope_theta", 1.001, 1e12},
    FloatField{&HParams::yarn_factor, "rope.scaling.factor", "rope_scaling.factor", 1, 1e6},
    FloatField{&HParams::yarn_orig_ctx, "rope.scaling.original_context_length",
               "rope_scaling.original_max_position_embeddings", 1, 2147483647.0},
    FloatField{&HParams::yarn_beta_fast, "rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast", 1e-6, 1e6},
    FloatField{&HParams::yarn_beta_slow, "rope.scaling.yarn_beta_slow", "rope_scaling.beta_slow", 1e-6, 1e6},
};

enum class Spelling { gguf, config };

template <typename Field> std::string key_of(const Field& field, Spelling spelling) {
  return spelling == Spelling::config ? std::string(field.config)
                                      : std::string(k_architecture) + "." + std::string(field.gguf);
}

/// Throws Error(invalid_argument) "WHERE: these keys are missing: ..." unless the list is empty.
void require_none_missing(std::span<const std::string> missing, std::string_view where);

/// check_hparams with the key names of the source.
void check(const HParams& hp, Spelling spelling, std::string_view where);

} // namespace seacliff::hparams
