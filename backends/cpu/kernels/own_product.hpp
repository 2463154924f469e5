// Where an instruction set says which products of its own it has.
#pragma once

#include "isa.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// `few`: gemm_act for 1 to `k_few_tokens` tokens, where `exists`; else the one written for all sets serves.
/// Specialised in the header that declares the product.
template <DType> struct OwnProduct {
  static constexpr bool exists = false;
  static void few(const GemmArgs&) {}
};

/// Specialised for void by sets that multiply more tokens than that by panels, see kernels/panels.
template <class> struct PanelProduct {
  static constexpr bool exists = false;
  static void multiply(DType, const GemmArgs&) {}
  static void pack(DType, const PackArgs&) {}
  static std::uint64_t scratch(std::int64_t) { return 0; }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
