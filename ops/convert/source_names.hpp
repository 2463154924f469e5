// Where a tensor of the model comes from in an official checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::convert {

/// Checkpoint tensors whose rows, one after another, are those of the canonical tensor: one, or one per expert.
/// "blk.3.attn_q_a.weight" -> "layers.3.attn.wq_a.weight". Throws Error(internal) for a name that is in no table.
std::vector<std::string> source_names(std::string_view canonical, std::int64_t n_experts);

} // namespace seacliff::convert
