#include "ops/cases/data.hpp"

#include <algorithm>
#include <cmath>

namespace seacliff::ops {
namespace {

constexpr std::int64_t k_heads = 3, k_width = 48; // of the dense ops

struct Layer {
  std::int64_t window, ring, heads, width, ratio; // ratio 0: no cache
  std::int64_t selected;                          // S; 0: no sel
  DType state;

  std::string name() const {
    return fmt::format("W={} R={} H={} D={} r={} S={} {}", window, ring, heads, width, ratio, selected,
                       format_name(state));
  }
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> all = {
      {16, 16, 3, 32, 0, 0, DType::f32}, {16, 16, 4, 64, 4, 0, DType::f16},    {16, 23, 2, 32, 4, 5, DType::f16},
      {16, 16, 4, 64, 4, 5, DType::f32}, {64, 64, 8, 128, 128, 0, DType::f16}, {16, 40, 5, 48, 4, 0, DType::f32},
  };
  return all;
}

/// Batches around the edges of the window and of the compression windows.
std::vector<Runs> batches(const Layer& layer) {
  const std::int64_t w = layer.window, edge = std::max<std::int64_t>(layer.ratio, 4);
  return {{{0, 0, 1}},
          {{1, w - 1, 1}},
          {{0, w, 1}},
          {{2, w + 1, 1}},
          {{0, edge - 1, 2}},
          {{1, 2 * w + 3, 5}},
          {{0, 0, 33}},
          {{2, 3 * w + 1, 33}},
          {{0, 100, 1}, {1, w - 2, 4}, {2, 0, 2}},
          {{2, edge - 2, 3}, {0, 2 * edge - 1, 1}}};
}

std::int64_t cache_rows(const Layer& layer, const Runs& runs) {
  std::int64_t last = 0;
  for (const Run& run : runs) last = std::max(last, run.pos + run.tokens);
  return last / layer.ratio + 2;
}

/// window, cache, sel. The rows that tokens of this batch complete are in the cache already.
void add_rows(CaseBuilder& b, const Layer& layer, const Runs& runs) {
  b.state(layer.state, {n(k_slots), n(layer.ring), n(layer.width)}, 1.0,
          [&](std::int64_t slot, std::int64_t row) { return row < start_of(runs, slot); });
  if (layer.ratio == 0) {
    b.absent().absent();
    return;
  }
  b.state(layer.state, {n(k_slots), n(cache_rows(layer, runs)), n(layer.width)}, 1.0,
          [&](std::int64_t slot, std::int64_t row) {
            const auto run = std::ranges::find(runs, slot, &Run::slot);
            return run != runs.end() && row < (run->pos + run->tokens) / layer.ratio;
          });
  if (layer.selected == 0) {
    b.absent();
    return;
  }
  std::vector<std::int32_t> sel;
  for (const Run& run : runs)
    for (std::int64_t i = 0; i < run.tokens; ++i) { // an ascending choice of the visible rows
      const std::int64_t visible = (run.pos + i + 1) / layer.ratio;
      std::int64_t left = std::min(visible, layer.selected), taken = 0;
      for (std::int64_t row = 0; row < visible && left > 0; ++row)
        if (b.random().below(visible - row) < left) {
          sel.push_back(static_cast<std::int32_t>(row));
          --left;
          ++taken;
        }
      for (; taken < layer.selected; ++taken) sel.push_back(-1);
    }
  b.i32({b.T(), n(layer.selected)}, sel);
}

Attrs row_attrs(const Layer& layer) { return {{"window", layer.window}, {"ratio", layer.ratio}}; }

/// What f16 does not hold exactly never reaches an f16 STATE.
bool exact_f16(const Layer& layer) { return layer.state == DType::f16; }

Case ring_write_case(const Layer& layer, const Runs& runs) {
  CaseBuilder b("ring_write", fmt::format("{} {}", layer.name(), describe(runs)), count_tokens(runs));
  b.activations({b.T(), n(layer.width)});
  b.state(layer.state, {n(k_slots), n(layer.ring), n(layer.width)}, 1.0,
          [&](std::int64_t slot, std::int64_t row) { return row < start_of(runs, slot); });
  return b.batch(runs).build();
}

Case gather_kv_case(const Layer& layer, const Runs& runs) {
  CaseBuilder b("gather_kv", fmt::format("{} {}", layer.name(), describe(runs)), count_tokens(runs), row_attrs(layer));
  b.activations({b.T(), n(layer.width)}, 1.0, exact_f16(layer));
  add_rows(b, layer, runs);
  return b.batch(runs).build();
}

Case attention_case(const Layer& layer, const Runs& runs, bool act8 = false) {
  Attrs attrs = row_attrs(layer);
  attrs.set("scale", 1.0 / std::sqrt(static_cast<double>(layer.width)));
  if (act8) attrs.set("act8", std::int64_t{1});
  CaseBuilder b("attention_mixed", fmt::format("{} {}{}", layer.name(), describe(runs), act8 ? " act8" : ""),
                count_tokens(runs), attrs);
  b.activations({b.T(), n(layer.heads), n(layer.width)}, 1.5);
  b.activations({b.T(), n(layer.width)}, 1.0, exact_f16(layer));
  add_rows(b, layer, runs);
  return b.weight(DType::f32, {n(layer.heads)}, 1.0).batch(runs).build();
}

Case batch_case(std::string_view op, const Layer& layer, const Runs& runs) {
  if (op == "ring_write") return ring_write_case(layer, runs);
  if (op == "gather_kv") return gather_kv_case(layer, runs);
  return attention_case(layer, runs);
}

std::vector<Case> batch_cases(std::string_view op) {
  std::vector<Case> cases;
  for (const Layer& layer : layers())
    for (const Runs& runs : batches(layer)) cases.push_back(batch_case(op, layer, runs));
  return cases;
}

std::vector<Case> attention_mixed_cases() {
  std::vector<Case> cases = batch_cases("attention_mixed");
  cases.push_back(attention_case({128, 128, 8, 512, 4, 0, DType::f16}, {{0, 700, 2}}));
  cases.push_back(attention_case({128, 160, 16, 512, 4, 64, DType::f16}, {{1, 511, 1}, {0, 127, 3}}));
  // Heads and columns that fill the blocks of matrix units; rows of one, several and almost several blocks.
  const Layer selected{64, 70, 32, 64, 4, 100, DType::f16}, plain{32, 32, 64, 96, 0, 0, DType::f16};
  for (const bool act8 : {false, true}) {
    for (const Runs& runs : {Runs{{0, 0, 1}}, Runs{{2, 30, 3}}, Runs{{1, 390, 2}, {0, 1000, 1}}}) {
      cases.push_back(attention_case(selected, runs, act8));
      cases.push_back(attention_case(plain, runs, act8));
    }
    cases.push_back(attention_case({128, 128, 64, 512, 4, 200, DType::f16}, {{0, 900, 2}}, act8));
    // One token, whose rows workers may divide.
    cases.push_back(attention_case(selected, {{0, 1000, 1}}, act8));
    cases.push_back(attention_case({128, 128, 32, 64, 4, 0, DType::f16}, {{1, 2000, 1}}, act8));
  }
  cases.push_back(attention_case({64, 64, 32, 64, 4, 0, DType::f32}, {{0, 300, 3}}, true)); // rows of more than f16
  return cases;
}

/// Scores, softmax and mix see N rows of which `count` are real.
Case dense_case(std::string_view op, std::int64_t tokens, std::int64_t rows, std::int64_t heads, std::int64_t width) {
  Attrs attrs;
  if (op == "attn_scores") attrs.set("scale", 0.125);
  std::string name = fmt::format("T={} N={}", tokens, rows);
  if (heads != k_heads || width != k_width) name += fmt::format(" H={} D={}", heads, width);
  CaseBuilder b(op, name, tokens, attrs);
  if (op == "attn_scores") b.activations({b.T(), n(heads), n(width)}).activations({b.T(), n(rows), n(width)});
  if (op == "softmax_sink") b.activations({b.T(), n(heads), n(rows)}, 3.0).weight(DType::f32, {n(heads)}, 2.0);
  if (op == "attn_mix") b.activations({b.T(), n(heads), n(rows)}, 0.1).activations({b.T(), n(rows), n(width)});
  std::vector<std::int32_t> count;
  for (std::int64_t t = 0; t < tokens; ++t) count.push_back(static_cast<std::int32_t>(1 + b.random().below(rows)));
  return b.i32({b.T()}, count).build();
}

std::vector<Case> dense_cases(std::string_view op) {
  std::vector<Case> cases;
  for (const std::int64_t tokens : {1, 2, 5, 33})
    for (const std::int64_t rows : {1, 17, 130}) cases.push_back(dense_case(op, tokens, rows, k_heads, k_width));
  return cases;
}

bool is_dense(std::string_view op) { return op == "attn_scores" || op == "softmax_sink" || op == "attn_mix"; }
bool is_batch(std::string_view op) { return op == "ring_write" || op == "gather_kv" || op == "attention_mixed"; }

} // namespace

std::vector<Case> attention_cases(std::string_view op) {
  if (op == "attention_mixed") return attention_mixed_cases();
  if (is_batch(op)) return batch_cases(op);
  if (is_dense(op)) return dense_cases(op);
  return {};
}

std::optional<Case> random_attention_case(std::string_view op, Random& random) {
  const std::int64_t heads = 1 + random.below(9);
  if (is_dense(op)) {
    const std::int64_t tokens = 1 + random.below(12), rows = 1 + random.below(200);
    return dense_case(op, tokens, rows, heads, 4 * (1 + random.below(40)));
  }
  if (!is_batch(op)) return std::nullopt;
  Layer layer{};
  layer.window = 8 * (1 + random.below(12));
  layer.ring = layer.window + random.below(40);
  layer.heads = heads;
  layer.width = 16 * (1 + random.below(12));
  layer.ratio = std::int64_t{random.below(3) == 0 ? 0 : random.below(2) == 0 ? 4 : 128};
  layer.selected = layer.ratio == 4 && random.below(2) == 0 ? 1 + random.below(12) : 0;
  layer.state = random.below(2) == 0 ? DType::f16 : DType::f32;
  return batch_case(op, layer, random_runs(random, k_slots));
}

} // namespace seacliff::ops
