// Where an instruction set says that it has a product of its own for a format.
#pragma once

#include "isa.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// `few`: gemm_act for 1 to `k_few_tokens` tokens, where `exists`; else the one written for all sets serves.
/// Specialised in the header that declares the product.
template <DType> struct OwnProduct {
  static constexpr bool exists = false;
  static void few(const GemmArgs&) {}
};
inline constexpr std::int64_t k_few_tokens = 8;

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
