// The products that sets with AVX2 but without VNNI have of their own: of many tokens, and of a few the formats of a
// Flash model.
#pragma once

#include "kernels/own_product.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

void few_q8_0(const GemmArgs& args);
void few_q2_k(const GemmArgs& args);
void few_q4_k(const GemmArgs& args);
void few_iq2_xxs(const GemmArgs& args);
void many_q8_0(const GemmArgs& args);
void many_q2_k(const GemmArgs& args);
void many_q4_k(const GemmArgs& args);
void many_iq2_xxs(const GemmArgs& args);
void many_mxfp4(const GemmArgs& args);
void many_q3_k(const GemmArgs& args);
void many_q5_k(const GemmArgs& args);
void many_q6_k(const GemmArgs& args);

using Product = void (*)(const GemmArgs&);
template <Product MANY> struct ManyProduct : NoProduct {
  static constexpr bool has_many = true;
  static void many(const GemmArgs& a) { MANY(a); }
};
template <Product FEW, Product MANY> struct AllProducts : ManyProduct<MANY> {
  static bool takes(const GemmArgs&) { return true; }
  static void few(const GemmArgs& a) { FEW(a); }
};

template <> struct OwnProduct<DType::q8_0> : AllProducts<few_q8_0, many_q8_0> {
  static bool takes(const GemmArgs& a) { return a.k % 256 == 0; }
};
template <> struct OwnProduct<DType::q2_k> : AllProducts<few_q2_k, many_q2_k> {};
template <> struct OwnProduct<DType::q4_k> : AllProducts<few_q4_k, many_q4_k> {};
template <> struct OwnProduct<DType::iq2_xxs> : AllProducts<few_iq2_xxs, many_iq2_xxs> {};
template <> struct OwnProduct<DType::mxfp4> : ManyProduct<many_mxfp4> {};
template <> struct OwnProduct<DType::q3_k> : ManyProduct<many_q3_k> {};
template <> struct OwnProduct<DType::q5_k> : ManyProduct<many_q5_k> {};
template <> struct OwnProduct<DType::q6_k> : ManyProduct<many_q6_k> {};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
