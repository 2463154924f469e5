// How the generators put a case together: operands in the order of the schema, filled from a seed.
#pragma once

#include "ops/cases/cases.hpp"

#include <cmath>
#include <optional>
#include <string>

namespace seacliff::ops {

inline constexpr std::int64_t k_token_counts[] = {1, 2, 5, 33}; // of cases without a batch
inline constexpr std::int64_t k_slots = 3;                      // of STATE

/// The deviation of weights that keeps that of the activations.
inline double fan_in(std::int64_t k) { return 1.0 / std::sqrt(static_cast<double>(k)); }

/// Deterministic numbers (SplitMix64).
class Random {
public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; } // [0, 1)
  double normal();                                                         // mean 0, variance 1, within ±5
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n)); }

private:
  std::uint64_t state_;
};

/// Neighbouring tokens of one slot, at consecutive positions.
struct Run {
  std::int64_t slot, pos, tokens;
};
using Runs = std::vector<Run>;
std::int64_t count_tokens(const Runs& runs);
std::string describe(const Runs& runs); // "2@127+5 0@0+1"

class CaseBuilder {
public:
  CaseBuilder(std::string_view op, std::string name, std::int64_t tokens, Attrs attrs = {});

  Dim T() const { return {case_.tokens, k_case_tokens}; }
  /// Activations, normal with the given deviation. `f16`: values that f16 holds exactly.
  CaseBuilder& activations(std::vector<Dim> dims, double deviation = 1.0, bool f16 = false);
  /// A weight matrix or vector; encoded when `dtype` is a block format.
  CaseBuilder& weight(DType dtype, std::vector<Dim> dims, double deviation, double mean = 0.0);
  CaseBuilder& ids(std::vector<Dim> dims, std::int64_t below, std::uint32_t role = SCF_ROLE_INPUT);
  CaseBuilder& i32(std::vector<Dim> dims, std::vector<std::int32_t> values);
  CaseBuilder& f32(std::vector<Dim> dims, std::vector<float> values);
  CaseBuilder& absent();
  /// A STATE [slots, rows, ...]; `valid(slot, row)` says which rows hold data, the rest is far off, so that using it
  /// shows.
  template <class Valid> CaseBuilder& state(DType dtype, std::vector<Dim> dims, double deviation, Valid valid) {
    begin_state(dtype, std::move(dims));
    CaseValue& value = case_.inputs.back();
    for (std::int64_t slot = 0; slot < value.type.dims[0].max; ++slot)
      for (std::int64_t row = 0; row < value.type.dims[1].max; ++row)
        fill_state_row(value, slot, row, valid(slot, row) ? deviation : 0.0);
    return *this;
  }
  /// pos and seq.
  CaseBuilder& batch(const Runs& runs);
  CaseBuilder& positions(const Runs& runs);

  Random& random() { return random_; }
  Case build() { return std::move(case_); }

private:
  void begin_state(DType dtype, std::vector<Dim> dims);
  void fill_state_row(CaseValue& value, std::int64_t slot, std::int64_t row, double deviation);
  CaseValue& add(DType dtype, std::vector<Dim> dims, std::uint32_t role);

  Case case_;
  Random random_;
};

inline Dim n(std::int64_t size) { return {size, 0}; }

/// Where the first position of slot's run lies; 0 when it has none.
std::int64_t start_of(const Runs& runs, std::int64_t slot);

// Generators, one per family.
std::vector<Case> linear_cases(std::string_view op);
std::vector<Case> row_cases(std::string_view op); // norm, rope, rounding, elementwise
std::vector<Case> hyper_cases(std::string_view op);
std::vector<Case> compress_cases(std::string_view op);
std::vector<Case> attention_cases(std::string_view op);
std::vector<Case> index_cases(std::string_view op);
std::vector<Case> router_moe_cases(std::string_view op);

/// One case of random shape; nothing when the family has no such op. `name` makes it unique where the shape does not.
std::optional<Case> random_hyper_case(std::string_view op, Random& random);
std::optional<Case> random_compress_case(std::string_view op, Random& random);
std::optional<Case> random_attention_case(std::string_view op, Random& random);
std::optional<Case> random_index_case(std::string_view op, Random& random);
std::optional<Case> random_router_moe_case(std::string_view op, Random& random, const std::string& name);

/// Runs of one or several of `slots` slots, up to some forty tokens, at positions up to a few hundred.
Runs random_runs(Random& random, std::int64_t slots);

/// Formats of weights in the order of the catalogue, and how many columns a matrix of one must be a multiple of.
std::span<const DType> weight_formats();
inline std::int64_t column_step(DType dtype) { return dtype_info(dtype).block_elems; }
std::string_view format_name(DType dtype);

} // namespace seacliff::ops
