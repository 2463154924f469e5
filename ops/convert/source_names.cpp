#include "ops/convert/source_names.hpp"

#include "core/base/status.hpp"

#include <array>
#include <span>
#include <utility>

namespace seacliff::convert {
namespace {

using Pair = std::pair<std::string_view, std::string_view>; // canonical, checkpoint

constexpr std::array k_global{
    Pair{"token_embd.weight", "embed.weight"},     Pair{"output.weight", "head.weight"},
    Pair{"output_norm.weight", "norm.weight"},     Pair{"output_hc_fn.weight", "hc_head_fn"},
    Pair{"output_hc_base.weight", "hc_head_base"}, Pair{"output_hc_scale.weight", "hc_head_scale"},
};

// Below "blk.N." and "layers.N.".
constexpr std::array k_layer{
    Pair{"hc_attn_fn.weight", "hc_attn_fn"},
    Pair{"hc_attn_base.weight", "hc_attn_base"},
    Pair{"hc_attn_scale.weight", "hc_attn_scale"},
    Pair{"hc_ffn_fn.weight", "hc_ffn_fn"},
    Pair{"hc_ffn_base.weight", "hc_ffn_base"},
    Pair{"hc_ffn_scale.weight", "hc_ffn_scale"},
    Pair{"attn_norm.weight", "attn_norm.weight"},
    Pair{"ffn_norm.weight", "ffn_norm.weight"},
    Pair{"attn_q_a.weight", "attn.wq_a.weight"},
    Pair{"attn_q_a_norm.weight", "attn.q_norm.weight"},
    Pair{"attn_q_b.weight", "attn.wq_b.weight"},
    Pair{"attn_kv.weight", "attn.wkv.weight"},
    Pair{"attn_kv_a_norm.weight", "attn.kv_norm.weight"},
    Pair{"attn_sinks.weight", "attn.attn_sink"},
    Pair{"attn_output_a.weight", "attn.wo_a.weight"},
    Pair{"attn_output_b.weight", "attn.wo_b.weight"},
    Pair{"attn_compressor_kv.weight", "attn.compressor.wkv.weight"},
    Pair{"attn_compressor_gate.weight", "attn.compressor.wgate.weight"},
    Pair{"attn_compressor_ape.weight", "attn.compressor.ape"},
    Pair{"attn_compressor_norm.weight", "attn.compressor.norm.weight"},
    Pair{"indexer.attn_q_b.weight", "attn.indexer.wq_b.weight"},
    Pair{"indexer.proj.weight", "attn.indexer.weights_proj.weight"},
    Pair{"indexer_compressor_kv.weight", "attn.indexer.compressor.wkv.weight"},
    Pair{"indexer_compressor_gate.weight", "attn.indexer.compressor.wgate.weight"},
    Pair{"indexer_compressor_ape.weight", "attn.indexer.compressor.ape"},
    Pair{"indexer_compressor_norm.weight", "attn.indexer.compressor.norm.weight"},
    Pair{"ffn_gate_inp.weight", "ffn.gate.weight"},
    Pair{"exp_probs_b.bias", "ffn.gate.bias"},
    Pair{"ffn_gate_tid2eid.weight", "ffn.gate.tid2eid"},
    Pair{"ffn_gate_shexp.weight", "ffn.shared_experts.w1.weight"},
    Pair{"ffn_up_shexp.weight", "ffn.shared_experts.w3.weight"},
    Pair{"ffn_down_shexp.weight", "ffn.shared_experts.w2.weight"},
};

constexpr std::array k_experts{Pair{"ffn_gate_exps.weight", "w1"}, Pair{"ffn_up_exps.weight", "w3"},
                               Pair{"ffn_down_exps.weight", "w2"}};

std::string_view look_up(std::span<const Pair> table, std::string_view canonical) {
  for (const Pair& pair : table)
    if (pair.first == canonical) return pair.second;
  return {};
}

} // namespace

std::vector<std::string> source_names(std::string_view canonical, std::int64_t n_experts) {
  if (const auto name = look_up(k_global, canonical); !name.empty()) return {std::string(name)};
  const std::size_t dot = canonical.starts_with("blk.") ? canonical.find('.', 4) : std::string_view::npos;
  if (dot != std::string_view::npos) {
    const std::string_view layer = canonical.substr(4, dot - 4), rest = canonical.substr(dot + 1);
    if (const auto name = look_up(k_layer, rest); !name.empty()) return {fmt::format("layers.{}.{}", layer, name)};
    if (const auto part = look_up(k_experts, rest); !part.empty()) {
      std::vector<std::string> names;
      for (std::int64_t x = 0; x < n_experts; ++x)
        names.push_back(fmt::format("layers.{}.ffn.experts.{}.{}.weight", layer, x, part));
      return names;
    }
  }
  throw Error(Code::internal, fmt::format("no checkpoint tensor is known for {}", canonical));
}

} // namespace seacliff::convert
