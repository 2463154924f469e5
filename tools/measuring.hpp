// What commands that measure have in common: what is fed, and the yardstick.
#pragma once

#include "graph/run/model.hpp"

#include <cstdint>
#include <vector>

namespace seacliff::tools {

/// Ids of the model's vocabulary, the same for the same seed: long before anything repeats in a way that routing could
/// notice.
std::vector<std::int32_t> random_tokens(const graph::Model& model, std::uint64_t seed);

/// Of the flag --fill.
inline constexpr const char* k_fill_help = "make the context of --depth up: random rows in the caches, there at once "
                                           "and as slow to work with as computed ones";

/// Read bandwidth of the model's workers in GB/s, with a buffer that leaves the weights in memory.
double measure_memory(graph::Model& model);

} // namespace seacliff::tools
