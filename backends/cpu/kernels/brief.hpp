// A group of 32 results as bf16 (see Brief).
#pragma once

#include "kernels/tile_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// To the nearest, ties to even, as bits in the upper halves; NaN stays.
SCF_INLINE U16 round_to_bf16(F16 v) {
  const auto bits = reinterpret_cast<U16>(v);
  const U16 rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return v == v ? rounded : bits | 0x400000u;
}
/// Words of elements 0 to 15 and 16 to 31.
SCF_INLINE U16 brief_of(F16 first, F16 second) {
  return round_to_bf16(first) >> 16 | (round_to_bf16(second) & 0xffff0000u);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
