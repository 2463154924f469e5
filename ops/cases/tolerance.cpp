#include "ops/cases/tolerance.hpp"

#include "ops/dtype/codec.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace seacliff::ops {
namespace {

bool on(const Case& test, std::string_view key) { return test.attrs.get_int(key) != 0; }

double largest_position(const Case& test) {
  std::int32_t largest = 0;
  const Schema& schema = *find_schema(test.op);
  for (std::size_t i = 0; i < test.inputs.size(); ++i)
    if (schema.inputs[i] == "pos")
      for (const std::int32_t pos : test.inputs[i].as<std::int32_t>()) largest = std::max(largest, pos);
  return largest;
}

/// Angles in f32 lose absolute precision as positions grow.
double rope_noise(const Case& test) { return 1e-5 + 2e-7 * largest_position(test); }

std::vector<float> decoded(const CaseValue& value) {
  std::vector<float> floats(static_cast<std::size_t>(value.type.max_elems()));
  const auto cols = static_cast<std::size_t>(value.type.dims.back().max);
  const std::size_t stride = row_bytes(value.type.dtype, cols);
  for (std::size_t r = 0; r * cols < floats.size(); ++r)
    dtype::decode_row(value.type.dtype, value.data.data() + r * stride, std::span(floats).subspan(r * cols, cols));
  return floats;
}

/// The elements of a STATE that the op changed; empty when `output` is none.
std::vector<bool> changed_elements(const Case& test, std::size_t output, const std::vector<float>& expected) {
  const int alias = find_schema(test.op)->alias_of(output);
  if (alias < 0) return {};
  const std::vector<float> before = decoded(test.inputs[static_cast<std::size_t>(alias)]);
  std::vector<bool> changed(expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) changed[i] = before[i] != expected[i];
  return changed;
}

double root_mean_square(const std::vector<float>& values, const std::vector<bool>& counted) {
  double sum = 0, n = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isfinite(values[i]) && (counted.empty() || counted[i])) {
      sum += static_cast<double>(values[i]) * values[i];
      n += 1;
    }
  return n > 0 ? std::sqrt(sum / n) : 0;
}

std::optional<std::string> compare_floats(const Case& test, std::size_t o, const CaseValue& expected,
                                          const CaseValue& got, const Tolerance& allowed) {
  const std::vector<float> want = decoded(expected), have = decoded(got);
  const std::vector<bool> changed = changed_elements(test, o, want);
  const double rms = root_mean_square(want, changed);
  std::size_t outliers = 0, compared = 0;
  double squares = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto wrong = [&](std::string_view why) {
      return fmt::format("{} '{}': output '{}' is {} at element {}, expected {} ({}; root mean square {})", test.op,
                         test.name, find_schema(test.op)->outputs[o], have[i], i, want[i], why, rms);
    };
    if (!changed.empty() && !changed[i]) {
      if (have[i] != want[i]) return wrong("a part of the state that must not change");
      continue;
    }
    ++compared;
    if (have[i] == want[i]) continue;
    if (!std::isfinite(have[i]) || !std::isfinite(want[i])) return wrong("not finite");
    const double off = std::fabs(static_cast<double>(have[i]) - want[i]), size = std::fabs(want[i]);
    squares += off * off;
    if (off <= allowed.of_rms * rms + allowed.relative * size) continue;
    if (off > allowed.outlier_of_rms * rms + allowed.outlier_relative * size) return wrong("beyond the tolerance");
    ++outliers;
  }
  if (static_cast<double>(outliers) > std::ceil(allowed.outliers * static_cast<double>(compared)))
    return fmt::format("{} '{}': {} of {} elements of output '{}' are beyond the tolerance", test.op, test.name,
                       outliers, compared, find_schema(test.op)->outputs[o]);
  if (const double all = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(compared, 1)));
      allowed.all_of_rms > 0 && all > allowed.all_of_rms * rms)
    return fmt::format("{} '{}': output '{}' is off by {} in the root mean square, of {}", test.op, test.name,
                       find_schema(test.op)->outputs[o], all, rms);
  return {};
}

/// What a choice is made by, and how noisy that is.
struct Scores {
  std::vector<float> values; // [T, columns]
  std::int64_t columns = 0;
  double noise = 0; // as a share of the largest finite score
};

std::optional<Scores> scores_of(const Case& test, std::span<const sdk::KernelEntry> reference) {
  if (test.op == "top_k_rows") return Scores{decoded(test.inputs[0]), test.inputs[0].type.dims[1].max, 0};
  if (test.op == "index_select") {
    const CaseValue scores = run_decomposed(reference, test).steps.at("score")[0];
    return Scores{decoded(scores), scores.type.dims[1].max, on(test, "idx4") ? 2e-2 : 1e-4};
  }
  const bool route = test.op == "route";
  if (test.op != "top_k" && (!route || test.inputs[3].present())) return {};
  const CaseValue base = route ? run_decomposed(reference, test).steps.at("prob")[0] : test.inputs[0];
  Scores scores{decoded(base), base.type.dims[1].max, route ? 1e-4 : 1e-6};
  if (const CaseValue& bias = test.inputs[route ? 2 : 1]; bias.present()) {
    const std::vector<float> add = decoded(bias);
    for (std::size_t i = 0; i < scores.values.size(); ++i) scores.values[i] += add[i % add.size()];
  }
  return scores;
}

/// Whether `got`, one token's choice, is as good as `want`. Both are brought in the order of their scores: what is
/// left at each rank must be equal up to `noise`.
bool as_good(std::span<const float> scores, std::span<const std::int32_t> want, std::span<const std::int32_t> got,
             double noise, bool ordered) {
  const auto valid = [&](std::int32_t id) { return id >= 0 && static_cast<std::size_t>(id) < scores.size(); };
  std::vector<float> expected, taken;
  std::set<std::int32_t> distinct;
  for (const std::int32_t id : want)
    if (valid(id)) expected.push_back(scores[static_cast<std::size_t>(id)]);
  for (const std::int32_t id : got)
    if (valid(id)) {
      taken.push_back(scores[static_cast<std::size_t>(id)]);
      distinct.insert(id);
    } else if (id != -1) {
      return false;
    }
  if (distinct.size() != taken.size() || taken.size() != expected.size()) return false;
  if (!ordered) { // rows: ascending, padding behind
    if (!std::is_sorted(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(taken.size()))) return false;
    std::ranges::sort(expected, std::greater<>());
    std::ranges::sort(taken, std::greater<>());
  }
  for (std::size_t i = 0; i < taken.size(); ++i)
    if (!(std::fabs(static_cast<double>(taken[i]) - expected[i]) <= noise)) return false;
  return true;
}

std::optional<std::string> compare_ids(const Case& test, std::size_t o, const CaseValue& expected, const CaseValue& got,
                                       std::span<const sdk::KernelEntry> reference) {
  const std::span<const std::int32_t> want = expected.as<std::int32_t>(), have = got.as<std::int32_t>();
  const auto first = std::ranges::mismatch(want, have).in1;
  if (first == want.end()) return {};
  const std::string text = fmt::format(
      "{} '{}': output '{}' is {} at element {}, expected {}", test.op, test.name, find_schema(test.op)->outputs[o],
      have[static_cast<std::size_t>(first - want.begin())], first - want.begin(), *first);
  const std::optional<Scores> scores = scores_of(test, reference);
  if (!scores) return text;
  double largest = 0;
  for (const float s : scores->values)
    if (std::isfinite(s)) largest = std::max<double>(largest, std::fabs(s));
  const auto k = static_cast<std::size_t>(expected.type.dims[1].max);
  const auto columns = static_cast<std::size_t>(scores->columns);
  const bool ordered = test.op == "top_k" || test.op == "route";
  for (std::size_t t = 0; t * k < want.size(); ++t)
    if (!std::ranges::equal(want.subspan(t * k, k), have.subspan(t * k, k)) &&
        !(scores->noise > 0 && as_good(std::span(scores->values).subspan(t * columns, columns), want.subspan(t * k, k),
                                       have.subspan(t * k, k), scores->noise * largest, ordered)))
      return text + fmt::format(" (token {}, no near-tie)", t);
  return {};
}

/// The weights that belong to the experts that were chosen.
CaseValue weights_for(const Case& test, const CaseValue& ids, std::span<const sdk::KernelEntry> reference) {
  Case step{"route_weights", test.name, {{"scale", test.attrs.get_float("scale")}}, test.tokens, {}};
  step.inputs = {run_decomposed(reference, test).steps.at("prob")[0], ids};
  return run_kernel(*std::ranges::find(reference, "route_weights", &sdk::KernelEntry::op), step)[0];
}

} // namespace

Tolerance tolerance_for(const Case& test, std::size_t output) {
  const std::string_view op = test.op;
  const bool f16_state = [&] {
    for (const CaseValue& in : test.inputs)
      if (in.role == SCF_ROLE_STATE && in.type.dtype == DType::f16) return true;
    return false;
  }();
  if (op == "gather_rows" || op == "add" || op == "repeat_streams" || op == "cache_append" || op == "ring_write" ||
      op == "gather_kv" || op == "kv_round")
    return {};
  if (op == "index_round") // the sums of the rotation may be in any order
    return on(test, "idx4") ? Tolerance{1e-6, 0, 0.01, 1.0, 0.5} : Tolerance{};
  if (op == "matmul" || op == "matmul_grouped" || op == "matmul_id") {
    if (!on(test, "act8")) return {1e-3, 0};
    // Weights that are no blocks: eight bits of each activation, and of each weight, round away 0.16 % (2^-7 /
    // sqrt(12), of mantissas from 1 to 2), 0.23 % together; an element may be 5 times that off.
    if (dtype_info(test.inputs[1].type.dtype).block_elems == 1) return {1.2e-2, 0, 0, 0, 0, 3e-3};
    // Bytes with one scale per 256 round away 0.66 % (3 sigma / 127 / sqrt(12)) of activations and as much of weights,
    // 0.93 % together; an element may be 5 times that off, and of thousands a few where large values meet.
    return {4.7e-2, 0, 1e-3, 7e-2, 0, 1.5e-2};
  }
  if (op == "attn_out_grouped" || op == "shared_expert" || op == "moe_experts")
    // Products of two activations have long tails, so that one scale per 256 of them leaves coarse steps.
    return on(test, "act8") ? Tolerance{8e-2, 0, 0.02, 0.2} : Tolerance{2e-3, 0};
  if (op == "rope_tail") return {rope_noise(test), 1e-5};
  if (op == "hc_pre" || op == "hc_head" || op == "route") return {1e-3, 1e-3};
  if (op == "compress_pool") return output == 0 ? Tolerance{1e-4, 1e-5} : Tolerance{1e-6, 1e-6};
  if (op == "compress") {
    if (output == 0) return {1e-6, 1e-6}; // the carry
    Tolerance allowed{1e-4 + rope_noise(test), f16_state || on(test, "f16") ? 1.1e-3 : 1e-5};
    if (on(test, "kv8")) allowed = {allowed.of_rms, allowed.relative, 0.01, 0.1, 0.15};
    if (on(test, "idx4")) allowed = {allowed.of_rms, allowed.relative, 0.02, 1.0, 0.5};
    return allowed;
  }
  if (op == "attention_mixed") {
    if (output != 0) return {};
    // Eight bits round away 0.16 % (2^-7 / sqrt(12), of mantissas from 1 to 2). Scores around 1.5 are 0.34 % off, which
    // weights are then too, and 0.16 % themselves, as rows are: 0.41 % together; an element may be 5 times that off,
    // and of thousands a few where large scores meet. Where one row has most of the weight, both roundings at their
    // largest are 2 * 2^-8 of it.
    return on(test, "act8") ? Tolerance{2.1e-2, 7.9e-3, 1e-3, 4e-2, 0, 6e-3} : Tolerance{2e-3, 1e-3};
  }
  if (op == "attn_scores" || op == "index_score") return {1e-3, 1e-4};
  if (op == "attn_mix" || op == "softmax_sink" || op == "hc_split" || op == "route_weights") return {1e-4, 1e-4};
  return {1e-5, 1e-5};
}

std::optional<std::string> find_mismatch(const Case& test, const Outputs& expected, const Outputs& got,
                                         std::span<const sdk::KernelEntry> reference) {
  if (expected.size() != got.size())
    return fmt::format("{} '{}': {} outputs, expected {}", test.op, test.name, got.size(), expected.size());
  for (std::size_t o = 0; o < expected.size(); ++o) {
    if (expected[o].type.dtype == DType::i32) {
      if (auto wrong = compare_ids(test, o, expected[o], got[o], reference)) return wrong;
      continue;
    }
    const bool other_choice = test.op == "route" && !expected[0].same_data(got[0]);
    const CaseValue want = other_choice ? weights_for(test, got[0], reference) : expected[o];
    if (auto wrong = compare_floats(test, o, want, got[o], tolerance_for(test, o))) return wrong;
  }
  return {};
}

} // namespace seacliff::ops
