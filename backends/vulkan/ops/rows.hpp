// Rotary positions and round trips of rows: what shaders/include/rows.glsl is told by constants.
#pragma once

#include "emitter.hpp"

namespace seacliff::vulkan {

inline constexpr std::int64_t k_longest_row = 1024; // as rows.glsl has it

/// The attributes rot, base, yarn (factor, orig_ctx, beta_fast, beta_slow) and shift.
struct Rotation {
  Place frequencies; // turns per position in units of 2^-64, one for each pair
  std::uint32_t pairs = 0;
  std::int32_t shift = 0;
  bool inverse = false;
};
Rotation rotation_of(Emitter& emitter, const sdk::NodeView& node);

/// NO for rows that are longer than shared memory has room for, or cannot be rotated or rounded.
sdk::Claim can_rotate(const sdk::NodeView& node, std::int64_t width);
sdk::Claim can_round_kv(const sdk::NodeView& node, std::int64_t width);
sdk::Claim can_round_index(const sdk::NodeView& node, std::int64_t width);

/// What is done to each row, in this order.
struct RowWork {
  Norm norm;
  const sdk::NodeView* rope = nullptr; // the node with the attributes of the rotation; nullptr: none
  bool kv8 = false, idx4 = false, half = false;
};
/// Rows of `width` elements, `per_token` of them with the same position.
void emit_row_work(Emitter& emitter, Place x, Place y, Place pos, Count rows, std::int64_t width,
                   std::int64_t per_token, const RowWork& work);

} // namespace seacliff::vulkan
