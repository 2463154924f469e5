// Context without the hours it takes to compute one: for timing and profiling at depth.
#pragma once

#include "graph/run/session.hpp"

#include <cstdint>
#include <span>

namespace seacliff::graph {

/// The state of a sequence that fed `tokens`, as Session::restore takes it, with random rows instead of computed ones;
/// the same for the same seed. Steps from there take as long as real ones: no kernel's time depends on values, but for
/// the experts that tokens are sent to and the rows that the indexer chooses, and both are random then. What they
/// compute says nothing.
/// Every element is one of sixteen values, a quarter of what E2M1 has, which all formats and round trips of caches keep
/// as they are. Throws Error(out_of_range) when the context is shorter, Error(unimplemented) for a state in a format
/// other than f32 and f16.
Snapshot made_up_snapshot(const Model& model, std::span<const std::int32_t> tokens, std::uint64_t seed);

} // namespace seacliff::graph
