// Which tensors a model has, what they are called by whom, and whether a file has them all.
#include "core/model/gguf_format.hpp"
#include "core/model/hparams.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace seacliff {
namespace {

using Dims = std::vector<std::int64_t>;

struct Alias {
  std::string_view canonical, other;
};

// Names without their "blk.N." prefix. Source: the converters of the engines that read these models.
constexpr std::array k_aliases{
    Alias{"output_hc_fn.weight", "hc_head_fn.weight"},
    Alias{"output_hc_base.weight", "hc_head_base.weight"},
    Alias{"output_hc_scale.weight", "hc_head_scale.weight"},
    Alias{"output_hc_fn.weight", "hc_head_fn"},
    Alias{"output_hc_base.weight", "hc_head_base"},
    Alias{"output_hc_scale.weight", "hc_head_scale"},
    Alias{"output_hc_fn.weight", "output_hc_fn"},
    Alias{"output_hc_base.weight", "output_hc_base"},
    Alias{"output_hc_scale.weight", "output_hc_scale"},
    Alias{"hc_attn_fn.weight", "hc_attn_fn"},
    Alias{"hc_attn_base.weight", "hc_attn_base"},
    Alias{"hc_attn_scale.weight", "hc_attn_scale"},
    Alias{"hc_ffn_fn.weight", "hc_ffn_fn"},
    Alias{"hc_ffn_base.weight", "hc_ffn_base"},
    Alias{"hc_ffn_scale.weight", "hc_ffn_scale"},
    Alias{"attn_kv.weight", "attn_kv_latent.weight"},
    Alias{"attn_kv.weight", "attn_kv_a_mqa.weight"},
    Alias{"attn_kv_a_norm.weight", "attn_kv_norm.weight"},
    Alias{"attn_output_a.weight", "attn_out_a.weight"},
    Alias{"attn_output_b.weight", "attn_out_b.weight"},
    Alias{"attn_compressor_kv.weight", "attn_compress_kv.weight"},
    Alias{"attn_compressor_gate.weight", "attn_compress_gate.weight"},
    Alias{"attn_compressor_ape.weight", "attn_compress_ape.weight"},
    Alias{"attn_compressor_norm.weight", "attn_compress_norm.weight"},
    Alias{"indexer_compressor_kv.weight", "indexer.compress_kv.weight"},
    Alias{"indexer_compressor_gate.weight", "indexer.compress_gate.weight"},
    Alias{"indexer_compressor_ape.weight", "indexer.compress_ape.weight"},
    Alias{"indexer_compressor_norm.weight", "indexer.compress_norm.weight"},
    Alias{"indexer_compressor_kv.weight", "indexer.compressor_kv.weight"},
    Alias{"indexer_compressor_gate.weight", "indexer.compressor_gate.weight"},
    Alias{"indexer_compressor_ape.weight", "indexer.compressor_ape.weight"},
    Alias{"indexer_compressor_norm.weight", "indexer.compressor_norm.weight"},
    Alias{"exp_probs_b.bias", "exp_probs_b.weight"},
    Alias{"exp_probs_b.bias", "exp_probs_b"},
    Alias{"ffn_gate_tid2eid.weight", "ffn_gate_tid2eid"},
};

/// "blk.12.attn_kv.weight" -> "blk.12." and the rest; no prefix for the global tensors.
std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  if (!name.starts_with("blk.")) return {{}, name};
  const std::size_t dot = name.find('.', 4);
  return dot == std::string_view::npos ? std::pair{std::string_view{}, name}
                                       : std::pair{name.substr(0, dot + 1), name.substr(dot + 1)};
}

std::string shape_text(std::span<const std::int64_t> dims) {
  std::string out;
  for (const std::int64_t n : dims) out += fmt::format("{}{}", out.empty() ? "" : " x ", n);
  return out;
}

std::span<const std::int64_t> without_leading_ones(std::span<const std::int64_t> dims) {
  while (dims.size() > 1 && dims.front() == 1) dims = dims.subspan(1);
  return dims;
}

void check_tensor(const GgufFile& file, const TensorSpec& spec, const GgufTensor& found) {
  const auto wanted = without_leading_ones(spec.dims);
  if (!std::equal(wanted.begin(), wanted.end(), found.dims.begin(), found.dims.end()))
    throw Error(Code::invalid_argument,
                fmt::format("{}: tensor {} is {}, must be {} by the hyper-parameters", file.name(),
                            gguf::quote(found.name), shape_text(found.dims), shape_text(wanted)),
                "the file is damaged or was converted wrongly");
  if ((found.dtype == DType::i32) != spec.integer)
    throw Error(Code::invalid_argument,
                fmt::format("{}: tensor {} has the type {}, must be {}", file.name(), gguf::quote(found.name),
                            dtype_info(found.dtype).name, spec.integer ? "i32" : "a floating or quantised one"),
                "convert the model again");
}

/// A kernel would follow a wrong entry out of the weights.
void check_hash_table(const GgufFile& file, const GgufTensor& table, std::int64_t n_experts) {
  for (std::uint64_t at = 0; at + sizeof(std::int32_t) <= table.bytes; at += sizeof(std::int32_t)) {
    std::int32_t expert;
    std::memcpy(&expert, table.data + at, sizeof(expert));
    if (expert < 0 || expert >= n_experts)
      throw Error(Code::data_loss,
                  fmt::format("{}: tensor {} routes to expert {}, the model has {}", file.name(),
                              gguf::quote(table.name), expert, n_experts),
                  "the file is damaged: fetch or convert it again");
  }
}

class SpecList {
public:
  explicit SpecList(const HParams& hp) : hp_(hp) {}

  std::vector<TensorSpec> all() {
    if (hp_.ratios.size() != static_cast<std::size_t>(hp_.n_layers))
      throw Error(Code::invalid_argument, "the hyper-parameters have no compression ratio for each layer");
    globals();
    for (std::int64_t layer = 0; layer < hp_.n_layers; ++layer) {
      prefix_ = fmt::format("blk.{}.", layer);
      hyper_connections();
      attention();
      router_and_shared(layer);
      compressor(hp_.ratios[static_cast<std::size_t>(layer)]);
      experts();
    }
    return std::move(out_);
  }

private:
  void add(std::string_view name, Dims dims, bool integer = false) {
    out_.push_back({prefix_ + std::string(name), std::move(dims), integer});
  }
  void globals();
  void hyper_connections();
  void attention();
  void compressor(std::int64_t ratio);
  void router_and_shared(std::int64_t layer);
  void experts();

  const HParams& hp_;
  std::string prefix_;
  std::vector<TensorSpec> out_;
};

void SpecList::globals() {
  add("token_embd.weight", {hp_.n_vocab, hp_.n_embd});
  add("output.weight", {hp_.n_vocab, hp_.n_embd});
  add("output_norm.weight", {hp_.n_embd});
  add("output_hc_fn.weight", {hp_.n_streams, hp_.n_streams * hp_.n_embd});
  add("output_hc_base.weight", {hp_.n_streams});
  add("output_hc_scale.weight", {1});
}

void SpecList::hyper_connections() {
  const std::int64_t n = hp_.n_streams, mixes = 2 * n + n * n;
  for (const std::string site : {"hc_attn_", "hc_ffn_"}) {
    add(site + "fn.weight", {mixes, n * hp_.n_embd});
    add(site + "base.weight", {mixes});
    add(site + "scale.weight", {3});
  }
}

void SpecList::attention() {
  const std::int64_t width = hp_.n_heads * hp_.head_dim, low = hp_.o_groups * hp_.o_lora_rank;
  add("attn_norm.weight", {hp_.n_embd});
  add("ffn_norm.weight", {hp_.n_embd});
  add("attn_q_a.weight", {hp_.q_lora_rank, hp_.n_embd});
  add("attn_q_a_norm.weight", {hp_.q_lora_rank});
  add("attn_q_b.weight", {width, hp_.q_lora_rank});
  add("attn_kv.weight", {hp_.head_dim, hp_.n_embd});
  add("attn_kv_a_norm.weight", {hp_.head_dim});
  add("attn_sinks.weight", {hp_.n_heads});
  add("attn_output_a.weight", {low, width / hp_.o_groups});
  add("attn_output_b.weight", {hp_.n_embd, low});
}

void SpecList::router_and_shared(std::int64_t layer) {
  add("ffn_gate_inp.weight", {hp_.n_experts, hp_.n_embd});
  if (hp_.hash_routed(layer))
    add("ffn_gate_tid2eid.weight", {hp_.n_vocab, hp_.n_experts_used}, true);
  else
    add("exp_probs_b.bias", {hp_.n_experts});
  const std::int64_t ff = hp_.d_ff * hp_.n_experts_shared;
  add("ffn_gate_shexp.weight", {ff, hp_.n_embd});
  add("ffn_up_shexp.weight", {ff, hp_.n_embd});
  add("ffn_down_shexp.weight", {hp_.n_embd, ff});
}

void SpecList::compressor(std::int64_t ratio) {
  if (ratio == 0) return;
  const std::int64_t overlap = ratio == 4 ? 2 : 1; // ratio 4 pools overlapping windows
  const auto pool = [&](const std::string& stem, std::int64_t dim) {
    add(stem + "kv.weight", {overlap * dim, hp_.n_embd});
    add(stem + "gate.weight", {overlap * dim, hp_.n_embd});
    add(stem + "ape.weight", {ratio, overlap * dim});
    add(stem + "norm.weight", {dim});
  };
  if (ratio == 4) {
    add("indexer.attn_q_b.weight", {hp_.index_heads * hp_.index_dim, hp_.q_lora_rank});
    add("indexer.proj.weight", {hp_.index_heads, hp_.n_embd});
  }
  pool("attn_compressor_", hp_.head_dim);
  if (ratio == 4) pool("indexer_compressor_", hp_.index_dim);
}

void SpecList::experts() {
  add("ffn_gate_exps.weight", {hp_.n_experts, hp_.d_ff, hp_.n_embd});
  add("ffn_up_exps.weight", {hp_.n_experts, hp_.d_ff, hp_.n_embd});
  add("ffn_down_exps.weight", {hp_.n_experts, hp_.n_embd, hp_.d_ff});
}

} // namespace

std::vector<TensorSpec> expected_tensors(const HParams& hp) { return SpecList(hp).all(); }

const GgufTensor* find_tensor(const GgufFile& file, std::string_view canonical) {
  if (const GgufTensor* found = file.find(canonical)) return found;
  const auto [prefix, rest] = split_name(canonical);
  for (const Alias& alias : k_aliases)
    if (alias.canonical == rest)
      if (const GgufTensor* found = file.find(std::string(prefix) + std::string(alias.other))) return found;
  return nullptr;
}

TensorDirectory::TensorDirectory(const GgufFile& file, const HParams& hp) {
  std::string missing;
  std::size_t n_missing = 0;
  for (const TensorSpec& spec : expected_tensors(hp)) {
    const GgufTensor* found = find_tensor(file, spec.name);
    if (!found) {
      constexpr std::size_t k_named = 3;
      if (++n_missing <= k_named) missing += (missing.empty() ? "" : ", ") + spec.name;
      continue;
    }
    check_tensor(file, spec, *found);
    if (spec.integer) check_hash_table(file, *found, hp.n_experts);
    by_name_.emplace(spec.name, found);
  }
  if (n_missing != 0)
    throw Error(Code::not_found,
                fmt::format("{}: {} of the model's tensors {} missing: {}{}", file.name(), n_missing,
                            n_missing == 1 ? "is" : "are", missing, n_missing > 3 ? ", ..." : ""),
                "the file is incomplete or was converted by an unknown tool");
}

const GgufTensor* TensorDirectory::find(std::string_view canonical) const {
  const auto it = by_name_.find(canonical);
  return it == by_name_.end() ? nullptr : it->second;
}

const GgufTensor& TensorDirectory::global(std::string_view name) const {
  const GgufTensor* found = find(name);
  if (!found) throw Error(Code::not_found, fmt::format("the model has no tensor {}", gguf::quote(name)));
  return *found;
}

const GgufTensor& TensorDirectory::layer(std::int64_t layer, std::string_view name) const {
  return global(fmt::format("blk.{}.{}", layer, name));
}

} // namespace seacliff
