// IQ2_XXS for sets with VNNI, VBMI and GFNI.
#pragma once

#include "kernels/own_product.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

void few_iq2_xxs(const GemmArgs& args);

template <> struct OwnProduct<DType::iq2_xxs> : NoProduct {
  static bool takes(const GemmArgs& a) { return a.tokens <= k_few_tokens; }
  static void few(const GemmArgs& a) { few_iq2_xxs(a); }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
