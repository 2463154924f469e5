// Which nodes the device takes, and how they become dispatches: one line per op.
#pragma once

#include "emitter.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace seacliff::vulkan {

/// An op of domain "scf", version 1.
struct OpEntry {
  std::string_view op;
  sdk::Claim (*claim)(const sdk::NodeView&);
  void (*emit)(Emitter&); // for nodes that `claim` took
};

/// The ops by id of the host.
class Catalogue {
public:
  explicit Catalogue(const scf_host* host);

  struct Answer {
    const OpEntry* entry = nullptr; // nullptr: declined
    sdk::Claim claim;
  };
  /// Pure and thread-safe. Throws Failure(invalid_argument) for an operand that is no value.
  Answer ask(const scf_graph_view& graph, const scf_node& node) const;

private:
  const scf_host* host_;
  std::vector<const OpEntry*> by_op_;
};

// The families, each in ops/NAME.cpp.
std::span<const OpEntry> attention_ops();
std::span<const OpEntry> compress_ops();
std::span<const OpEntry> elementwise_ops();
std::span<const OpEntry> expert_ops();
std::span<const OpEntry> hyper_ops();
std::span<const OpEntry> index_ops();
std::span<const OpEntry> linear_ops();
std::span<const OpEntry> row_ops();
std::span<const OpEntry> route_ops();

} // namespace seacliff::vulkan
