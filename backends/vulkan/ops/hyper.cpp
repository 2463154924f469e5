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

/// What goes back into the streams: one value, or the two that were to be added first.
struct Added {
  Place y, more;
};
Added added_by(const Emitter& e, const sdk::NodeView& post) {
  if (const sdk::NodeView* add = e.folded("add")) return {e.in(*add, 0), e.in(*add, 1)};
  return {e.in(post, 1), {}};
}

void emit_hc_post(Emitter& e) {
  const sdk::ValueView s = e.node().in(0);
  const Count n = tokens_of(s) * static_cast<std::uint64_t>(s.cols());
  const Added added = added_by(e, e.node());
  emit_elements(e, "hc_post",
                {reads(e.in(0)), reads(added.y), reads(e.in(2)), reads(e.in(3)), writes(e.out(0)), reads(added.more)},
                n, {e.word(n), u32(s.cols()), u32(s.dim(1))});
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

/// Parts of at most 1024 columns, so that the whole device takes part and hc_turn.comp can keep one.
std::uint32_t parts_of(std::uint32_t columns) { return (columns + 1023) / 1024; }

/// Products of the streams with fn, in parts of the columns, and sums of squares.
struct Dots {
  Place sums;
  std::uint32_t parts = 1;
};

Dots emit_dots(Emitter& e, Place streams) {
  const sdk::ValueView s = e.node().in(0), fn = e.node().in(1);
  const auto k = u32(fn.cols()), rows = u32(fn.rows());
  const Count tokens = tokens_of(s);
  const std::uint32_t at_once = is_few(tokens) ? 1 : 4;
  Dots dots;
  if (is_few(tokens)) dots.parts = parts_of(k);
  dots.sums = e.floats(tokens * (std::uint64_t{dots.parts} * (rows + 1)));
  Dispatch d;
  d.shader = "hc_dots";
  d.constants = {k_row_groups * e.subgroup(), format_word(format_of(fn)), at_once, is_aligned(k)};
  d.at = {reads(streams), reads(e.in(1)), writes(dots.sums), reads(grid_of(e, fn.dtype()))};
  d.n = {k, rows, dots.parts, e.word(tokens)};
  d.groups[0] = {fixed(dots.parts)};
  d.groups[1] = {fixed(rows + 1), k_row_groups};
  d.groups[2] = {tokens, at_once};
  e.add(std::move(d));
  return dots;
}

/// The same of streams that `post` makes on the way.
Dots emit_turn(Emitter& e, const sdk::NodeView& post) {
  const sdk::ValueView s = e.node().in(0), fn = e.node().in(1);
  const auto k = u32(fn.cols()), rows = u32(fn.rows());
  const Count tokens = tokens_of(s);
  const Added added = added_by(e, post);
  Dots dots;
  dots.parts = parts_of(k);
  dots.sums = e.floats(tokens * (std::uint64_t{dots.parts} * (rows + 1)));
  Dispatch d;
  d.shader = "hc_turn";
  d.constants = {k_row_groups * e.subgroup(), format_word(format_of(fn))};
  d.at = {reads(e.in(post, 0)), reads(added.y),       reads(added.more),
          reads(e.in(post, 2)), reads(e.in(post, 3)), writes(Emitter::out(post, 0)),
          reads(e.in(1)),       writes(dots.sums),    reads(grid_of(e, fn.dtype()))};
  d.n = {k, rows, dots.parts, u32(s.cols()), u32(s.dim(1))};
  d.groups[0] = {fixed(dots.parts)};
  d.groups[1] = {fixed(rows + 1), k_row_groups};
  d.groups[2] = {tokens};
  e.add(std::move(d));
  return dots;
}

/// Two launches: the products with fn, the gates and the streams mixed by them.
void emit_gated_mix(Emitter& e, bool head) {
  const sdk::ValueView s = e.node().in(0);
  const auto width = u32(s.cols());
  const Count tokens = tokens_of(s);
  const sdk::NodeView* post = e.folded("hc_post");
  const Place streams = post != nullptr ? Emitter::out(*post, 0) : e.in(0);
  const Dots dots = post != nullptr ? emit_turn(e, *post) : emit_dots(e, streams);

  constexpr std::uint32_t threads = 256;
  const std::uint32_t pieces = is_few(tokens) ? std::max(width / threads, 1u) : 1;
  Dispatch mix;
  mix.shader = "hc_mix";
  mix.constants = {threads, head};
  mix.at = {reads(dots.sums), reads(e.in(2)), reads(e.in(3)), reads(streams), writes(e.out(0))};
  if (!head) mix.at.insert(mix.at.end(), {writes(e.out(1)), writes(e.out(2))});
  mix.n = {u32(s.dim(1)),
           width,
           dots.parts,
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
