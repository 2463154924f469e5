// Which nodes are computed by the launches of another one: small ops beside the products and states that they belong
// to. Claims are still made node by node; only what nobody else reads is folded away.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <span>
#include <string_view>
#include <vector>

namespace seacliff::vulkan {

/// So few tokens that weights are read once for all of them, and that launches cost more than sums done twice.
inline constexpr std::int64_t k_few_tokens = 8;

struct Fusion {
  static constexpr std::size_t k_none = ~std::size_t{0};

  struct Fold {
    bool skipped = false;          // some other node does this one's work
    std::vector<std::size_t> with; // nodes that this one does as well
  };
  std::vector<Fold> folds;          // by node
  std::vector<std::size_t> norm_of; // by value: the skipped rms_norm that its readers do; k_none: none
};

/// `nodes` in program order, with their op's names.
Fusion find_fusion(std::span<const sdk::NodeView> nodes, std::size_t n_values);

} // namespace seacliff::vulkan
