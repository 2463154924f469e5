// The layout that kernels like weights in: planes. Of each row first the codes of all blocks, then what the blocks have
// besides, so that a subgroup reads neighbouring words. A row keeps its bytes and its place; only their order changes.
#pragma once

#include <seacliff/abi/scf_abi.h>
#include <seacliff/sdk/kernel.hpp>

#include <cstdint>

namespace seacliff::vulkan {

inline constexpr std::uint32_t k_planes_layout = 1;

/// Whether rows of this many columns can be in planes: then every row begins at a multiple of 16 bytes.
bool has_planes(DType dtype, std::int64_t columns);

/// A format as shaders are told it: as GGUF numbers it, or in planes.
struct WeightFormat {
  DType dtype = DType::f32;
  bool planes = false;

  WeightFormat(DType format = DType::f32, bool in_planes = false) : dtype(format), planes(in_planes) {}
  bool operator==(const WeightFormat&) const = default;
};
inline WeightFormat format_of(const sdk::ValueView& weight) {
  return {weight.dtype(), weight.value->layout == k_planes_layout};
}
/// The word for the constant FORMAT of weights.glsl.
inline std::uint32_t format_word(WeightFormat format) {
  constexpr std::uint32_t planes = 256; // k_planes of weights.glsl
  return static_cast<std::uint32_t>(format.dtype) | (format.planes ? planes : 0u);
}

extern const scf_layout_api k_layout;

} // namespace seacliff::vulkan
