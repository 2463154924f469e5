// Rows of results as f16, of every instruction set that has them: rounding and the sum of rows.
#include "backends/cpu/isa_list.hpp"

#include <seacliff/sdk/numeric.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace seacliff::cpu {
namespace amx_model {
extern const Isa isa;
}
namespace {

std::vector<const Isa*> sets_with_briefs() {
  std::vector<const Isa*> all{&amx_model::isa};
  for (const Isa* isa : compiled_isas())
    if (enable(isa->name) && isa->brief_rows() != nullptr) all.push_back(isa);
  return all;
}

/// To the nearest sixteenth of an f16.
float rounded(float v) { return numeric::f16_to_f32(numeric::f32_to_f16(v / 16)) * 16; }

std::vector<Brief> brief_of(const Isa& isa, const std::vector<float>& x) {
  std::vector<Brief> row((x.size() + k_brief - 1) / k_brief);
  isa.brief_rows()->round(x.data(), static_cast<std::int64_t>(x.size()), row.data());
  return row;
}

TEST(Brief, SumsOfRoundedRowsAreThoseOfTheirNumbers) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const Isa* isa : sets_with_briefs())
    for (const std::size_t n : {1u, 31u, 32u, 33u, 100u})
      for (const std::size_t count : {0u, 1u, 6u}) {
        std::vector<std::vector<Brief>> rows;
        std::vector<const Brief*> at;
        std::vector<float> want(n, 0.0f);
        for (std::size_t r = 0; r < count; ++r) {
          std::vector<float> row(n);
          for (float& v : row) v = normal(random);
          for (std::size_t i = 0; i < n; ++i) want[i] += rounded(row[i]);
          rows.push_back(brief_of(*isa, row));
        }
        for (const auto& row : rows) at.push_back(row.data());
        std::vector<float> got(n + 1, 7.0f);
        isa->brief_rows()->sum(at.data(), static_cast<std::int64_t>(count), 0, got.data(),
                               static_cast<std::int64_t>(n));
        EXPECT_EQ(got[n], 7.0f) << isa->name << ", " << n << " elements";
        got.pop_back();
        EXPECT_EQ(got, want) << isa->name << ", " << count << " rows of " << n;
      }
}

TEST(Brief, WhatIsNoNumberStaysSo) {
  const float nan = std::bit_cast<float>(0x7f800001u), last_nan = std::bit_cast<float>(0xffffffffu);
  const float inf = std::numeric_limits<float>::infinity();
  for (const Isa* isa : sets_with_briefs()) {
    const std::vector<float> x{nan, last_nan, inf, -inf, std::numeric_limits<float>::quiet_NaN(), 1.0f, 1e6f, 1e-3f};
    const std::vector<Brief> row = brief_of(*isa, x);
    const Brief* at = row.data();
    std::vector<float> got(x.size());
    isa->brief_rows()->sum(&at, 1, 0, got.data(), static_cast<std::int64_t>(x.size()));
    for (const std::size_t i : {0u, 1u, 4u}) EXPECT_TRUE(std::isnan(got[i])) << isa->name << ", element " << i;
    EXPECT_EQ(got[2], inf) << isa->name;
    EXPECT_EQ(got[3], -inf) << isa->name;
    EXPECT_EQ(got[5], 1.0f) << isa->name;
    EXPECT_NEAR(got[6], 1e6f, 500.0f) << isa->name;
    EXPECT_NEAR(got[7], 1e-3f, 5e-7f) << isa->name;
  }
}

} // namespace
} // namespace seacliff::cpu
