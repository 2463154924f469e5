#include "ops/cases/data.hpp"

#include <algorithm>

namespace seacliff::ops {
namespace {

/// Batches that begin, cross and end windows of `ratio` tokens, from one token to several runs.
std::vector<Runs> window_batches(std::int64_t ratio) {
  if (ratio == 4)
    return {{{0, 0, 1}},
            {{1, 3, 1}},
            {{0, 4, 1}},
            {{2, 7, 1}},
            {{0, 0, 2}},
            {{1, 2, 5}},
            {{0, 0, 33}},
            {{0, 5, 33}},
            {{2, 5, 2}, {0, 0, 3}},
            {{0, 3, 1}, {1, 4, 1}, {2, 1023, 1}},
            {{1, 0, 9}, {0, 6, 11}, {2, 255, 13}}};
  return {{{0, 0, 1}},         {{1, ratio - 2, 1}},
          {{0, ratio - 1, 1}}, {{2, ratio, 1}},
          {{0, ratio - 1, 2}}, {{1, 120, 33}},
          {{0, 0, ratio + 2}}, {{0, 2 * ratio - 1, 2}, {2, ratio - 1, 1}, {1, 100, 5}}};
}

std::int64_t last_pos(const Runs& runs) {
  std::int64_t last = 0;
  for (const Run& run : runs) last = std::max(last, run.pos + run.tokens - 1);
  return last;
}

void add_carry(CaseBuilder& b, const Runs& runs, std::int64_t rows, std::int64_t width) {
  b.state(DType::f32, {n(k_slots), n(rows), n(2), n(width)}, 1.5,
          [&](std::int64_t slot, std::int64_t row) { return row < start_of(runs, slot); });
}

void add_cache(CaseBuilder& b, const Runs& runs, DType format, std::int64_t ratio, std::int64_t width) {
  const std::int64_t rows = (last_pos(runs) + 1) / ratio + 3;
  b.state(format, {n(k_slots), n(rows), n(width)}, 1.0,
          [&](std::int64_t slot, std::int64_t row) { return row < start_of(runs, slot) / ratio; });
}

/// kv, gate, ape.
void add_sources(CaseBuilder& b, std::int64_t ratio, std::int64_t width, DType ape) {
  b.activations({b.T(), n(width)}).activations({b.T(), n(width)}, 2.0).weight(ape, {n(ratio), n(width)}, 0.5);
}

Case pool_case(std::int64_t ratio, const Runs& runs, std::int64_t more_rows) {
  const std::int64_t rows = (ratio == 4 ? 8 : ratio) + more_rows, width = ratio == 4 ? 2 * 33 : 65;
  CaseBuilder b("compress_pool", fmt::format("r={} C={} {}", ratio, rows, describe(runs)), count_tokens(runs),
                {{"ratio", ratio}});
  add_sources(b, ratio, width, more_rows != 0 ? DType::f32 : DType::f16);
  add_carry(b, runs, rows, width);
  return b.batch(runs).build();
}

std::vector<Case> compress_pool_cases() {
  std::vector<Case> cases;
  for (const std::int64_t ratio : {4, 128})
    for (const Runs& runs : window_batches(ratio))
      for (const std::int64_t more_rows : {0, 5}) {
        if (more_rows == 0 || runs.size() == 1) cases.push_back(pool_case(ratio, runs, more_rows));
      }
  return cases;
}

Case append_case(std::int64_t ratio, DType format, const Runs& runs) {
  CaseBuilder b("cache_append", fmt::format("r={} {} {}", ratio, format_name(format), describe(runs)),
                count_tokens(runs), {{"ratio", ratio}});
  b.activations({b.T(), n(64)});
  add_cache(b, runs, format, ratio, 64);
  return b.batch(runs).build();
}

std::vector<Case> cache_append_cases() {
  std::vector<Case> cases;
  for (const std::int64_t ratio : {4, 128})
    for (const Runs& runs : window_batches(ratio))
      for (const DType format : {DType::f32, DType::f16}) cases.push_back(append_case(ratio, format, runs));
  return cases;
}

Attrs compress_attrs(std::int64_t ratio, bool index, bool rounded, bool f16) {
  const std::string trip = index ? "idx4" : "kv8";
  return {{"ratio", ratio},
          {"rms_eps", 1e-6},
          {"rot", std::int64_t{64}},
          {"base", 160000.0},
          {"yarn", std::int64_t{1}},
          {"factor", 16.0},
          {"orig_ctx", 4096.0},
          {"beta_fast", 32.0},
          {"beta_slow", 1.0},
          {"index", std::int64_t{index}},
          {trip, std::int64_t{rounded}},
          {"f16", std::int64_t{f16}}};
}

Case compress_case(std::int64_t ratio, bool index, bool f16, const Runs& runs) {
  const std::int64_t head = index || ratio == 4 ? 128 : 512, width = ratio == 4 ? 2 * head : head;
  const bool rounded = f16 || count_tokens(runs) == 33;
  CaseBuilder b("compress",
                fmt::format("r={}{} {} {}", ratio, index ? " index" : "", f16 ? "f16" : "f32", describe(runs)),
                count_tokens(runs), compress_attrs(ratio, index, rounded, f16));
  add_sources(b, ratio, width, f16 ? DType::f16 : DType::f32);
  b.weight(DType::f32, {n(head)}, 0.2, 1.0);
  add_carry(b, runs, ratio == 4 ? 8 : ratio, width);
  add_cache(b, runs, f16 ? DType::f16 : DType::f32, ratio, head);
  return b.batch(runs).build();
}

std::vector<Case> compress_cases_proper() {
  std::vector<Case> cases;
  for (const std::int64_t ratio : {4, 128})
    for (const bool index : {false, true})
      for (const Runs& runs : window_batches(ratio))
        for (const bool f16 : {false, true}) {
          if (index && ratio != 4) continue; // the indexer exists for ratio 4 only
          cases.push_back(compress_case(ratio, index, f16, runs));
        }
  return cases;
}

} // namespace

std::vector<Case> compress_cases(std::string_view op) {
  if (op == "compress_pool") return compress_pool_cases();
  if (op == "cache_append") return cache_append_cases();
  if (op == "compress") return compress_cases_proper();
  return {};
}

std::optional<Case> random_compress_case(std::string_view op, Random& random) {
  const std::int64_t ratio = random.below(2) == 0 ? 4 : 128;
  const bool f16 = random.below(2) == 0, index = ratio == 4 && random.below(2) == 0;
  const Runs runs = random_runs(random, k_slots);
  if (op == "compress_pool") return pool_case(ratio, runs, random.below(9));
  if (op == "cache_append") return append_case(ratio, f16 ? DType::f16 : DType::f32, runs);
  if (op == "compress") return compress_case(ratio, index, f16, runs);
  return std::nullopt;
}

} // namespace seacliff::ops
