// The product of many tokens that sets with VNNI or tile registers have of their own.
#pragma once

#include "kernels/own_product.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// gemm_many of every block format; activations are Act::q8_k.
void gemm_panels(DType dtype, const GemmArgs& args);
void pack_panels(DType dtype, const PackArgs& args);
std::uint64_t panels_scratch(std::int64_t tokens);

template <> struct PanelProduct<void> {
  static constexpr bool exists = true;
  static void multiply(DType dtype, const GemmArgs& args) { gemm_panels(dtype, args); }
  static void pack(DType dtype, const PackArgs& args) { pack_panels(dtype, args); }
  static std::uint64_t scratch(std::int64_t tokens) { return panels_scratch(tokens); }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
