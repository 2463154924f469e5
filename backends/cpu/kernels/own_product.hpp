// Where an instruction set says which products of its own it has.
#pragma once

#include "isa.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// What a set has of its own of a format's products, in place of those written for all sets: `few` is gemm_act for
/// those that it `takes`, `many`, if it `has_many`, gemm_many of activations q8_k.
struct NoProduct {
  static constexpr bool has_many = false;
  static bool takes(const GemmArgs&) { return false; }
  static void few(const GemmArgs&) {}
  static void many(const GemmArgs&) {}
};
/// Specialised in the header that declares the product.
template <DType> struct OwnProduct : NoProduct {};

/// Specialised for void by sets that multiply more tokens than that by panels, see kernels/panels.
template <class> struct PanelProduct {
  static constexpr bool exists = false;
  static void multiply(DType, const GemmArgs&) {}
  static void pack(DType, const PackArgs&) {}
  static std::uint64_t scratch(std::int64_t) { return 0; }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
