#include "ops/reference/kernels.hpp"

#include "ops/reference/families.hpp"

namespace seacliff::reference {

sdk::Claim claim_known_formats(const sdk::NodeView& node) {
  for (std::uint32_t i = 0; i < node.n_in(); ++i)
    if (const sdk::ValueView in = node.in(i); in && !in.known_dtype())
      return sdk::Claim::no("format " + std::to_string(in.value->dtype) + " is not known");
  return sdk::Claim::slow();
}

std::span<const sdk::KernelEntry> reference_kernels() {
  static const std::vector<sdk::KernelEntry> all = [] {
    std::vector<sdk::KernelEntry> list;
    for (const auto family : {linear_kernels, norm_rope_kernels, elementwise_kernels, hyper_kernels, compress_kernels,
                              attention_kernels, index_kernels, router_moe_kernels})
      for (const sdk::KernelEntry& kernel : family()) list.push_back(kernel);
    return list;
  }();
  return all;
}

const sdk::KernelEntry* find_kernel(std::string_view op) {
  for (const sdk::KernelEntry& kernel : reference_kernels())
    if (kernel.op == op) return &kernel;
  return nullptr;
}

} // namespace seacliff::reference
