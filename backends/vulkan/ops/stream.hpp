// How products of few rows are cut: rows of weights stream past activations that a workgroup keeps in shared memory.
// What shaders/include/stream.glsl is told.
#pragma once

#include "products.hpp"

#include <optional>

namespace seacliff::vulkan {

struct StreamWork {
  WeightFormat format;
  std::uint32_t k = 0;
  std::uint32_t digits = 1;   // bytes that an activation is kept in; 0: floats
  std::uint64_t tokens = 1;   // that each weight is multiplied with, at most
  std::uint32_t slots = 1;    // rows of x that a token has
  std::uint64_t rows = 1;     // of weights, of all matrices that are read
  std::uint32_t in_pairs = 1; // 2: rows of a tile come in pairs
  std::uint32_t multiple = 1; // of rows that a workgroup makes
};

/// The constants of stream.glsl, but for the format.
struct StreamPlan {
  std::uint32_t subgroups = 1; // of a workgroup
  std::uint32_t rows = 1;      // of a tile
  std::uint32_t deep = 1;      // units of a row that a lane has in a tile
  std::uint32_t tokens = 1;    // at once
  std::uint32_t tiles = 1;     // of a subgroup

  std::uint32_t group_rows() const { return subgroups * tiles * rows; }
};

/// Bytes for each activation of this node: one where it may be rounded, three that are as good as float32; none for
/// formats without blocks.
std::uint32_t digits_for(const Emitter& emitter, WeightFormat format);

/// Nothing where the device or the format cannot, or where shared memory does not hold x.
std::optional<StreamPlan> plan_stream(const Shape& shape, const StreamWork& work);

/// Constants 0 to 8 of a shader that includes stream.glsl.
std::vector<std::uint32_t> stream_constants(const Shape& shape, const StreamWork& work, const StreamPlan& plan);

} // namespace seacliff::vulkan
