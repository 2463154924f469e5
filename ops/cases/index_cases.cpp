#include "ops/cases/data.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace seacliff::ops {
namespace {

constexpr std::int64_t k_ratio = 4;

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

Case index_score_case(const Runs& runs, DType format, std::int64_t heads, std::int64_t width) {
  CaseBuilder b("index_score", fmt::format("{} {}x{} {}", format_name(format), heads, width, describe(runs)),
                count_tokens(runs),
                {{"ratio", k_ratio}, {"scale", 1.0 / std::sqrt(static_cast<double>(heads * width))}});
  b.activations({b.T(), n(heads), n(width)}).activations({b.T(), n(heads)});
  add_cache(b, runs, format, width);
  return b.batch(runs).build();
}

std::vector<Case> index_score_cases() {
  std::vector<Case> cases;
  for (const Runs& runs : batches())
    for (const DType format : {DType::f32, DType::f16})
      cases.push_back(index_score_case(runs, format, 4, format == DType::f32 ? 33 : 128));
  // So many rows and heads that matrix units are worth while.
  for (const Runs& runs : {Runs{{1, 1100, 2}}, Runs{{0, 8191, 1}, {2, 5000, 1}}})
    cases.push_back(index_score_case(runs, DType::f16, 32, 128));
  return cases;
}

std::vector<Case> top_k_rows_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : {1, 2, 5, 33})
    for (const std::int64_t rows : {3, 16, 300}) {
      CaseBuilder b("top_k_rows", fmt::format("T={} M={}", tokens, rows), tokens, {{"k", std::int64_t{16}}});
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
      cases.push_back(std::move(test));
    }
  return cases;
}

std::vector<Case> index_select_cases() {
  std::vector<Case> cases;
  std::vector<Runs> all = batches();
  all.push_back({{0, 1300, 30}}); // whole tokens for each worker
  for (const Runs& runs : all)
    for (const DType weights : {DType::f32, DType::f16, DType::q8_0})
      for (const std::int64_t idx4 : {0, 1}) {
        if (weights == DType::q8_0 && idx4 == 0) continue;
        const std::int64_t heads = runs[0].pos == 1300 ? 32 : 4, width = 128, rank = 96, embd = 160;
        CaseBuilder b("index_select", fmt::format("{} idx4={} {}", format_name(weights), idx4, describe(runs)),
                      count_tokens(runs),
                      {{"heads", heads},
                       {"k", std::int64_t{16}},
                       {"ratio", k_ratio},
                       {"idx4", idx4},
                       {"rot", std::int64_t{64}},
                       {"base", 160000.0},
                       {"yarn", std::int64_t{1}},
                       {"factor", 16.0},
                       {"orig_ctx", 4096.0},
                       {"beta_fast", 32.0},
                       {"beta_slow", 1.0}});
        b.activations({b.T(), n(rank)}).activations({b.T(), n(embd)});
        b.weight(weights, {n(heads * width), n(rank)}, 0.1).weight(weights, {n(heads), n(embd)}, 0.08);
        add_cache(b, runs, weights == DType::f32 ? DType::f32 : DType::f16, width);
        cases.push_back(b.batch(runs).build());
      }
  return cases;
}

} // namespace

std::vector<Case> index_cases(std::string_view op) {
  if (op == "index_score") return index_score_cases();
  if (op == "top_k_rows") return top_k_rows_cases();
  if (op == "index_select") return index_select_cases();
  return {};
}

namespace {

Case random_rows_case(Random& random) {
  const std::int64_t tokens = 1 + random.below(9), rows = 1 + random.below(700), k = 1 + random.below(40);
  CaseBuilder b("top_k_rows", fmt::format("T={} M={} k={}", tokens, rows, k), tokens, {{"k", k}});
  b.activations({b.T(), n(rows)});
  Case test = b.build();
  const std::span<float> scores = test.inputs[0].as<float>();
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t visible = random.below(rows + 1);
    for (std::int64_t c = 0; c < rows; ++c) {
      float& s = scores[static_cast<std::size_t>(t * rows + c)];
      if (t % 3 == 1) s = std::round(s); // many ties, also of 0 and -0
      if (c >= visible) s = -std::numeric_limits<float>::infinity();
    }
  }
  return test;
}

Case random_score_case(Random& random, const Runs& runs) {
  const DType format = random.below(2) == 0 ? DType::f16 : DType::f32;
  const std::int64_t heads = 1 + random.below(9), width = 8 * (1 + random.below(20));
  CaseBuilder b("index_score", fmt::format("{} random {}x{} {}", format_name(format), heads, width, describe(runs)),
                count_tokens(runs),
                {{"ratio", k_ratio}, {"scale", 1.0 / std::sqrt(static_cast<double>(heads * width))}});
  b.activations({b.T(), n(heads), n(width)}).activations({b.T(), n(heads)});
  add_cache(b, runs, format, width);
  return b.batch(runs).build();
}

Case random_select_case(Random& random, const Runs& runs) {
  const DType formats[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0}, format = formats[random.below(4)];
  const std::int64_t heads = 1 + random.below(9), k = 1 + random.below(40), idx4 = random.below(2), width = 128;
  const std::int64_t rank = 32 * (1 + random.below(6)), embd = 32 * (1 + random.below(8));
  CaseBuilder b(
      "index_select",
      fmt::format("{} random heads={} k={} idx4={} {}", format_name(format), heads, k, idx4, describe(runs)),
      count_tokens(runs),
      {{"heads", heads}, {"k", k}, {"ratio", k_ratio}, {"idx4", idx4}, {"rot", std::int64_t{64}}, {"base", 10000.0}});
  b.activations({b.T(), n(rank)}).activations({b.T(), n(embd)});
  b.weight(format, {n(heads * width), n(rank)}, 0.1).weight(format, {n(heads), n(embd)}, 0.08);
  add_cache(b, runs, format == DType::f32 ? DType::f32 : DType::f16, width);
  return b.batch(runs).build();
}

} // namespace

std::optional<Case> random_index_case(std::string_view op, Random& random) {
  if (op == "top_k_rows") return random_rows_case(random);
  const Runs runs = random_runs(random, k_slots);
  if (op == "index_score") return random_score_case(random, runs);
  if (op == "index_select") return random_select_case(random, runs);
  return std::nullopt;
}

} // namespace seacliff::ops
