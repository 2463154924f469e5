// A complete DeepSeek-V4 model of a few kilobytes, for tests of files rather than of arithmetic.
#pragma once

#include "core/model/hparams.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace seacliff::test {

/// One layer of each kind: sliding window and hash-routed, CSA, HCA.
inline HParams small_hparams() {
  HParams hp;
  hp.name = "small";
  hp.n_layers = 3;
  hp.n_embd = 8;
  hp.n_vocab = 12;
  hp.n_heads = 2;
  hp.head_dim = 8;
  hp.rope_dim = 4;
  hp.q_lora_rank = 4;
  hp.o_groups = 2;
  hp.o_lora_rank = 2;
  hp.n_experts = 4;
  hp.n_experts_used = 2;
  hp.n_experts_shared = 1;
  hp.d_ff = 8;
  hp.n_hash_layers = 1;
  hp.window = 4;
  hp.index_heads = 2;
  hp.index_dim = 4;
  hp.index_top_k = 2;
  hp.n_streams = 2;
  hp.sinkhorn_iters = 20;
  hp.max_context = 1024;
  hp.hc_eps = hp.rms_eps = 0x1p-20; // exact in float32
  hp.expert_scale = 1.5;
  hp.rope_base = 10000;
  hp.compress_rope_base = 160000;
  hp.yarn_factor = 16;
  hp.yarn_orig_ctx = 64;
  hp.yarn_beta_fast = 32;
  hp.yarn_beta_slow = 1;
  hp.ratios = {0, 4, 128};
  hp.clamp_exp = hp.clamp_shared = {10, 10, 10};
  return hp;
}

/// What to change while writing a model.
struct ModelEdits {
  std::function<void(TensorSpec&)> tensor = {};              // rename or reshape; an empty name drops it
  std::function<std::int32_t(std::int64_t)> hash_entry = {}; // instead of i % n_experts
};

/// Every tensor f32 and filled with small numbers, hash tables with valid experts.
inline void write_model(const std::filesystem::path& path, const HParams& hp, const ModelEdits& edits = {}) {
  GgufWriter writer(path);
  write_hparams(writer, hp);
  std::vector<TensorSpec> specs;
  for (TensorSpec spec : expected_tensors(hp)) {
    if (edits.tensor) edits.tensor(spec);
    if (spec.name.empty()) continue;
    writer.declare(spec.name, spec.integer ? DType::i32 : DType::f32, spec.dims);
    specs.push_back(std::move(spec));
  }
  for (const TensorSpec& spec : specs) {
    std::int64_t elements = 1;
    for (const std::int64_t n : spec.dims) elements *= n;
    std::vector<float> floats;
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < elements; ++i) {
      if (!spec.integer)
        floats.push_back(static_cast<float>(i % 7) / 8);
      else
        ids.push_back(edits.hash_entry ? edits.hash_entry(i) : static_cast<std::int32_t>(i % hp.n_experts));
    }
    writer.write(spec.integer ? std::as_bytes(std::span(ids)) : std::as_bytes(std::span(floats)));
  }
  writer.finish();
}

} // namespace seacliff::test
