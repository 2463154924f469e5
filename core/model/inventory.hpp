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

} // namespace seacliff
