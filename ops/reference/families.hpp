// The kernels of each family, and what makes a class into an entry.
#pragma once

#include "ops/reference/kernels.hpp"

#include <vector>

namespace seacliff::reference {

std::vector<sdk::KernelEntry> linear_kernels();
std::vector<sdk::KernelEntry> norm_rope_kernels();
std::vector<sdk::KernelEntry> elementwise_kernels();
std::vector<sdk::KernelEntry> hyper_kernels();
std::vector<sdk::KernelEntry> compress_kernels();
std::vector<sdk::KernelEntry> attention_kernels();
std::vector<sdk::KernelEntry> index_kernels();
std::vector<sdk::KernelEntry> router_moe_kernels();

sdk::Claim claim_known_formats(const sdk::NodeView& node);

/// K is a Kernel that is made from a NodeView.
template <class K> sdk::KernelEntry entry(std::string_view op) {
  return {op, claim_known_formats,
          [](const sdk::NodeView& node) -> std::unique_ptr<sdk::Kernel> { return std::make_unique<K>(node); }};
}

} // namespace seacliff::reference
