#include "stream.hpp"

#include <algorithm>
#include <bit>

namespace seacliff::vulkan {
namespace {

constexpr std::uint64_t k_enough_subgroups = 4096; // so many fill a large device; more work makes longer ones
constexpr std::uint64_t k_most_tokens = 4; // at once; more cost more registers than reading weights again from a cache
constexpr std::uint32_t k_unit_bytes = 16, k_most_tiles = 64;
constexpr std::uint64_t k_table_shared = 256 * 8, k_parts_shared = 128 * 4; // stream.glsl, base.glsl

/// Elements that a lane takes at a time.
std::uint32_t unit_elems(WeightFormat format) {
  switch (format.dtype) {
  case DType::q2_k:
  case DType::iq2_xxs: return 64;
  case DType::q4_k:
  case DType::mxfp4: return 32;
  case DType::f32: return k_unit_bytes / 4;
  case DType::f16:
  case DType::bf16: return k_unit_bytes / 2;
  default: return 16;
  }
}

/// Of x.
std::uint64_t shared_bytes(const StreamWork& work, std::uint64_t tokens) {
  const std::uint64_t elems = tokens * work.slots * work.k;
  if (work.digits == 0) return elems * 4;
  const bool has_least = work.format.dtype == DType::q2_k || work.format.dtype == DType::q4_k;
  return elems * work.digits + elems / 16 * (has_least ? 8 : 4); // a scale and perhaps a sum for sixteen
}

/// Of all that a workgroup with so many rows of weights has: pairs of rows leave their results there, too.
std::uint64_t shared_bytes(const Shape& shape, const StreamWork& work, std::uint64_t tokens, std::uint64_t rows) {
  const std::uint64_t chunks = work.k / 16, squares = tokens * ((chunks + shape.subgroup - 1) / shape.subgroup) * 4;
  const std::uint64_t results = work.in_pairs == 2 ? tokens * (rows / 2) * 4 : 0;
  return shared_bytes(work, tokens) + squares + results + k_table_shared + k_parts_shared;
}

bool is_streamed(const Shape& shape, const StreamWork& work) {
  const bool plain = dtype_info(work.format.dtype).block_elems == 1 && work.format.dtype != DType::i32;
  return plain ? work.digits == 0 && work.k % 16 == 0 : shape.byte_dots && work.format.planes && work.digits != 0;
}

} // namespace

std::uint32_t digits_for(const Emitter& emitter, WeightFormat format) {
  if (!format.planes) return 0;
  return emitter.node().attr_int("act8") != 0 ? 1 : 3;
}

std::optional<StreamPlan> plan_stream(const Shape& shape, const StreamWork& work) {
  if (!is_streamed(shape, work)) return std::nullopt;
  StreamPlan plan;
  plan.tokens = static_cast<std::uint32_t>(std::bit_ceil(std::min(work.tokens, k_most_tokens)));
  const auto is_too_much = [&](std::uint64_t tokens) {
    return shared_bytes(shape, work, tokens, work.multiple) > shape.shared_bytes ||
           tokens * work.in_pairs > shape.subgroup;
  };
  while (plan.tokens > 1 && is_too_much(plan.tokens)) plan.tokens /= 2;
  if (is_too_much(plan.tokens)) return std::nullopt;

  // Loads that a lane has on their way: fewer where what they meet needs registers, too.
  const std::uint32_t loads = plan.tokens >= 4 ? 2 : 4, units = work.k / unit_elems(work.format);
  plan.deep = std::min(std::bit_ceil((units + shape.subgroup - 1) / shape.subgroup), loads / work.in_pairs);
  if (plan.tokens >= 4) plan.deep = 1; // two rows share what is read of x
  plan.rows = loads / plan.deep;
  const auto is_too_much_for_lanes = [&] { return plan.rows * plan.tokens > shape.subgroup; }; // each has one sum
  while (plan.rows > work.in_pairs && (work.rows / plan.rows < k_enough_subgroups / 4 || is_too_much_for_lanes()))
    plan.rows /= 2;

  // Larger workgroups where more of x has to be brought.
  plan.subgroups = plan.tokens >= 4 ? 16 : 8;
  plan.subgroups = std::min(plan.subgroups, std::max(shape.most_threads / shape.subgroup, 1u));
  const std::uint64_t tiles = work.rows / plan.rows * ((work.tokens + plan.tokens - 1) / plan.tokens);
  const bool much_to_bring = plan.tokens > 1 && work.digits == 0;
  const std::uint64_t enough = much_to_bring ? k_enough_subgroups / 2 : k_enough_subgroups;
  plan.tiles = static_cast<std::uint32_t>(std::clamp<std::uint64_t>((tiles + enough - 1) / enough, 1, k_most_tiles));
  const auto is_whole = [&] { return plan.group_rows() % work.multiple == 0; };
  const auto fits = [&] { return shared_bytes(shape, work, plan.tokens, plan.group_rows()) <= shape.shared_bytes; };
  while (!is_whole()) ++plan.tiles;
  while (plan.tiles > 0 && !(fits() && is_whole())) --plan.tiles;
  return plan.tiles > 0 ? std::optional(plan) : std::nullopt;
}

std::vector<std::uint32_t> stream_constants(const Shape& shape, const StreamWork& work, const StreamPlan& plan) {
  return {plan.subgroups * shape.subgroup,
          format_word(work.format),
          work.k,
          shape.subgroup,
          plan.rows,
          plan.deep,
          plan.tokens,
          work.digits,
          plan.tokens * work.slots};
}

} // namespace seacliff::vulkan
