// Hyper-parameters from GGUF metadata, as all known producers write it.
#include "core/model/gguf_format.hpp"
#include "core/model/hparams.hpp"
#include "core/model/hparams_fields.hpp"

#include <fmt/format.h>

#include <set>

namespace seacliff {
namespace {

using namespace hparams;

class MetadataReader {
public:
  explicit MetadataReader(const GgufFile& file) : file_(file) {}

  HParams read();

private:
  static std::string key(std::string_view name) { return std::string(k_architecture) + "." + std::string(name); }
  template <typename... Args>
  [[noreturn]] void fail(Code code, std::string mend, fmt::format_string<Args...> f, Args&&... args) const {
    throw Error(code, file_.name() + ": " + fmt::format(f, std::forward<Args>(args)...), std::move(mend));
  }
  void architecture() const;
  void require_int(std::string_view name, std::int64_t wanted) const;
  void variants() const;
  void numbers();
  void main_layers();
  void from_shapes();
  void defaults();
  void ratios();
  std::vector<double> clamps(std::string_view name, std::vector<double> absent) const;
  /// True when the key was absent and is now provided.
  bool provide(std::string_view name) { return missing_.erase(name) != 0; }
  const GgufTensor* matrix(std::string_view name) const {
    const GgufTensor* tensor = find_tensor(file_, name);
    return tensor && tensor->dims.size() == 2 ? tensor : nullptr;
  }
  bool present(std::int64_t layer, std::string_view name) const {
    return find_tensor(file_, fmt::format("blk.{}.{}", layer, name)) != nullptr;
  }

  const GgufFile& file_;
  HParams hp_;
  std::set<std::string_view> missing_;
};

void MetadataReader::architecture() const {
  const std::string* found = file_.get_string("general.architecture");
  if (!found) fail(Code::invalid_argument, "give the GGUF of a DeepSeek-V4 model", "general.architecture is missing");
  if (*found != k_architecture)
    fail(Code::unimplemented, "give the GGUF of a DeepSeek-V4 model", "the architecture is {}, not \"{}\"",
         gguf::quote(*found), k_architecture);
  if (file_.tensors().empty() || file_.find("blk.0.attn_norm.weight")) return;
  for (const GgufTensor& tensor : file_.tensors())
    if (tensor.name.starts_with("mtp.0.") || tensor.name.find(".nextn.") != std::string::npos)
      fail(Code::failed_precondition, "give the main model's file",
           "holds only the next-token predictor (MTP), not a model");
}

void MetadataReader::require_int(std::string_view name, std::int64_t wanted) const {
  const std::optional<std::int64_t> value = file_.get_int(key(name));
  if (value && *value != wanted)
    fail(Code::unimplemented, "only DeepSeek-V4's own variant is supported", "{} is {}, must be {}", key(name), *value,
         wanted);
}

/// Keys that select another architecture variant when they differ.
void MetadataReader::variants() const {
  require_int("attention.head_count_kv", 1);
  require_int("expert_gating_func", k_gating_sqrt_softplus);
  require_int("leading_dense_block_count", 0);
  for (const std::string_view name : {"expert_group_count", "expert_group_used_count"})
    if (file_.get_int(key(name)).value_or(0) != 1) require_int(name, 0); // one group is no grouping
  if (hp_.head_dim != 0) require_int("attention.value_length", hp_.head_dim);
  if (!file_.get_bool(key("expert_weights_norm")).value_or(true))
    fail(Code::unimplemented, "only DeepSeek-V4's own variant is supported", "{} is false, must be true",
         key("expert_weights_norm"));
}

void MetadataReader::numbers() {
  for (const IntField& field : k_int_fields) {
    if (const auto value = file_.get_int(key(field.gguf)))
      hp_.*field.member = *value;
    else
      missing_.insert(field.gguf);
  }
  for (const FloatField& field : k_float_fields) {
    if (const auto value = file_.get_float(key(field.gguf)))
      hp_.*field.member = *value;
    else
      missing_.insert(field.gguf);
  }
}

/// block_count counts the predictor's block only where that block is in the file.
void MetadataReader::main_layers() {
  const std::int64_t extra = file_.get_int(key("nextn_predict_layers")).value_or(0);
  if (extra <= 0 || extra >= hp_.n_layers) return;
  if (present(hp_.n_layers - extra, "nextn.eh_proj.weight")) hp_.n_layers -= extra;
}

void MetadataReader::from_shapes() {
  if (const auto* tokens = file_.has("tokenizer.ggml.tokens") ? file_.get_strings("tokenizer.ggml.tokens") : nullptr)
    if (provide("vocab_size")) hp_.n_vocab = static_cast<std::int64_t>(tokens->size());
  if (const GgufTensor* embd = matrix("token_embd.weight"); embd && provide("vocab_size")) hp_.n_vocab = embd->dims[0];

  const GgufTensor* out_a = matrix("blk.0.attn_output_a.weight"); // [G*OL, H*D/G]
  const bool heads_known = !missing_.contains("attention.head_count") && !missing_.contains("attention.key_length");
  std::int64_t width = 0;
  if (out_a && heads_known && !__builtin_mul_overflow(hp_.n_heads, hp_.head_dim, &width) && width % out_a->dims[1] == 0)
    if (provide("attention.output_group_count")) hp_.o_groups = width / out_a->dims[1];
  const GgufTensor* out_b = matrix("blk.0.attn_output_b.weight"); // [E, G*OL]
  if (out_b && hp_.o_groups > 0 && out_b->dims[1] % hp_.o_groups == 0)
    if (provide("attention.output_lora_rank")) hp_.o_lora_rank = out_b->dims[1] / hp_.o_groups;

  if (const GgufTensor* table = matrix("blk.0.ffn_gate_tid2eid.weight"); table && provide("expert_used_count"))
    hp_.n_experts_used = table->dims[1];
  if (const GgufTensor* base = find_tensor(file_, "output_hc_base.weight"); base && base->dims.size() == 1)
    if (provide("hyper_connection.count")) hp_.n_streams = base->dims[0];
}

void MetadataReader::defaults() {
  if (provide("attention.compress_rope_freq_base"))
    hp_.compress_rope_base = file_.get_float(key("rope.freq_base_swa")).value_or(160000);
  if (provide("hyper_connection.sinkhorn_iterations")) hp_.sinkhorn_iters = 20;
  if (provide("hyper_connection.epsilon")) hp_.hc_eps = 1e-6;
  if (provide("rope.scaling.yarn_beta_fast")) hp_.yarn_beta_fast = 32;
  if (provide("rope.scaling.yarn_beta_slow")) hp_.yarn_beta_slow = 1;
  const bool scale_known = hp_.n_experts == 256 || hp_.n_experts == 384; // Flash, Pro
  if (scale_known && provide("expert_weights_scale")) hp_.expert_scale = hp_.n_experts == 256 ? 1.5 : 2.5;

  const std::string* type = file_.get_string(key("rope.scaling.type"));
  if (type && *type == "none") {
    hp_.yarn_factor = 1; // interpolates by nothing, whatever the other values
    missing_.erase("rope.scaling.factor");
    if (provide("rope.scaling.original_context_length")) hp_.yarn_orig_ctx = static_cast<double>(hp_.max_context);
  } else if (type && *type != "yarn") {
    fail(Code::unimplemented, "only \"yarn\" and \"none\" are supported", "{} is {}", key("rope.scaling.type"),
         gguf::quote(*type));
  }
}

void MetadataReader::ratios() {
  const std::string name = key("attention.compress_ratios");
  const auto layers = static_cast<std::size_t>(hp_.n_layers);
  if (const auto* list = file_.get_ints(name)) {
    if (list->size() < layers)
      fail(Code::invalid_argument, "the file is damaged", "{} has {} entries for {} layers", name, list->size(),
           layers);
    hp_.ratios.assign(list->begin(), list->begin() + hp_.n_layers); // further ones belong to the predictor
    return;
  }
  for (std::int64_t layer = 0; layer < hp_.n_layers; ++layer)
    hp_.ratios.push_back(present(layer, "indexer.attn_q_b.weight")     ? 4
                         : present(layer, "attn_compressor_kv.weight") ? 128
                                                                       : 0);
}

/// One limit per layer, or one for all.
std::vector<double> MetadataReader::clamps(std::string_view name, std::vector<double> absent) const {
  std::optional<std::vector<double>> list = file_.get_floats(key(name));
  if (!list) return absent;
  const auto layers = static_cast<std::size_t>(hp_.n_layers);
  if (list->size() == 1) return std::vector<double>(layers, list->front());
  if (list->size() < layers)
    fail(Code::invalid_argument, "the file is damaged", "{} has {} entries for {} layers", key(name), list->size(),
         layers);
  list->resize(layers);
  return std::move(*list);
}

HParams MetadataReader::read() {
  architecture();
  if (const std::string* name = file_.get_string("general.name")) hp_.name = *name;
  numbers();
  variants();
  from_shapes();
  defaults();
  if (hp_.n_layers < 1 || hp_.n_layers > k_max_layers) { // the lists below are as long as this says
    if (!missing_.contains("block_count"))
      fail(Code::invalid_argument, "the file is damaged", "{} is {}, must be between 1 and {}", key("block_count"),
           hp_.n_layers, k_max_layers);
  } else {
    main_layers();
    ratios();
    hp_.clamp_exp = clamps("swiglu_clamp_exp", std::vector<double>(static_cast<std::size_t>(hp_.n_layers), 10.0));
    hp_.clamp_shared = clamps("swiglu_clamp_shexp", hp_.clamp_exp);
  }
  if (!hp_.has_indexer())
    for (const IntField& field : k_int_fields)
      if (field.indexer) provide(field.gguf);

  std::vector<std::string> names;
  for (const std::string_view name : missing_) names.push_back(key(name));
  require_none_missing(names, file_.name());
  check(hp_, Spelling::gguf, file_.name());
  return std::move(hp_);
}

} // namespace

HParams hparams_from_gguf(const GgufFile& file) { return MetadataReader(file).read(); }

} // namespace seacliff
