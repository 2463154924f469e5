// The shapes of the eight tile registers, as LDTILECFG reads them. Source: Intel SDM volume 1, chapter 18.
#pragma once

#include "kernels/simd/vector_types.hpp"

#define SCF_HAS_TILES 1

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {}; // at most 64
  std::uint8_t rows[16] = {};       // at most 16
};
static_assert(sizeof(TileShapes) == 64);

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
