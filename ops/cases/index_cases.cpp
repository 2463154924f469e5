#include "ops/cases/data.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace seacliff::ops {
namespace {

constexpr std::int64_t k_slots = 3, k_ratio = 4;

/// Fewer visible rows than k = 16, about as many, and more.
const std::vector<Runs>& batches() {
  static const std::vector<Runs> all = {
      {{0, 0, 1}},  {{1, 3, 1}},  {{0, 62, 2}},   {{2, 63, 5}},  {{0, 67, 1}},
      {{1, 66, 2}}, {{0, 0, 33}}, {{0, 301, 33}}, {{2, 399, 1}}, {{0, 400, 1}, {1, 2, 2}, {2, 150, 5}}};
  return all;
}

std::int64_t cache_rows(const Runs& runs) {
  std::int64_t last = 0;
  for (const Run& run : runs) last = std::max(last, run.pos + run.tokens);
  return last / k_ratio + 3;
}

void add_cache(CaseBuilder& b, const Runs& runs, DType format, std::int64_t width) {
  b.state(format, {n(k_slots), n(cache_rows(runs)), n(width)}, 1.0, [&](std::int64_t slot, std::int64_t row) {
    const auto run = std::ranges::find(runs, slot, &Run::slot);
    return run != runs.end() && row < (run->pos + run->tokens) / k_ratio;
  });
}

Case score_case(DType format, std::int64_t heads, std::int64_t width, const Runs& runs) {
  CaseBuilder b("index_score", fmt::format("{} {}", format_name(format), describe(runs)), count_tokens(runs),
                {{"ratio", k_ratio}, {"scale", 1.0 / std::sqrt(static_cast<double>(heads * width))}});
  b.activations({b.T(), n(heads), n(width)}).activations({b.T(), n(heads)});
  add_cache(b, runs, format, width);
  return b.batch(runs).build();
}

std::vector<Case> index_score_cases() {
  std::vector<Case> cases;
  for (const Runs& runs : batches())
    for (const DType format : {DType::f32, DType::f16})
      cases.push_back(score_case(format, 4, format == DType::f32 ? 33 : 128, runs));
  return cases;
}

Case rows_case(std::int64_t tokens, std::int64_t rows, std::int64_t k) {
  CaseBuilder b("top_k_rows", fmt::format("T={} M={}{}", tokens, rows, k == 16 ? "" : fmt::format(" k={}", k)), tokens,
                {{"k", k}});
  b.activations({b.T(), n(rows)});
  Case test = b.build();
  const std::span<float> scores = test.inputs[0].as<float>();
  Random random(static_cast<std::uint64_t>(tokens * 1000 + rows));
  for (std::int64_t t = 0; t < tokens; ++t) { // rows not visible yet; many ties for every third token
    const std::int64_t visible = random.below(rows + 1);
    for (std::int64_t c = 0; c < rows; ++c) {
      float& s = scores[static_cast<std::size_t>(t * rows + c)];
      if (t % 3 == 1) s = std::round(s);
      if (c >= visible) s = -std::numeric_limits<float>::infinity();
    }
  }
  return test;
}

std::vector<Case> top_k_rows_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : {1, 2, 5, 33})
    for (const std::int64_t rows : {3, 16, 300}) cases.push_back(rows_case(tokens, rows, 16));
  return cases;
}

struct Indexer {
  std::int64_t heads = 4, rank = 96, embd = 160, k = 16;
};

Case select_case(DType weights, std::int64_t idx4, const Indexer& in, const Runs& runs) {
  constexpr std::int64_t k_width = 128;
  CaseBuilder b("index_select", fmt::format("{} idx4={} {}", format_name(weights), idx4, describe(runs)),
                count_tokens(runs),
                {{"heads", in.heads},
                 {"k", in.k},
                 {"ratio", k_ratio},
                 {"idx4", idx4},
                 {"rot", std::int64_t{64}},
                 {"base", 160000.0},
                 {"yarn", std::int64_t{1}},
                 {"factor", 16.0},
                 {"orig_ctx", 4096.0},
                 {"beta_fast", 32.0},
                 {"beta_slow", 1.0}});
  b.activations({b.T(), n(in.rank)}).activations({b.T(), n(in.embd)});
  b.weight(weights, {n(in.heads * k_width), n(in.rank)}, 0.1).weight(weights, {n(in.heads), n(in.embd)}, 0.08);
  add_cache(b, runs, weights == DType::f32 ? DType::f32 : DType::f16, k_width);
  return b.batch(runs).build();
}

std::vector<Case> index_select_cases() {
  std::vector<Case> cases;
  for (const Runs& runs : batches())
    for (const DType weights : {DType::f32, DType::f16, DType::q8_0})
      for (const std::int64_t idx4 : {0, 1})
        if (weights != DType::q8_0 || idx4 != 0) cases.push_back(select_case(weights, idx4, {}, runs));
  return cases;
}

} // namespace

std::vector<Case> index_cases(std::string_view op) {
  if (op == "index_score") return index_score_cases();
  if (op == "top_k_rows") return top_k_rows_cases();
  if (op == "index_select") return index_select_cases();
  return {};
}

std::optional<Case> random_index_case(std::string_view op, Random& random) {
  if (op == "top_k_rows") {
    const std::int64_t tokens = 1 + random.below(9), rows = 1 + random.below(700);
    return rows_case(tokens, rows, 1 + random.below(40));
  }
  const Runs runs = random_runs(random, k_slots);
  if (op == "index_score")
    return score_case(random.below(2) == 0 ? DType::f16 : DType::f32, 1 + random.below(9), 8 * (1 + random.below(20)),
                      runs);
  if (op != "index_select") return std::nullopt;
  const DType formats[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0};
  const Indexer in{1 + random.below(9), 32 * (1 + random.below(6)), 32 * (1 + random.below(8)), 1 + random.below(40)};
  return select_case(formats[random.below(4)], random.below(2), in, runs);
}

} // namespace seacliff::ops
