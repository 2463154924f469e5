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

template <> struct OwnProduct<DType::q8_0> {
  static constexpr bool has_many = true;
  static bool takes(const GemmArgs& a) { return a.k % 256 == 0; }
  static void few(const GemmArgs& a) { few_q8_0(a); }
  static void many(const GemmArgs& a) { many_q8_0(a); }
};
template <> struct OwnProduct<DType::q2_k> {
  static constexpr bool has_many = true;
  static bool takes(const GemmArgs&) { return true; }
  static void few(const GemmArgs& a) { few_q2_k(a); }
  static void many(const GemmArgs& a) { many_q2_k(a); }
};
template <> struct OwnProduct<DType::q4_k> {
  static constexpr bool has_many = true;
  static bool takes(const GemmArgs&) { return true; }
  static void few(const GemmArgs& a) { few_q4_k(a); }
  static void many(const GemmArgs& a) { many_q4_k(a); }
};
template <> struct OwnProduct<DType::iq2_xxs> {
  static constexpr bool has_many = true;
  static bool takes(const GemmArgs&) { return true; }
  static void few(const GemmArgs& a) { few_iq2_xxs(a); }
  static void many(const GemmArgs& a) { many_iq2_xxs(a); }
};
template <> struct OwnProduct<DType::mxfp4> : NoProduct {
  static constexpr bool has_many = true;
  static void many(const GemmArgs& a) { many_mxfp4(a); }
};
template <> struct OwnProduct<DType::q3_k> : NoProduct {
  static constexpr bool has_many = true;
  static void many(const GemmArgs& a) { many_q3_k(a); }
};
template <> struct OwnProduct<DType::q5_k> : NoProduct {
  static constexpr bool has_many = true;
  static void many(const GemmArgs& a) { many_q5_k(a); }
};
template <> struct OwnProduct<DType::q6_k> : NoProduct {
  static constexpr bool has_many = true;
  static void many(const GemmArgs& a) { many_q6_k(a); }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
