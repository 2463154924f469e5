// Attention over the sliding window and the compressed rows, with one sink per head.
#include "catalogue.hpp"
#include "products.hpp"
#include "rows.hpp"

namespace seacliff::vulkan {
namespace {

constexpr std::uint32_t k_threads = 256, k_heads_each = 4; // as attend.comp has them
constexpr std::int64_t k_widest = 512;

bool is_half(const sdk::ValueView& state) { return state && state.dtype() == DType::f16; }

/// The operands and sizes that seen.glsl begins with; inputs k, window, cache?, sel? stand from `first` on.
struct SeenRows {
  std::vector<Use> at;
  std::vector<std::uint32_t> n, halves;
  std::uint64_t most = 0; // rows that one token may see
};

SeenRows seen_rows(const Emitter& e, std::uint32_t first, std::uint32_t pos) {
  const sdk::NodeView& node = e.node();
  const sdk::ValueView window = node.in(first + 1), cache = node.in(first + 2), sel = node.in(first + 3);
  const auto rows = cache ? u32(cache.dim(1)) : 0, selected = sel ? u32(sel.cols()) : 0;
  SeenRows seen;
  seen.at = {reads(e.in(first)),     reads(e.in(first + 1)), reads(e.in(first + 2)),
             reads(e.in(first + 3)), reads(e.in(pos)),       reads(e.in(pos + 1))};
  seen.n = {u32(node.in(first).cols()),
            u32(window.dim(1)),
            rows,
            selected,
            u32(node.attr_int("window")),
            std::max(u32(node.attr_int("ratio")), 1u)};
  seen.halves = {is_half(window), is_half(cache)};
  seen.most = static_cast<std::uint64_t>(node.attr_int("window")) + (sel ? selected : rows);
  return seen;
}

void emit_ring_write(Emitter& e, Place k, Place window, const sdk::ValueView& state, Place pos, Place seq,
                     Count tokens) {
  Dispatch d;
  d.shader = "ring_write";
  d.constants = {64, is_half(state)};
  d.at = {reads(k), updates(window), reads(pos), reads(seq)};
  d.n = {u32(state.dim(1)), u32(state.cols())};
  d.groups[0] = {tokens};
  e.add(std::move(d));
}

sdk::Claim claim_ring_write(const sdk::NodeView& node) { return with_states(node, {1}); }
void emit_ring_write_op(Emitter& e) {
  emit_ring_write(e, e.in(0), e.out(0), e.node().in(1), e.in(2), e.in(3), tokens_of(e.node().in(0)));
}

sdk::Claim claim_gather_kv(const sdk::NodeView& node) { return with_states(node, {1, 2}); }

void emit_gather_kv(Emitter& e) {
  SeenRows seen = seen_rows(e, 0, 4);
  Dispatch d;
  d.shader = "gather_kv";
  d.constants = {k_threads};
  d.constants.insert(d.constants.end(), seen.halves.begin(), seen.halves.end());
  d.at = std::move(seen.at);
  d.at.insert(d.at.end(), {writes(e.out(0)), writes(e.out(1))});
  d.n = std::move(seen.n);
  d.n.push_back(u32(e.node().out(0).dim(1)));
  d.groups[0] = {tokens_of(e.node().in(0))};
  e.add(std::move(d));
}

/// attn_scores, softmax_sink, attn_mix: a workgroup has one head of one token.
void emit_dense(Emitter& e, std::string_view shader, std::vector<std::uint32_t> words, std::uint32_t heads) {
  Dispatch d;
  d.shader = shader;
  d.constants = {128};
  d.at = {reads(e.in(0)), reads(e.in(1)), reads(e.in(2)), writes(e.out(0))};
  d.n = std::move(words);
  d.groups[0] = {fixed(heads)};
  d.groups[1] = {tokens_of(e.node().in(0))};
  e.add(std::move(d));
}

sdk::Claim claim_any(const sdk::NodeView&) { return sdk::Claim::ok(); }

void emit_attn_scores(Emitter& e) {
  const sdk::ValueView q = e.node().in(0), rows = e.node().in(1);
  emit_dense(
      e, "attn_scores",
      {u32(q.cols()), u32(rows.dim(1)), u32(q.dim(1)), Emitter::word(static_cast<float>(e.node().attr_float("scale")))},
      u32(q.dim(1)));
}

void emit_softmax_sink(Emitter& e) {
  const sdk::ValueView scores = e.node().in(0);
  emit_dense(e, "softmax_sink", {u32(scores.cols()), u32(scores.dim(1))}, u32(scores.dim(1)));
}

void emit_attn_mix(Emitter& e) {
  const sdk::ValueView probs = e.node().in(0), rows = e.node().in(1);
  emit_dense(e, "attn_mix", {u32(rows.cols()), u32(rows.dim(1)), u32(probs.dim(1))}, u32(probs.dim(1)));
}

sdk::Claim claim_attention(const sdk::NodeView& node) {
  if (node.in(0).cols() > k_widest)
    return sdk::Claim::no("heads of " + std::to_string(node.in(0).cols()) + " elements are wider than " +
                          std::to_string(k_widest));
  return with_states(node, {2, 3});
}

/// The parts of a head become one; the window is written beside. `rope`: the node that turns the result; nullptr: none.
void emit_merge(Emitter& e, Place sums, Place o, std::uint32_t parts, const sdk::NodeView* rope) {
  const sdk::ValueView q = e.node().in(0), window = e.node().in(2);
  const auto heads = u32(q.dim(1));
  const Rotation rotation = rope != nullptr ? rotation_of(e, *rope) : Rotation{};
  Dispatch d;
  d.shader = "attend_merge";
  d.constants = {128, rope != nullptr, rotation.inverse, is_half(window)};
  d.at = {reads(sums),       reads(e.in(5)), writes(o),      reads(e.in(1)),
          updates(e.out(1)), reads(e.in(6)), reads(e.in(7)), reads(rotation.frequencies)};
  d.n = {u32(q.cols()), parts, heads, u32(window.dim(1)), rotation.pairs, static_cast<std::uint32_t>(rotation.shift)};
  d.groups[0] = {fixed(heads + 1)};
  d.groups[1] = {tokens_of(q)};
  e.add(std::move(d));
}

/// Matrix units take states in float16 alone: rows are such numbers already.
bool in_matrices(const Emitter& e) {
  const sdk::ValueView window = e.node().in(2), cache = e.node().in(3);
  return e.shape().matrix != Matrix::none && is_half(window) && (!cache || is_half(cache)) && window.cols() % 8 == 0;
}

void emit_in_matrices(Emitter& e, Place o) {
  const sdk::ValueView q = e.node().in(0);
  const Count tokens = tokens_of(q);
  const auto heads = u32(q.dim(1)), width = u32(q.cols());
  constexpr std::uint32_t slices = 8, part = 16, large_bytes = 37 * 1024; // as attend_tiles.glsl has them
  SeenRows seen = seen_rows(e, 1, 6);
  seen.at[0] = reads(e.half_of(e.in(1), tokens, width).x);
  Dispatch d;
  d.shader = e.shape().matrix == Matrix::plain ? "attend_matrix_plain" : "attend_matrix";
  std::uint32_t head_parts = heads > part && e.shape().shared_bytes >= large_bytes ? 2 : 1;
  d.constants = {k_threads, 1, 1, head_parts, (width + slices * part - 1) / (slices * part)};
  d.at = std::move(seen.at);
  d.at.insert(d.at.end(), {reads(e.in(0)), writes(o), reads(e.in(5))});
  d.n = std::move(seen.n);
  d.n.insert(d.n.end(), {heads, Emitter::word(static_cast<float>(e.node().attr_float("scale")))});
  d.groups[0] = {fixed(heads), head_parts * part};
  d.groups[1] = {tokens};
  e.add(std::move(d));
}

/// The parts of a head, or with one part the heads themselves.
void emit_parts(Emitter& e, Place sums, std::uint32_t parts) {
  const sdk::ValueView q = e.node().in(0);
  const auto heads = u32(q.dim(1));
  SeenRows seen = seen_rows(e, 1, 6);
  Dispatch d;
  d.shader = "attend";
  d.constants = {k_threads};
  d.constants.insert(d.constants.end(), seen.halves.begin(), seen.halves.end());
  d.constants.push_back(parts);
  d.at = std::move(seen.at);
  d.at.insert(d.at.end(), {reads(e.in(0)), writes(sums), reads(e.in(5))});
  d.n = std::move(seen.n);
  d.n.insert(d.n.end(), {heads, Emitter::word(static_cast<float>(e.node().attr_float("scale")))});
  d.groups[0] = {fixed(heads), k_heads_each};
  d.groups[1] = {fixed(parts)};
  d.groups[2] = {tokens_of(q)};
  e.add(std::move(d));
}

void emit_attention(Emitter& e) {
  const sdk::NodeView& node = e.node();
  const sdk::NodeView* rope = e.folded("rope_tail");
  const sdk::ValueView q = node.in(0);
  const Count tokens = tokens_of(q);
  const auto heads = u32(q.dim(1)), width = u32(q.cols());
  const Place o = rope != nullptr ? Emitter::out(*rope, 0) : e.out(0);
  if (is_few(tokens)) { // the rows of one token are shared out among several workgroups
    const std::uint64_t most = seen_rows(e, 1, 6).most;
    const auto parts = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(most / 64, 2, 16));
    const Place sums = e.floats(tokens * (std::uint64_t{heads} * parts * (width + 2)));
    emit_parts(e, sums, parts);
    return emit_merge(e, sums, o, parts, rope);
  }
  const Place mixed = rope != nullptr ? e.floats(tokens * (std::uint64_t{heads} * width)) : o;
  in_matrices(e) ? emit_in_matrices(e, mixed) : emit_parts(e, mixed, 1);
  if (rope != nullptr)
    emit_row_work(e, mixed, o, e.in(*rope, 1), tokens * heads, width, heads, {.norm = {}, .rope = rope});
  emit_ring_write(e, e.in(1), e.out(1), node.in(2), e.in(6), e.in(7), tokens);
}

constexpr OpEntry k_ops[] = {
    {"ring_write", claim_ring_write, emit_ring_write_op},
    {"gather_kv", claim_gather_kv, emit_gather_kv},
    {"attn_scores", claim_any, emit_attn_scores},
    {"softmax_sink", claim_any, emit_softmax_sink},
    {"attn_mix", claim_any, emit_attn_mix},
    {"attention_mixed", claim_attention, emit_attention},
};

} // namespace

std::span<const OpEntry> attention_ops() { return k_ops; }

} // namespace seacliff::vulkan
