// Hyper-parameters of a DeepSeek-V4 model and the directory of its tensors, for any size. Names follow the V4 paper and
// the released config: nothing here is hard-wired to Flash or Pro.
#pragma once

#include "core/model/gguf.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

struct HParams {
  std::string name;                // general.name
  std::int64_t n_layers = 0;       // main layers (MTP excluded)
  std::int64_t n_embd = 0;         // E
  std::int64_t n_vocab = 0;        // V
  std::int64_t n_heads = 0;        // H query heads; one shared KV head
  std::int64_t head_dim = 0;       // D
  std::int64_t rope_dim = 0;       // R: last R dims of a head rotate
  std::int64_t q_lora_rank = 0;    // QL
  std::int64_t o_groups = 0;       // G
  std::int64_t o_lora_rank = 0;    // OL per group
  std::int64_t n_experts = 0;      // X
  std::int64_t n_experts_used = 0; // K
  std::int64_t n_experts_shared = 0;
  std::int64_t d_ff = 0; // F, hidden size of one expert
  std::int64_t n_hash_layers = 0;
  std::int64_t window = 0; // W, the token itself counted
  std::int64_t index_heads = 0, index_dim = 0, index_top_k = 0;
  std::int64_t n_streams = 0; // hyper-connection streams
  std::int64_t sinkhorn_iters = 0;
  std::int64_t max_context = 0;
  double hc_eps = 0, rms_eps = 0, expert_scale = 0;
  double rope_base = 0, compress_rope_base = 0;
  double yarn_factor = 0, yarn_orig_ctx = 0, yarn_beta_fast = 0, yarn_beta_slow = 0;
  std::vector<std::int64_t> ratios; // per main layer: 0, 4 or 128
  std::vector<double> clamp_exp;    // SwiGLU clamp of routed experts, per main layer
  std::vector<double> clamp_shared;

  bool hash_routed(std::int64_t layer) const { return layer < n_hash_layers; }
  bool has_indexer() const { return std::find(ratios.begin(), ratios.end(), 4) != ratios.end(); }
};

/// From the metadata of a GGUF, with the fallbacks for missing keys; every value range-checked. Throws Error naming the
/// key and what it should be.
HParams hparams_from_gguf(const GgufFile& file);
/// From `config.json` of an official checkpoint directory, whose name becomes the model's.
HParams hparams_from_config(const std::filesystem::path& config_json);
/// What both of the above end with, for parameters made by hand: every range and every relation between values. The
/// index_* fields count only where some ratio is 4. Throws Error(invalid_argument) that starts with `where`.
void check_hparams(const HParams& hp, std::string_view where);
/// Writes general.architecture, general.name and all deepseek4.* keys; hparams_from_gguf reads the same back (floats
/// through float32). Tokenizer, file type and quantization version are the caller's.
void write_hparams(GgufWriter& writer, const HParams& hp);

/// The tensor of a canonical name, or of one of the other names that producers give it; nullptr when there is none.
const GgufTensor* find_tensor(const GgufFile& file, std::string_view canonical);

/// Canonical tensor names ("blk.3.attn_q_a.weight") to tensors, with the aliases of all known producers resolved, and
/// every shape and type checked against the hyper-parameters, and every entry of the hash-routing tables against the
/// number of experts. Tensors of the main model only; others in the file are ignored. Lives no longer than the file.
class TensorDirectory {
public:
  /// Throws Error listing what is missing (names the first few) or which tensor has a wrong shape or type.
  TensorDirectory(const GgufFile& file, const HParams& hp);

  const GgufTensor& global(std::string_view name) const;                    // "output_norm.weight"
  const GgufTensor& layer(std::int64_t layer, std::string_view name) const; // 3, "attn_q_a.weight"
  const GgufTensor* find(std::string_view canonical) const;
  std::size_t size() const { return by_name_.size(); }

private:
  std::map<std::string, const GgufTensor*, std::less<>> by_name_;
};

/// One tensor that a model of these hyper-parameters has, under its canonical name.
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> dims; // row-major, outermost first
  bool integer = false;           // i32 table
};
/// All tensors of the main model, in the order files are written.
std::vector<TensorSpec> expected_tensors(const HParams& hp);

} // namespace seacliff
