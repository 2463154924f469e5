// What is measured while a step runs. Tables and traces of it: graph/dump/profile.hpp.
#pragma once

#include "graph/ir/ir.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace seacliff::graph {

/// Same numbers as SCF_PROFILE_*.
enum class Granularity : std::uint32_t {
  off,     // the step as a whole, by the host's clock
  program, // each segment
  group,   // each node, or group of nodes that the device has fused, as one worker sees it
  node,    // each node (or fused group), on each worker
};

/// The time one worker spent in a node, or in neighbouring nodes of one segment.
struct NodeSpan {
  std::uint32_t segment = 0, device = 0; // as in Placement
  std::uint32_t worker = 0;
  std::span<const std::uint32_t> nodes;   // ids in the graph; lives as long as the program
  std::uint64_t begin_ns = 0, end_ns = 0; // CLOCK_MONOTONIC
  std::uint64_t bytes = 0;                // of weights that all workers read; in one span per node. 0: unknown
};

/// One step of a model.
struct StepRecord {
  const Graph* graph = nullptr;         // as placed
  std::span<const std::string> devices; // full ids
  std::vector<std::int64_t> symbols;    // value of symbol id i + 1
  double visible = 0;                   // positions that a token of the step sees, itself included: mean
  std::uint64_t begin_ns = 0, end_ns = 0;
  std::uint64_t launches = 0, barriers = 0; // as the devices state them; 0: unknown
  std::uint64_t lost = 0;                   // records that did not fit
  std::vector<NodeSpan> spans;              // by device and worker, then in order of time
};

/// Called after each step; the record is valid during the call.
using StepSink = std::function<void(const StepRecord&)>;

} // namespace seacliff::graph
