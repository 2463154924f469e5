// The products that sets with AVX-512 VNNI have of their own: the formats of a Flash model, few tokens.
#pragma once

#include "kernels/own_product.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

void few_q8_0(const GemmArgs& args);
void few_q2_k(const GemmArgs& args);
void few_q4_k(const GemmArgs& args);
void few_iq2_xxs(const GemmArgs& args);

template <> struct OwnProduct<DType::q8_0> { static constexpr auto few = few_q8_0; };
template <> struct OwnProduct<DType::q2_k> { static constexpr auto few = few_q2_k; };
template <> struct OwnProduct<DType::q4_k> { static constexpr auto few = few_q4_k; };
template <> struct OwnProduct<DType::iq2_xxs> { static constexpr auto few = few_iq2_xxs; };

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
