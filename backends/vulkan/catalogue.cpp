#include "catalogue.hpp"

#include "layouts.hpp"

#include <seacliff/sdk/status.hpp>
#include <seacliff/sdk/table.hpp>

#include <string>

namespace seacliff::vulkan {
namespace {

constexpr std::span<const OpEntry> (*k_families[])() = {
    attention_ops, compress_ops, elementwise_ops, expert_ops, hyper_ops, index_ops, linear_ops, row_ops, route_ops};

/// Empty, or why no kernel may be asked about this node.
std::string foreign_operand(const scf_graph_view& graph, const scf_node& node, std::uint32_t id) {
  if (id == SCF_NONE) return {};
  if (id >= graph.n_values)
    throw sdk::Failure(SCF_INVALID_ARGUMENT,
                       "node '" + std::string(sdk::view(node.name)) + "' has an operand that is no value");
  const scf_value& value = sdk::strided(graph.values, graph.value_stride, id);
  const auto named = [&] { return "'" + std::string(sdk::view(value.name)) + "'"; };
  const DTypeInfo* info = find_dtype(value.dtype);
  if (info == nullptr) return "format " + std::to_string(value.dtype) + " of " + named() + " is unknown here";
  if (value.layout != 0 && (value.layout != k_planes_layout || value.rank < 2 || value.rank > SCF_MAX_RANK ||
                            !has_planes(info->dtype, value.dims[value.rank - 1])))
    return "layout " + std::to_string(value.layout) + " of " + named() + " is unknown here";
  if (value.rank == 0 || value.rank > SCF_MAX_RANK) return named() + " has no shape";
  for (std::uint32_t axis = 1; axis < value.rank; ++axis)
    if (value.dim_sym[axis] != 0) return "only the first dimension of " + named() + " may vary from step to step";
  if (value.dims[value.rank - 1] % info->block_elems != 0)
    return "rows of " + named() + " are no whole blocks of " + std::string(info->name);
  return {};
}

} // namespace

Catalogue::Catalogue(const scf_host* host) : host_(host) {
  for (const auto family : k_families)
    for (const OpEntry& entry : family()) {
      const std::uint32_t op = host->op_id(host->ctx, sdk::str("scf"), sdk::str(entry.op), 1);
      if (op == 0) continue; // this host has no such op, so no graph of it has
      if (by_op_.size() <= op) by_op_.resize(op + 1);
      by_op_[op] = &entry;
    }
}

Catalogue::Answer Catalogue::ask(const scf_graph_view& graph, const scf_node& node) const {
  for (std::uint32_t i = 0; i < node.n_in + node.n_out; ++i) {
    std::string why = foreign_operand(graph, node, i < node.n_in ? node.in[i] : node.out[i - node.n_in]);
    if (!why.empty()) return {nullptr, sdk::Claim::no(std::move(why))};
  }
  const OpEntry* entry = node.op < by_op_.size() ? by_op_[node.op] : nullptr;
  if (entry == nullptr) {
    const std::string name(sdk::view(host_->op_name(host_->ctx, node.op)));
    return {nullptr, sdk::Claim::no("no kernel for " + (name.empty() ? "op " + std::to_string(node.op) : name))};
  }
  sdk::Claim claim = entry->claim(sdk::NodeView(&graph, &node, entry->op));
  return {claim.level != SCF_CLAIM_NO ? entry : nullptr, std::move(claim)};
}

} // namespace seacliff::vulkan
