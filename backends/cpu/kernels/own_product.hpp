// Where an instruction set says that it has a product of its own for a format.
#pragma once

#include "isa.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// `few`: gemm_act for 1 to `k_few_tokens` tokens; nullptr: the one written for all sets. Specialised in the header
/// that declares the product.
template <DType> struct OwnProduct { static constexpr void (*few)(const GemmArgs&) = nullptr; };
inline constexpr std::int64_t k_few_tokens = 8;

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
