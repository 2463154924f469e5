// The DeepSeek-V4 forward pass as a graph, for any hyper-parameters. Source: DeepSeek-V4 paper and the released
// inference code: hyper-connections (mHC), CSA/HCA attention with the lightning indexer, sqrt-softplus MoE routing.
#pragma once

#include "core/model/hparams.hpp"
#include "graph/ir/ir.hpp"

#include <cstdint>

namespace seacliff::graph {

/// What a graph is built for. The same model gets one graph per bucket of `max_tokens`; all share weights and state.
struct BuildOptions {
  std::int64_t max_tokens = 1;    // upper bound of symbol n_tokens
  std::int64_t max_outputs = 1;   // upper bound of symbol n_outputs
  std::int64_t n_slots = 1;       // sequences that have state
  std::int64_t max_ctx = 4096;    // positions per slot
  std::int64_t rewind_rows = 64;  // tokens that a slot can go back without a checkpoint
  bool act8 = true;               // kernels may round activations to 8 bits
  bool kv8 = true;                // E4M3 round trip of cached rows, as in training
  bool idx4 = true;               // Hadamard + E2M1 round trip in the indexer, as in training
  DType cache_dtype = DType::f16; // of window and compressed rows: f16 or f32
};

/// Inputs: tokens, pos, seq, out_rows (docs/ops.md); output: logits f32[n_outputs, n_vocab]. Weights bear the canonical
/// tensor names of the file; states are `blk.NN.{window,carry,cache,index_carry,index_cache}`. Borrows nothing.
Graph build_deepseek4(const HParams& hp, const TensorDirectory& tensors, const BuildOptions& options);

} // namespace seacliff::graph
