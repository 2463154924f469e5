// What a model file consists of: bytes by class of tensor, and how many of them one decoded token reads.
#pragma once

#include "core/model/hparams.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

struct TensorClass {
  std::string_view name; // "routed experts", "attention", ...
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;               // as described: aliased tensors count each time
  std::uint64_t bytes_per_token = 0;     // weights that one decoded token of one sequence reads; KV caches not included
  std::uint64_t weights_per_token = 0;   // matrix elements that one token is multiplied with
  std::map<DType, std::uint64_t> dtypes; // how many tensors have which
};

struct Inventory {
  std::vector<TensorClass> classes; // those that occur, always in the same order
  std::string recipe;               // "q2", "q4", "mxfp4", "q8", "f16", "f32", or "mixed" with the formats
  std::uint64_t bytes = 0;
  std::uint64_t bytes_per_token = 0;
};

/// Dense tensors count fully per token, routed experts by used/total, tables (embedding, hash routing) by one row,
/// tensors that the main model does not use not at all.
Inventory take_inventory(const GgufFile& file, const HParams& hp, const TensorDirectory& directory);

/// What one step must at least do, by the weights alone: caches and activations are not in it.
struct StepWork {
  double weight_bytes = 0;
  double flops = 0; // 2 per matrix element and token; attention over cached rows is not counted
};

/// Of a step of `n_tokens` tokens, `n_outputs` of them with logits. Dense matrices are read once per step, the output
/// head only when there are logits, tables by one row per token. Of n experts of which each token uses k, the step
/// reads n (1 - (1 - k/n)^n_tokens): the expected number of different ones, were they chosen evenly and independently.
StepWork step_work(const Inventory& inventory, const HParams& hp, std::int64_t n_tokens, std::int64_t n_outputs);

} // namespace seacliff
