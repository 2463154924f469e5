// The products that sets with AVX-512 VNNI have of their own, few tokens: the formats of a Flash model but
// IQ2_XXS, which is in iq2_xxs.hpp here and, for sets with VBMI, in kernels/vbmi.
#pragma once

#include "kernels/own_product.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

void few_q8_0(const GemmArgs& args);
void few_q2_k(const GemmArgs& args);
void few_q4_k(const GemmArgs& args);

template <> struct OwnProduct<DType::q8_0> : NoProduct {
  static bool takes(const GemmArgs& a) { return a.tokens <= k_few_tokens; }
  static void few(const GemmArgs& a) { few_q8_0(a); }
};
template <> struct OwnProduct<DType::q2_k> : NoProduct {
  static bool takes(const GemmArgs& a) { return a.tokens <= k_few_tokens; }
  static void few(const GemmArgs& a) { few_q2_k(a); }
};
template <> struct OwnProduct<DType::q4_k> : NoProduct {
  static bool takes(const GemmArgs& a) { return a.tokens <= k_few_tokens; }
  static void few(const GemmArgs& a) { few_q4_k(a); }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
