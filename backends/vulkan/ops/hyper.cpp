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

/// m[T,J] to gates; `at` as hc_split.comp has it.
void emit_split(Emitter& e, std::vector<Use> at, std::int64_t streams, Count tokens) {
  constexpr std::uint32_t threads = 32;
  Dispatch d;
  d.shader = "hc_split";
  d.constants = {threads, u32(streams)};
  d.at = std::move(at);
  d.n = {e.word(tokens), u32(e.node().attr_int("iters")),
         Emitter::word(static_cast<float>(e.node().attr_float("eps")))};
  d.groups[0] = {tokens, threads};
  e.add(std::move(d));
}

void emit_hc_split(Emitter& e) {
  emit_split(e, {reads(e.in(0)), reads(e.in(1)), reads(e.in(2)), writes(e.out(0)), writes(e.out(1)), writes(e.out(2))},
             e.node().out(0).cols(), tokens_of(e.node().in(0)));
}

/// Products of the streams with fn, and sums of squares.
Place emit_dots(Emitter& e) {
  const sdk::ValueView s = e.node().in(0), fn = e.node().in(1);
  const auto k = u32(fn.cols()), rows = u32(fn.rows());
  const Count tokens = tokens_of(s);
  constexpr std::uint32_t at_once = 4;
  const Place sums = e.floats(tokens * (rows + 1));
  Dispatch d;
  d.shader = "hc_dots";
  d.constants = {k_row_groups * e.subgroup(), format_word(format_of(fn)), at_once, is_aligned(k)};
  d.at = {reads(e.in(0)), reads(e.in(1)), writes(sums), reads(grid_of(e, fn.dtype()))};
  d.n = {k, rows, e.word(tokens)};
  d.groups[0] = {fixed(rows + 1), k_row_groups};
  d.groups[1] = {tokens, at_once};
  e.add(std::move(d));
  return sums;
}

/// Three launches: the products with fn, the streams mixed by their gates, the gates for hc_post.
void emit_dots_and_mix(Emitter& e, bool head) {
  const sdk::ValueView s = e.node().in(0);
  const Count tokens = tokens_of(s);
  const auto rows = static_cast<std::uint64_t>(e.node().in(1).rows());
  const Place sums = emit_dots(e), numbers = head ? Place{} : e.floats(tokens * rows);
  Dispatch mix;
  mix.shader = "hc_mix";
  mix.constants = {256, u32(s.dim(1)), head};
  mix.at = {reads(sums), reads(e.in(2)), reads(e.in(3)), reads(e.in(0)), writes(e.out(0)), writes(numbers)};
  mix.n = {u32(s.cols()), Emitter::word(static_cast<float>(e.node().attr_float("eps"))),
           Emitter::word(static_cast<float>(e.node().attr_float("rms_eps")))};
  mix.groups[0] = {tokens};
  e.add(std::move(mix));
  if (!head)
    emit_split(e, {reads(numbers), reads(e.in(2)), reads(e.in(3)), {}, writes(e.out(1)), writes(e.out(2))}, s.dim(1),
               tokens);
}

/// For few tokens, with what `post` makes of the streams on the way; nullptr: they are there. Gates for hc_post are
/// made behind it, beside what goes on with x.
void emit_turn(Emitter& e, const sdk::NodeView* post, bool head) {
  const sdk::ValueView s = e.node().in(0), fn = e.node().in(1);
  const auto k = u32(fn.cols()), rows = u32(fn.rows());
  const Count tokens = tokens_of(s);
  constexpr std::uint32_t subgroups = 8;
  const Place numbers = e.floats(tokens * rows);
  const std::uint32_t columns = 4 * e.subgroup(), parts = (k + columns - 1) / columns;
  const Added added = post != nullptr ? added_by(e, *post) : Added{};
  Dispatch d;
  d.shader = "hc_turn";
  d.constants = {subgroups * e.subgroup(),      format_word(format_of(fn)), u32(s.dim(1)), post != nullptr, head,
                 (rows + subgroups) / subgroups};
  d.at = {post != nullptr ? reads(e.in(*post, 0)) : Use{},
          reads(added.y),
          reads(added.more),
          post != nullptr ? reads(e.in(*post, 2)) : Use{},
          post != nullptr ? reads(e.in(*post, 3)) : Use{},
          post != nullptr ? updates(Emitter::out(*post, 0)) : reads(e.in(0)),
          reads(e.in(1)),
          updates(e.floats(tokens * (std::uint64_t{rows + 1} * parts))),
          reads(e.in(2)),
          reads(e.in(3)),
          writes(e.out(0)),
          writes(numbers),
          reads(e.counters(tokens.most)),
          reads(grid_of(e, fn.dtype()))};
  d.n = {k, parts, u32(s.cols()), Emitter::word(static_cast<float>(e.node().attr_float("eps"))),
         Emitter::word(static_cast<float>(e.node().attr_float("rms_eps")))};
  d.groups[0] = {fixed(parts)};
  d.groups[1] = {tokens};
  e.add(std::move(d));
  if (!head)
    emit_split(e, {reads(numbers), reads(e.in(2)), reads(e.in(3)), {}, writes(e.out(1)), writes(e.out(2))}, s.dim(1),
               tokens);
}

void emit_gated_mix(Emitter& e, bool head) {
  const sdk::ValueView s = e.node().in(0);
  const bool whole = s.cols() % 4 == 0 && is_aligned(u32(e.node().in(1).cols())) != 0; // as hc_turn.comp reads them
  is_few(tokens_of(s)) && whole ? emit_turn(e, e.folded("hc_post"), head) : emit_dots_and_mix(e, head);
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
