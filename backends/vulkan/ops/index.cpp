// The lightning indexer: which compressed rows a token looks at.
#include "catalogue.hpp"
#include "products.hpp"
#include "rows.hpp"

#include <cmath>

namespace seacliff::vulkan {
namespace {

constexpr std::int64_t k_widest = 256;
constexpr std::uint32_t k_tile = 64, k_block = 1024, k_most_blocks = 16; // as index_score.comp has them

struct Scoring {
  Place iq, weights, cache, pos, seq, scores;
  sdk::ValueView state; // the cache
  Count tokens;
  std::uint32_t heads = 0, ratio = 1;
  float scale = 0;
  bool selects = false; // tokens that see no more rows than `enough` need no scores
  std::uint32_t enough = 0, blocks = 0;
  Place sel;               // with blocks: written there, too
  std::uint32_t parts = 2; // float16 that iq is the sum of: 1 where it is rounded to less
};

/// Matrix units take caches in float16 alone: rows are such numbers already.
bool in_matrices(const Emitter& e, const Scoring& s) {
  return e.shape().matrix != Matrix::none && !is_few(s.tokens) && s.state.dtype() == DType::f16 && s.heads <= 64 &&
         s.state.cols() % 16 == 0 && s.state.cols() <= 128;
}

void emit_in_matrices(Emitter& e, const Scoring& s) {
  constexpr std::uint32_t threads = 256, part = 16, rows_each = 128, tokens_each = 16; // as index_tiles.glsl has them
  const auto rows = u32(s.state.dim(1)), width = u32(s.state.cols());
  Dispatch d;
  d.shader = e.shape().matrix == Matrix::plain ? "index_matrix_plain" : "index_matrix";
  d.constants = {threads, (s.heads + part - 1) / part, width / part, s.parts, s.selects};
  d.at = {reads(e.half_of(s.iq, s.tokens * s.heads, width, s.parts).x),
          reads(s.weights),
          reads(s.cache),
          reads(s.pos),
          reads(s.seq),
          writes(s.scores)};
  d.n = {s.heads, rows, s.ratio, Emitter::word(s.scale), s.enough, e.word(s.tokens)};
  d.groups[0] = {fixed(rows), rows_each};
  d.groups[1] = {s.tokens, tokens_each};
  e.add(std::move(d));
}

void emit_scores(Emitter& e, const Scoring& s) {
  if (in_matrices(e, s)) return emit_in_matrices(e, s);
  const auto rows = u32(s.state.dim(1));
  Dispatch d;
  d.shader = "index_score";
  d.constants = {256, s.state.dtype() == DType::f16, u32(s.state.cols()), s.selects, s.blocks};
  d.at = {reads(s.iq), reads(s.weights), reads(s.cache), reads(s.pos), reads(s.seq), updates(s.scores)};
  if (s.blocks != 0) d.at.insert(d.at.end(), {writes(s.sel), reads(e.counters(s.tokens.most))});
  d.n = {s.heads, rows, s.ratio, Emitter::word(s.scale), s.enough, s.blocks != 0 ? s.blocks * k_block : rows};
  d.groups[0] = {fixed(rows), k_tile};
  d.groups[1] = {s.tokens};
  e.add(std::move(d));
}

/// `pos` absent: any row may be taken.
void emit_top_rows(Emitter& e, Place scores, Place sel, Place pos, std::uint32_t rows, std::uint32_t k,
                   std::uint32_t ratio, Count tokens) {
  Dispatch d;
  d.shader = "top_k_rows";
  d.constants = {256, pos ? 1u : 0u};
  d.at = {reads(scores), writes(sel), reads(pos)};
  d.n = {rows, k, ratio};
  d.groups[0] = {tokens};
  e.add(std::move(d));
}

sdk::Claim can_score(const sdk::NodeView& node, std::uint32_t cache) {
  const std::int64_t width = node.in(cache).cols();
  if (width > k_widest)
    return sdk::Claim::no("rows of " + std::to_string(width) + " elements are wider than " + std::to_string(k_widest));
  return with_states(node, {cache});
}

sdk::Claim claim_index_score(const sdk::NodeView& node) { return can_score(node, 2); }

void emit_index_score(Emitter& e) {
  const sdk::NodeView& node = e.node();
  Scoring s;
  s.iq = e.in(0);
  s.weights = e.in(1);
  s.cache = e.in(2);
  s.pos = e.in(3);
  s.seq = e.in(4);
  s.scores = e.out(0);
  s.state = node.in(2);
  s.tokens = tokens_of(node.in(0));
  s.heads = u32(node.in(0).dim(1));
  s.ratio = u32(node.attr_int("ratio"));
  s.scale = static_cast<float>(node.attr_float("scale"));
  emit_scores(e, s);
}

sdk::Claim claim_top_k_rows(const sdk::NodeView&) { return sdk::Claim::ok(); }

void emit_top_k_rows(Emitter& e) {
  const sdk::ValueView scores = e.node().in(0), sel = e.node().out(0);
  emit_top_rows(e, e.in(0), e.out(0), {}, u32(scores.cols()), u32(sel.cols()), 1, tokens_of(scores));
}

sdk::Claim claim_index_select(const sdk::NodeView& node) {
  const std::int64_t width = node.in(4).cols();
  return all_of(
      {can_score(node, 4), with_weights(node, {2, 3}), can_rotate(node, width), can_round_index(node, width)});
}

void emit_index_select(Emitter& e) {
  const sdk::NodeView& node = e.node();
  const auto rows = u32(node.in(4).dim(1));
  Scoring s;
  s.state = node.in(4);
  s.tokens = tokens_of(node.in(0));
  s.heads = u32(node.in(3).rows());
  s.cache = e.in(4);
  s.pos = e.in(5);
  s.seq = e.in(6);
  s.ratio = u32(node.attr_int("ratio"));
  s.enough = u32(node.out(0).cols());
  if (rows <= s.enough) // nobody sees more rows than are taken
    return emit_top_rows(e, {}, e.out(0), s.pos, rows, s.enough, s.ratio, s.tokens);

  const auto width = static_cast<std::uint64_t>(s.state.cols());
  const Place raw = e.floats(s.tokens * (s.heads * width));
  s.iq = e.floats(s.tokens * (s.heads * width));
  s.weights = e.floats(s.tokens * s.heads);
  s.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.heads * width)));
  s.selects = true;
  s.parts = node.attr_int("idx4") != 0 ? 1 : 2;
  s.sel = e.out(0);
  // Few tokens: so few workgroups would select that the last of those that score had better do it.
  const std::uint32_t blocks = (rows + k_block - 1) / k_block;
  if (is_few(s.tokens) && blocks <= k_most_blocks) s.blocks = blocks;
  s.scores = e.floats(s.tokens * (s.blocks != 0 ? std::uint64_t{s.blocks} * k_block : rows));
  emit_product(e, product_of_input(e, 0, 2, raw, s.tokens));
  emit_product(e, product_of_input(e, 1, 3, s.weights, s.tokens));
  emit_row_work(e, raw, s.iq, s.pos, s.tokens * s.heads, s.state.cols(), s.heads,
                {.norm = {}, .rope = &node, .idx4 = node.attr_int("idx4") != 0});
  emit_scores(e, s);
  if (s.blocks == 0) emit_top_rows(e, s.scores, e.out(0), s.pos, rows, s.enough, s.ratio, s.tokens);
}

constexpr OpEntry k_ops[] = {
    {"index_score", claim_index_score, emit_index_score},
    {"top_k_rows", claim_top_k_rows, emit_top_k_rows},
    {"index_select", claim_index_select, emit_index_select},
};

} // namespace

std::span<const OpEntry> index_ops() { return k_ops; }

} // namespace seacliff::vulkan
