// Hyper-connections: n residual streams, mixed by gates that depend on the token.
#include "catalogue.hpp"
#include "elementwise.hpp"
#include "products.hpp"

namespace seacliff::vulkan {
namespace {

constexpr std::int64_t k_most_streams = 8; // as hyper.glsl has it

sdk::Claim claim_any(const sdk::NodeView&) { return sdk::Claim::ok(); }

sdk::Claim few_streams(std::int64_t n) {
  if (n <= k_most_streams) return sdk::Claim::ok();
  return sdk::Claim::no(std::to_string(n) + " streams are more than " + std::to_string(k_most_streams));
}

void emit_repeat_streams(Emitter& e) {
  const sdk::ValueView out = e.node().out(0);
  const Count n = elems_of(out);
  emit_elements(e, "repeat_streams", {reads(e.in(0)), writes(e.out(0))}, n,
                {e.word(n), u32(out.cols()), u32(out.dim(1))});
}

void emit_hc_gate(Emitter& e) {
  const sdk::ValueView out = e.node().out(0);
  const Count n = elems_of(out);
  emit_elements(e, "hc_gate", {reads(e.in(0)), reads(e.in(1)), reads(e.in(2)), writes(e.out(0))}, n,
                {e.word(n), u32(out.cols()), Emitter::word(static_cast<float>(e.node().attr_float("eps")))});
}

void emit_stream_mix(Emitter& e) {
  const sdk::ValueView s = e.node().in(0), a = e.node().in(1);
  const Count n = elems_of(e.node().out(0));
  emit_elements(e, "stream_mix", {reads(e.in(0)), reads(e.in(1)), writes(e.out(0))}, n,
                {e.word(n), u32(s.cols()), u32(s.dim(1)), a.rank() == 3 ? u32(a.dim(2)) : 1});
}

void emit_stream_add(Emitter& e) {
  const sdk::ValueView s = e.node().in(0);
  const Count n = elems_of(s);
  emit_elements(e, "stream_add", {reads(e.in(0)), reads(e.in(1)), reads(e.in(2)), writes(e.out(0))}, n,
                {e.word(n), u32(s.cols()), u32(s.dim(1))});
}

void emit_hc_post(Emitter& e) {
  const sdk::ValueView s = e.node().in(0);
  const Count n = tokens_of(s) * static_cast<std::uint64_t>(s.cols());
  emit_elements(e, "hc_post", {reads(e.in(0)), reads(e.in(1)), reads(e.in(2)), reads(e.in(3)), writes(e.out(0))}, n,
                {e.word(n), u32(s.cols()), u32(s.dim(1))});
}

sdk::Claim claim_hc_split(const sdk::NodeView& node) { return few_streams(node.out(0).cols()); }

void emit_hc_split(Emitter& e) {
  const Count tokens = tokens_of(e.node().in(0));
  Dispatch d;
  d.shader = "hc_split";
  d.constants = {64};
  d.at = {reads(e.in(0)), reads(e.in(1)), reads(e.in(2)), writes(e.out(0)), writes(e.out(1)), writes(e.out(2))};
  d.n = {u32(e.node().out(0).cols()), e.word(tokens), u32(e.node().attr_int("iters")),
         Emitter::word(static_cast<float>(e.node().attr_float("eps")))};
  d.groups[0] = {tokens};
  e.add(std::move(d));
}

/// Two launches: the products with fn, in parts; the gates, and the streams mixed by them.
void emit_gated_mix(Emitter& e, bool head) {
  const sdk::ValueView s = e.node().in(0), fn = e.node().in(1);
  const auto k = u32(fn.cols()), rows = u32(fn.rows()), width = u32(s.cols());
  const Count tokens = tokens_of(s);
  const std::uint32_t at_once = is_few(tokens) ? 1 : 4;
  // Few tokens: many parts, so that the whole device takes part.
  const std::uint32_t parts = is_few(tokens) ? std::clamp(k / 1024, 1u, 16u) : 1;
  const Place sums = e.floats(tokens * (std::uint64_t{parts} * (rows + 1)));
  Dispatch dots;
  dots.shader = "hc_dots";
  dots.constants = {k_row_groups * e.subgroup(), format_word(fn.dtype()), at_once, is_aligned(k)};
  dots.at = {reads(e.in(0)), reads(e.in(1)), writes(sums), reads(grid_of(e, fn.dtype()))};
  dots.n = {k, rows, parts, e.word(tokens)};
  dots.groups[0] = {fixed(parts)};
  dots.groups[1] = {fixed(rows + 1), k_row_groups};
  dots.groups[2] = {tokens, at_once};
  e.add(std::move(dots));

  constexpr std::uint32_t threads = 256;
  const std::uint32_t pieces = is_few(tokens) ? std::max(width / threads, 1u) : 1;
  Dispatch mix;
  mix.shader = "hc_mix";
  mix.constants = {threads, head};
  mix.at = {reads(sums), reads(e.in(2)), reads(e.in(3)), reads(e.in(0)), writes(e.out(0))};
  if (!head) mix.at.insert(mix.at.end(), {writes(e.out(1)), writes(e.out(2))});
  mix.n = {u32(s.dim(1)),
           width,
           parts,
           head ? 0 : u32(e.node().attr_int("iters")),
           Emitter::word(static_cast<float>(e.node().attr_float("eps"))),
           Emitter::word(static_cast<float>(e.node().attr_float("rms_eps"))),
           pieces};
  mix.groups[0] = {fixed(head ? pieces : pieces + 1)};
  mix.groups[1] = {tokens};
  e.add(std::move(mix));
}

sdk::Claim claim_hc_pre(const sdk::NodeView& node) {
  return all_of({few_streams(node.in(0).dim(1)), with_weights(node, {1})});
}
void emit_hc_pre(Emitter& e) { emit_gated_mix(e, false); }
void emit_hc_head(Emitter& e) { emit_gated_mix(e, true); }

constexpr OpEntry k_ops[] = {
    {"repeat_streams", claim_any, emit_repeat_streams},
    {"hc_gate", claim_any, emit_hc_gate},
    {"stream_mix", claim_any, emit_stream_mix},
    {"stream_add", claim_any, emit_stream_add},
    {"hc_post", claim_any, emit_hc_post},
    {"hc_split", claim_hc_split, emit_hc_split},
    {"hc_pre", claim_hc_pre, emit_hc_pre},
    {"hc_head", claim_hc_pre, emit_hc_head},
};

} // namespace

std::span<const OpEntry> hyper_ops() { return k_ops; }

} // namespace seacliff::vulkan
