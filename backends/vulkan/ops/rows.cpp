// RMS norm, rotary positions, round trips through narrow formats.
#include "rows.hpp"

#include "catalogue.hpp"
#include "products.hpp"

#include <bit>
#include <cmath>
#include <numbers>

namespace seacliff::vulkan {
namespace {

/// Frequencies in radians per position.
std::vector<double> frequencies_of(const sdk::NodeView& node) {
  const std::int64_t rot = node.attr_int("rot");
  const double base = node.attr_float("base");
  std::vector<double> frequency(static_cast<std::size_t>(rot / 2));
  for (std::size_t i = 0; i < frequency.size(); ++i)
    frequency[i] = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(rot));
  if (node.attr_int("yarn") == 0) return frequency;

  // YaRN: pairs that turn often within the original context keep their frequency, slow ones are stretched by `factor`,
  // a ramp lies between.
  const double factor = node.attr_float("factor"), context = node.attr_float("orig_ctx");
  const auto pair_that_turns = [&](double times) {
    return static_cast<double>(rot) * std::log(context / (times * 2.0 * std::numbers::pi)) / (2.0 * std::log(base));
  };
  const double low = std::max(0.0, std::floor(pair_that_turns(node.attr_float("beta_fast"))));
  const double high = std::min(static_cast<double>(rot - 1), std::ceil(pair_that_turns(node.attr_float("beta_slow"))));
  for (std::size_t i = 0; i < frequency.size(); ++i) {
    const double along = std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
    frequency[i] = frequency[i] / factor * along + frequency[i] * (1.0 - along);
  }
  return frequency;
}

/// Turns per position as a fraction of 2^64: products with positions wrap as turns do, without an error that grows.
std::uint64_t as_turns(double radians) {
  const double turns = radians / (2.0 * std::numbers::pi);
  return static_cast<std::uint64_t>(std::ldexp(turns - std::floor(turns), 64));
}

sdk::Claim not_longer(std::int64_t width) {
  if (width <= k_longest_row) return sdk::Claim::ok();
  return sdk::Claim::no("rows of " + std::to_string(width) + " elements are longer than " +
                        std::to_string(k_longest_row));
}

} // namespace

Rotation rotation_of(Emitter& emitter, const sdk::NodeView& node) {
  std::vector<std::uint64_t> turns;
  for (const double frequency : frequencies_of(node)) turns.push_back(as_turns(frequency));
  Rotation rotation;
  rotation.frequencies = emitter.constants(std::as_bytes(std::span(turns)));
  rotation.pairs = static_cast<std::uint32_t>(turns.size());
  rotation.shift = static_cast<std::int32_t>(node.attr_int("shift"));
  rotation.inverse = node.attr_int("inverse") != 0;
  return rotation;
}

sdk::Claim can_rotate(const sdk::NodeView& node, std::int64_t width) {
  const std::int64_t rot = node.attr_int("rot");
  if (rot <= 0 || rot % 2 != 0 || rot > width) return sdk::Claim::no("attribute 'rot' is no even part of a row");
  return not_longer(width);
}

sdk::Claim can_round_kv(const sdk::NodeView& node, std::int64_t width) {
  const std::int64_t kept = node.attr_int("rot");
  if (node.attr_int("kv8") != 0 && (kept < 0 || kept > width || (width - kept) % 64 != 0))
    return sdk::Claim::no("rows are rounded in blocks of 64 elements");
  return not_longer(width);
}

sdk::Claim can_round_index(const sdk::NodeView& node, std::int64_t width) {
  if (node.attr_int("idx4") != 0 && (width < 32 || !std::has_single_bit(static_cast<std::uint64_t>(width))))
    return sdk::Claim::no("rows are rotated only when their length is a power of two, at least 32");
  return not_longer(width);
}

void emit_row_work(Emitter& emitter, Place x, Place y, Place pos, Count rows, std::int64_t width,
                   std::int64_t per_token, const RowWork& work) {
  const Rotation rotation = work.rope != nullptr ? rotation_of(emitter, *work.rope) : Rotation{};
  const auto kept = static_cast<std::uint32_t>(emitter.node().attr_int("rot"));
  constexpr std::uint32_t threads = 64;
  Dispatch d;
  d.shader = "row_op";
  d.constants = {threads, work.rope != nullptr, rotation.inverse, work.kv8, work.idx4, work.half, work.norm.wanted};
  d.at = {reads(x), writes(y), reads(pos), reads(rotation.frequencies), reads(work.norm.gain)};
  d.n = {u32(width),
         emitter.word(rows),
         u32(per_token),
         rotation.pairs,
         static_cast<std::uint32_t>(rotation.shift),
         kept,
         Emitter::word(work.norm.eps)};
  d.groups[0] = {rows};
  emitter.add(std::move(d));
}

namespace {

std::int64_t rows_per_token(const sdk::ValueView& out) {
  return static_cast<std::int64_t>(count_of(out, 1, std::max(out.rank() - 1, 1u)).most);
}

/// The node and the row work folded into it: norm, then rotation, then the node's own.
void emit_on_rows(Emitter& e, Place pos, RowWork work) {
  const sdk::NodeView out_node = e.node();
  const sdk::ValueView out = out_node.out(0);
  Place x = e.in(0);
  if (const sdk::NodeView* rope = e.folded("rope_tail")) {
    work.rope = rope;
    x = e.in(*rope, 0);
    pos = e.in(*rope, 1);
  }
  if (const sdk::NodeView* norm = e.folded("rms_norm")) {
    work.norm = {true, e.in(*norm, 1), static_cast<float>(norm->attr_float("eps"))};
    x = e.in(*norm, 0);
  }
  emit_row_work(e, x, e.out(0), pos, rows_of(out), out.cols(), rows_per_token(out), work);
}

sdk::Claim claim_rms_norm(const sdk::NodeView&) { return sdk::Claim::ok(); }

void emit_rms_norm(Emitter& e) {
  const sdk::ValueView out = e.node().out(0);
  const std::uint32_t threads = out.cols() > 1024 ? 256 : 64;
  Dispatch d;
  d.shader = "rms_norm";
  d.constants = {threads};
  d.at = {reads(e.in(0)), reads(e.in(1)), writes(e.out(0))};
  d.n = {u32(out.cols()), e.word(rows_of(out)), Emitter::word(static_cast<float>(e.node().attr_float("eps")))};
  d.groups[0] = {rows_of(out)};
  e.add(std::move(d));
}

sdk::Claim claim_rope(const sdk::NodeView& node) { return can_rotate(node, node.out(0).cols()); }
void emit_rope(Emitter& e) { emit_on_rows(e, e.in(1), {.norm = {}, .rope = &e.node()}); }

sdk::Claim claim_kv_round(const sdk::NodeView& node) { return can_round_kv(node, node.out(0).cols()); }
void emit_kv_round(Emitter& e) {
  emit_on_rows(e, {}, {.norm = {}, .kv8 = e.node().attr_int("kv8") != 0, .half = e.node().attr_int("f16") != 0});
}

sdk::Claim claim_index_round(const sdk::NodeView& node) { return can_round_index(node, node.out(0).cols()); }
void emit_index_round(Emitter& e) {
  emit_on_rows(e, {}, {.norm = {}, .idx4 = e.node().attr_int("idx4") != 0, .half = e.node().attr_int("f16") != 0});
}

constexpr OpEntry k_ops[] = {
    {"rms_norm", claim_rms_norm, emit_rms_norm},
    {"rope_tail", claim_rope, emit_rope},
    {"kv_round", claim_kv_round, emit_kv_round},
    {"index_round", claim_index_round, emit_index_round},
};

} // namespace

std::span<const OpEntry> row_ops() { return k_ops; }

} // namespace seacliff::vulkan
