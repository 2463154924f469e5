// Attention over the sliding window and the compressed rows, with one sink per head.
#include "catalogue.hpp"
#include "products.hpp"
#include "rows.hpp"

#include <algorithm>

namespace seacliff::vulkan {
namespace {

constexpr std::uint32_t k_threads = 256, k_heads_each = 4; // as attend.comp has them
constexpr std::int64_t k_widest = 512;

bool is_half(const sdk::ValueView& state) { return state && state.dtype() == DType::f16; }

/// The operands and sizes that seen.glsl begins with; inputs k, window, cache?, sel? stand from `first` on.
struct SeenRows {
  std::vector<Use> at;
  std::vector<Word> n;
  std::vector<std::uint32_t> halves;
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
void emit_dense(Emitter& e, std::string_view shader, std::vector<Word> words, std::uint32_t heads) {
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

/// One launch for few tokens: the rows of one are shared out among several workgroups, the last of which sums up.
/// Takes the query from before its norm and its rotation where those are folded into the node.
void emit_attend_few(Emitter& e, Place o, const sdk::NodeView* back) {
  constexpr std::uint32_t enough_groups = 264, most_parts = 64;
  const sdk::NodeView& node = e.node();
  const sdk::ValueView q = node.in(0), window = node.in(2), cache = node.in(3);
  const Count tokens = tokens_of(q);
  const auto heads = u32(q.dim(1)), width = u32(q.cols()), groups = (heads + k_heads_each - 1) / k_heads_each;
  const sdk::NodeView* rope = e.folded_before(node, 0);
  const sdk::NodeView* norm = rope != nullptr ? e.folded_before(*rope, 0) : nullptr;
  const Rotation turn = rope != nullptr ? rotation_of(e, *rope) : Rotation{};
  const Rotation turn_back = back != nullptr ? rotation_of(e, *back) : Rotation{};
  const Place query = norm != nullptr ? e.in(*norm, 0) : rope != nullptr ? e.in(*rope, 0) : e.in(0);
  const bool packed = is_half(window) && (!cache || is_half(cache)) && width % 8 == 0;
  const std::uint32_t tile = (packed ? 16u : 8u) * (e.shape().shared_bytes >= 48 * 1024 ? 2 : 1);
  const std::uint32_t stride = (width + 7) / 8 * (packed ? 4 : 8) + 4; // off by four words: rows begin in other banks

  SeenRows seen = seen_rows(e, 1, 6);
  const std::uint64_t tiles = (seen.most + tile - 1) / tile, units = tokens.most * groups;
  const std::uint64_t each =
      std::max((tiles * units + enough_groups - 1) / enough_groups, (tiles + most_parts - 1) / most_parts);
  const std::uint64_t parts = (tiles + each - 1) / each;
  const bool alone = tokens.most == 1;
  Dispatch d;
  d.shader = "attend_few";
  d.constants = {k_threads};
  d.constants.insert(d.constants.end(), seen.halves.begin(), seen.halves.end());
  d.constants.insert(d.constants.end(), {tile, stride, packed, norm != nullptr, rope != nullptr, back != nullptr,
                                         turn_back.inverse, alone});
  d.at = std::move(seen.at);
  d.at[1] = updates(e.out(1));
  d.at.insert(d.at.end(),
              {reads(query), updates(e.floats(tokens * (parts * groups * k_heads_each * (width + 2)))), reads(e.in(5)),
               writes(o), reads(e.counters(units + 1)), norm != nullptr ? reads(e.in(*norm, 1)) : Use{},
               reads(turn.frequencies), reads(turn_back.frequencies)});
  d.n = std::move(seen.n);
  const auto halves = [](std::uint32_t low, std::uint32_t high) { return (low & 0xffffu) | high << 16; };
  d.n.insert(d.n.end(),
             {heads, Emitter::word(static_cast<float>(node.attr_float("scale"))), halves(turn.pairs, turn_back.pairs),
              halves(static_cast<std::uint32_t>(turn.shift), static_cast<std::uint32_t>(turn_back.shift)),
              Emitter::word(norm != nullptr ? static_cast<float>(norm->attr_float("eps")) : 0.0f)});
  d.groups[0] = {fixed(groups + (alone ? 1 : 0))}; // alone: one more writes the window
  d.groups[1] = {fixed(parts)};
  d.groups[2] = {tokens};
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

/// The same in float32.
void emit_in_floats(Emitter& e, Place o) {
  const sdk::ValueView q = e.node().in(0);
  const auto heads = u32(q.dim(1));
  SeenRows seen = seen_rows(e, 1, 6);
  Dispatch d;
  d.shader = "attend";
  d.constants = {k_threads};
  d.constants.insert(d.constants.end(), seen.halves.begin(), seen.halves.end());
  d.at = std::move(seen.at);
  d.at.insert(d.at.end(), {reads(e.in(0)), writes(o), reads(e.in(5))});
  d.n = std::move(seen.n);
  d.n.insert(d.n.end(), {heads, Emitter::word(static_cast<float>(e.node().attr_float("scale")))});
  d.groups[0] = {fixed(heads), k_heads_each};
  d.groups[2] = {tokens_of(q)};
  e.add(std::move(d));
}

void emit_attention(Emitter& e) {
  const sdk::NodeView& node = e.node();
  const sdk::NodeView* rope = e.folded_behind();
  const sdk::ValueView q = node.in(0);
  const Count tokens = tokens_of(q);
  const auto heads = u32(q.dim(1)), width = u32(q.cols());
  const Place o = rope != nullptr ? Emitter::out(*rope, 0) : e.out(0);
  if (is_few(tokens)) return emit_attend_few(e, o, rope);

  const Place mixed = rope != nullptr ? e.floats(tokens * (std::uint64_t{heads} * width)) : o;
  in_matrices(e) ? emit_in_matrices(e, mixed) : emit_in_floats(e, mixed);
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
