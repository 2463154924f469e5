// Runs a case: on one kernel, or on the decomposition of its op.
#pragma once

#include "ops/cases/cases.hpp"

#include <seacliff/sdk/kernel.hpp>

#include <map>

namespace seacliff::ops {

/// A case as a plugin sees it: a graph of one node. Values are numbered in the order of the inputs, then of the outputs
/// that are not updated STATEs. Borrows the case.
class OneNodeGraph {
public:
  /// `max_tokens` is what plans are made for, at least the tokens of the case (0: exactly those); `op_id` is the number
  /// the host knows the op by.
  explicit OneNodeGraph(const Case& test, std::int64_t max_tokens = 0, std::uint32_t op_id = 1);
  OneNodeGraph(const OneNodeGraph&) = delete;
  OneNodeGraph& operator=(const OneNodeGraph&) = delete;

  const scf_graph_view& view() const { return view_; }
  sdk::NodeView node() const { return {&view_, &node_, test_.op}; }
  /// Ids of all operands, SCF_NONE where absent.
  const std::vector<std::uint32_t>& inputs() const { return in_; }
  const std::vector<std::uint32_t>& outputs() const { return out_; }

private:
  std::uint32_t add_value(const ValueType& type, std::uint32_t role, std::string name, std::int64_t max_tokens);

  const Case& test_;
  std::vector<scf_value> values_;
  std::vector<std::string> names_;
  std::vector<std::uint32_t> in_, out_;
  std::vector<scf_kv> attrs_;
  scf_node node_{};
  scf_graph_view view_{};
};

/// All outputs, in the order of the schema; an updated STATE is there as it is afterwards.
using Outputs = std::vector<CaseValue>;

/// Runs `kernel` on a team of `workers` threads. Outputs and scratch hold rubbish beforehand. Throws
/// Error(unimplemented) with the kernel's reason when it does not claim the node, Error(internal) when the kernel
/// changed an input, or says that it works in place and gives other bytes when it does.
Outputs run_kernel(const sdk::KernelEntry& kernel, const Case& test, std::uint32_t workers = 1);

struct Decomposed {
  Outputs outputs;
  std::map<std::string, Outputs, std::less<>> steps; // outputs of every node, by its suffix
};

/// Runs the decomposition of a composite, each node by the entry of `kernels` for its op.
Decomposed run_decomposed(std::span<const sdk::KernelEntry> kernels, const Case& test, std::uint32_t workers = 1);

} // namespace seacliff::ops
