// Block formats: tables, scalar conversions, decoding against formulas written element by element, and what encoding
// loses. To add a test: a TEST below; for a new format add a formula to `k_formulas` and a row to `k_losses`.
#include "ops/dtype/codec.hpp"

#include <seacliff/sdk/blocks.hpp>

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <random>

namespace seacliff {
namespace {

using Bytes = std::vector<std::byte>;

nlohmann::json test_data(const std::string& name) {
  std::ifstream stream(std::string(SEACLIFF_TEST_DATA) + "/" + name);
  return nlohmann::json::parse(stream);
}

std::uint32_t crc32(const void* data, std::size_t size) {
  std::uint32_t crc = ~0u;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= static_cast<const std::uint8_t*>(data)[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc % 2 != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

/// The generator that the golden inputs were made with.
class GoldenDraws {
public:
  explicit GoldenDraws(std::uint32_t seed) : state_(seed) {}
  float next(float range) {
    state_ = state_ * 1664525u + 1013904223u;
    return (static_cast<float>(state_ >> 8) / 16777216.0f - 0.5f) * range;
  }

private:
  std::uint32_t state_;
};

std::vector<float> gaussian_row(std::size_t n, float deviation, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> row(n);
  for (float& v : row) v = normal(generator);
  return row;
}

Bytes encode(DType dtype, const std::vector<float>& row, const std::vector<float>& importance = {}) {
  Bytes bytes(row_bytes(dtype, row.size()));
  dtype::encode_row(dtype, row, importance, bytes.data());
  return bytes;
}

std::vector<float> decode(DType dtype, const Bytes& bytes, std::size_t n) {
  std::vector<float> row(n);
  dtype::decode_row(dtype, bytes.data(), row);
  return row;
}

std::vector<float> round_trip(DType dtype, const std::vector<float>& row, const std::vector<float>& importance = {}) {
  return decode(dtype, encode(dtype, row, importance), row.size());
}

/// Relative, of weighted squares.
double loss(const std::vector<float>& x, const std::vector<float>& y, const std::vector<float>& weights = {}) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = weights.empty() ? 1.0 : weights[i];
    error += w * std::pow(double{x[i]} - double{y[i]}, 2);
    size += w * std::pow(double{x[i]}, 2);
  }
  return std::sqrt(error / size);
}

// ---------------------------------------------------------------------------------------------------------- tables

TEST(Tables, HaveTheChecksumsOfTheFormat) {
  const auto tables = test_data("tables.json");
  const auto checksum = [&](const char* name) {
    return std::stoul(tables[name]["crc32"].get<std::string>(), nullptr, 16);
  };
  EXPECT_EQ(crc32(blocks::iq2xxs_grid.data(), sizeof blocks::iq2xxs_grid), checksum("iq2xxs_grid"));
  EXPECT_EQ(crc32(blocks::ksigns.data(), sizeof blocks::ksigns), checksum("ksigns_iq2xs"));
  EXPECT_EQ(crc32(blocks::mxfp4_codes.data(), sizeof blocks::mxfp4_codes), checksum("kvalues_fp4"));
}

// --------------------------------------------------------------------------------------------------------- scalars

double f16_value(unsigned bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

TEST(Scalars, EveryHalfDecodesAndComesBack) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = numeric::f16_to_f32(half);
    if ((bits & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isinf(value), (bits & 0x3ff) == 0);
      EXPECT_EQ(std::isnan(value), (bits & 0x3ff) != 0);
    } else {
      ASSERT_EQ(double{value}, f16_value(bits)) << bits;
    }
    if (!std::isnan(value)) {
      ASSERT_EQ(numeric::f32_to_f16(value), half);
    }
  }
  EXPECT_EQ(numeric::f32_to_f16(NAN) & 0x7c00, 0x7c00);
  EXPECT_NE(numeric::f32_to_f16(NAN) & 0x3ff, 0);
}

TEST(Scalars, HalvesRoundToNearestTiesToEven) {
  for (unsigned bits = 0; bits < 0x7bff; ++bits) { // every gap between neighbours
    const double low = f16_value(bits), high = f16_value(bits + 1);
    const auto middle = static_cast<float>((low + high) / 2); // exact
    const auto even = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(numeric::f32_to_f16(middle), even);
    ASSERT_EQ(numeric::f32_to_f16(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(numeric::f32_to_f16(std::nextafter(middle, 1e9f)), bits + 1);
    ASSERT_EQ(numeric::f32_to_f16(-middle), even | 0x8000);
  }
  EXPECT_EQ(numeric::f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(numeric::f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(numeric::f32_to_f16(1e-40f), 0);
}

TEST(Scalars, Bf16RoundsToNearestTiesToEven) {
  EXPECT_EQ(numeric::f32_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(numeric::f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(numeric::f32_to_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_TRUE(std::isnan(numeric::bf16_to_f32(numeric::f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  for (unsigned bits = 0; bits < 0x7f80; ++bits)
    ASSERT_EQ(numeric::f32_to_bf16(numeric::bf16_to_f32(static_cast<std::uint16_t>(bits))), bits);
}

TEST(Scalars, E4m3AndE2m1AndE8m0Decode) {
  for (unsigned code = 0; code < 127; ++code) {
    const int exponent = static_cast<int>(code >> 3), mantissa = static_cast<int>(code & 7);
    const double value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    EXPECT_EQ(numeric::e4m3_to_f32(static_cast<std::uint8_t>(code)), value);
    EXPECT_EQ(numeric::e4m3_to_f32(static_cast<std::uint8_t>(code | 128)), -value);
  }
  EXPECT_TRUE(std::isnan(numeric::e4m3_to_f32(0x7f)));
  EXPECT_TRUE(std::isnan(numeric::e4m3_to_f32(0xff)));
  const float e2m1[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  for (std::uint8_t code = 0; code < 8; ++code) {
    EXPECT_EQ(numeric::e2m1_to_f32(code), e2m1[code]);
    EXPECT_EQ(numeric::e2m1_to_f32(code + 8), -e2m1[code]);
    EXPECT_EQ(numeric::f32_to_e2m1(e2m1[code]), code);
  }
  for (int e = 0; e < 255; ++e)
    EXPECT_EQ(numeric::e8m0_to_f32(static_cast<std::uint8_t>(e)), std::ldexp(1.0f, e - 127));
  EXPECT_TRUE(std::isnan(numeric::e8m0_to_f32(255)));
}

/// Nearest of the first `codes` values by search, ties to the even code.
template <class Decode> float nearest_value(float x, unsigned codes, Decode decode) {
  unsigned best = 0;
  for (unsigned code = 0; code < codes; ++code) {
    const double distance = std::abs(std::abs(double{x}) - decode(code)),
                 least = std::abs(std::abs(double{x}) - decode(best));
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return std::copysign(decode(best), x);
}

TEST(Scalars, SmallFormatsRoundToTheNearestValue) {
  std::mt19937 generator(7);
  std::uniform_real_distribution<float> exponent(-12, 10), sign(-1, 1);
  for (int i = 0; i < 50000; ++i) {
    float x = std::copysign(std::exp2(exponent(generator)), sign(generator));
    if (i % 3 == 0) x = std::round(x * 1024) / 1024; // hits ties
    if (i % 3 == 1) x = std::round(x * 4) / 4;
    ASSERT_EQ(numeric::round_e4m3(x),
              nearest_value(x, 127, [](unsigned c) { return numeric::e4m3_to_f32(static_cast<std::uint8_t>(c)); }))
        << x;
    ASSERT_EQ(numeric::round_e2m1(x),
              nearest_value(x, 8, [](unsigned c) { return numeric::e2m1_to_f32(static_cast<std::uint8_t>(c)); }))
        << x;
    ASSERT_EQ(numeric::e2m1_to_f32(numeric::f32_to_e2m1(x)), numeric::round_e2m1(x));
  }
  EXPECT_EQ(numeric::round_e4m3(INFINITY), 448);
  EXPECT_EQ(numeric::round_e2m1(-1e30f), -6);
  EXPECT_TRUE(std::isnan(numeric::round_e4m3(NAN)));
}

// ---------------------------------------------------------------------------------------------------------- golden

TEST(Golden, Kv8RoundTrip) {
  const auto wanted = test_data("golden.json")["kv8"].get<std::vector<float>>();
  GoldenDraws draws(3);
  std::vector<float> x(512);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float a = draws.next(2);
    x[i] = a * a * a * (i % 7 == 0 ? 40.0f : 1.0f);
  }
  numeric::kv8_round_trip(std::span(x).first(448));
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_FLOAT_EQ(x[i], wanted[i]) << i;
}

TEST(Golden, Idx4RoundTrip) {
  const auto wanted = test_data("golden.json")["idx4"].get<std::vector<float>>();
  GoldenDraws draws(4);
  std::vector<float> x(128);
  for (float& v : x) v = draws.next(2);
  numeric::idx4_round_trip(x);
  EXPECT_EQ(x, wanted);
}

TEST(Golden, Q2kDotProduct) {
  const auto golden = test_data("golden.json");
  const auto bytes = golden["q2k_bytes"].get<std::vector<std::uint8_t>>();
  const auto q = golden["q8k_q"].get<std::vector<int>>();
  blocks::Q2_K block;
  std::copy_n(bytes.begin(), 16, block.sc);
  std::copy_n(bytes.begin() + 16, 64, block.q);
  block.d = 0x2000;
  block.dmin = 0x1c00;
  std::vector<float> weights(256);
  dtype::decode_row(DType::q2_k, reinterpret_cast<const std::byte*>(&block), weights);
  double dot = 0;
  for (std::size_t i = 0; i < 256; ++i) dot += double{weights[i]} * q[i] * golden["q8k_d"][0].get<double>();
  EXPECT_NEAR(dot, golden["q2k_dot"][0].get<double>(), 1e-6);
}

TEST(Hadamard, IsOrthonormalAndItsOwnInverse) {
  for (const std::size_t n : {32u, 64u, 128u}) {
    const auto x = gaussian_row(n, 1);
    auto y = x;
    numeric::walsh_hadamard(y);
    EXPECT_NEAR(std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                std::inner_product(x.begin(), x.end(), x.begin(), 0.0), 1e-4);
    numeric::walsh_hadamard(y);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], x[i], 1e-5);
  }
}

// -------------------------------------------------------------------------------------------------------- decoding
// Value of element i by the published layout, from raw bytes and in double.

using Raw = const std::uint8_t*;

double half_at(Raw b, int at) { return f16_value(static_cast<unsigned>(b[at] | b[at + 1] << 8)); }

double q8_0(Raw b, int i) { return half_at(b, 0) * static_cast<std::int8_t>(b[2 + i]); }

double q2_k(Raw b, int i) {
  const int scale = b[i / 16], code = b[16 + 32 * (i / 128) + i % 32] >> 2 * (i % 128 / 32) & 3;
  return half_at(b, 80) * (scale & 15) * code - half_at(b, 82) * (scale >> 4);
}

double q3_k(Raw b, int i) {
  const int s = i / 16, low = b[32 + 32 * (i / 128) + i % 32] >> 2 * (i % 128 / 32) & 3;
  const int code = low + 4 * (b[i % 32] >> i / 32 & 1) - 4;
  const int scale = (s < 8 ? b[96 + s] % 16 : b[96 + s - 8] / 16) + 16 * (b[96 + 8 + s % 4] >> 2 * (s / 4) & 3);
  return half_at(b, 108) * (scale - 32) * code;
}

/// Scale (which = 0) or min (1) of Q4_K and Q5_K: eight of six bits, the upper bits of the last four folded in.
int six_bits(Raw sc, int which, int s) {
  if (s < 4) return sc[4 * which + s] % 64;
  return (sc[4 + s] >> 4 * which & 15) + 16 * (sc[4 * which + s - 4] / 64);
}

double q4_k(Raw b, int i) {
  const int code = b[16 + 32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15;
  return half_at(b, 0) * six_bits(b + 4, 0, i / 32) * code - half_at(b, 2) * six_bits(b + 4, 1, i / 32);
}

double q5_k(Raw b, int i) {
  const int low = b[48 + 32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15;
  const int code = low + 16 * (b[16 + i % 32] >> i / 32 & 1);
  return half_at(b, 0) * six_bits(b + 4, 0, i / 32) * code - half_at(b, 2) * six_bits(b + 4, 1, i / 32);
}

double q6_k(Raw b, int i) {
  const int quarter = i % 128 / 32, l = i % 32;
  const int low = b[64 * (i / 128) + 32 * (quarter % 2) + l] >> 4 * (quarter / 2) & 15;
  const int code = low + 16 * (b[128 + 32 * (i / 128) + l] >> 2 * quarter & 3) - 32;
  return half_at(b, 208) * static_cast<std::int8_t>(b[192 + i / 16]) * code;
}

double iq2_xxs(Raw b, int i) {
  const Raw group = b + 2 + 8 * (i / 32);
  const unsigned word = group[4] | group[5] << 8 | group[6] << 16 | unsigned{group[7]} << 24;
  const int octet = i % 32 / 8, j = i % 8;
  const unsigned index = word >> 7 * octet & 127;
  const bool negative = j < 7 ? index >> j & 1 : std::popcount(index) % 2 != 0;
  const double magnitude = static_cast<double>(blocks::iq2xxs_grid[group[octet]] >> 8 * j & 255);
  return (negative ? -1 : 1) * half_at(b, 0) * (2 * (word >> 28) + 1) * magnitude / 8;
}

double mxfp4(Raw b, int i) {
  const double values[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  const int nibble = i < 16 ? b[1 + i] & 15 : b[1 + i - 16] >> 4;
  return std::ldexp(nibble & 8 ? -values[nibble & 7] : values[nibble], b[0] - 127);
}

const std::map<DType, double (*)(Raw, int)> k_formulas{
    {DType::q8_0, q8_0}, {DType::q2_k, q2_k}, {DType::q3_k, q3_k},       {DType::q4_k, q4_k},
    {DType::q5_k, q5_k}, {DType::q6_k, q6_k}, {DType::iq2_xxs, iq2_xxs}, {DType::mxfp4, mxfp4}};

/// Where the f16 factors of a block lie: random bytes there could be infinite.
const std::map<DType, std::vector<int>> k_factors{{DType::q8_0, {0}},    {DType::q2_k, {80, 82}}, {DType::q3_k, {108}},
                                                  {DType::q4_k, {0, 2}}, {DType::q5_k, {0, 2}},   {DType::q6_k, {208}},
                                                  {DType::iq2_xxs, {0}}, {DType::mxfp4, {}}};

TEST(Decode, AgreesWithTheFormulasOnRandomBlocks) {
  std::mt19937 generator(11);
  for (const auto& [dtype, formula] : k_formulas) {
    const DTypeInfo& info = dtype_info(dtype);
    constexpr std::size_t n_blocks = 64;
    Bytes bytes(n_blocks * info.block_bytes);
    for (std::byte& b : bytes) b = static_cast<std::byte>(generator() & 255);
    for (std::size_t block = 0; block < n_blocks; ++block) {
      auto* raw = reinterpret_cast<std::uint8_t*>(bytes.data()) + block * info.block_bytes;
      for (const int at : k_factors.at(dtype)) raw[at + 1] = static_cast<std::uint8_t>(raw[at + 1] & 0xbf);
      if (dtype == DType::mxfp4 && block > 8)
        raw[0] = static_cast<std::uint8_t>(block); // small blocks: subnormal scales
      if (dtype == DType::mxfp4 && block <= 8) raw[0] = static_cast<std::uint8_t>(block % 3);
    }
    const auto decoded = decode(dtype, bytes, n_blocks * info.block_elems);
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      const auto* raw = reinterpret_cast<Raw>(bytes.data()) + i / info.block_elems * info.block_bytes;
      ASSERT_EQ(decoded[i], static_cast<float>(formula(raw, static_cast<int>(i % info.block_elems))))
          << info.name << " element " << i;
    }
  }
}

// -------------------------------------------------------------------------------------------------------- encoding

/// Upper bounds of the relative RMS loss on gaussian rows: a little above what careful encoders reach.
const std::map<DType, double> k_losses{{DType::f32, 0},       {DType::f16, 2.2e-4},   {DType::bf16, 1.7e-3},
                                       {DType::q8_0, 0.0056}, {DType::q6_k, 0.0180},  {DType::q5_k, 0.0360},
                                       {DType::q4_k, 0.0725}, {DType::mxfp4, 0.114},  {DType::q3_k, 0.150},
                                       {DType::q2_k, 0.275},  {DType::iq2_xxs, 0.345}};

TEST(Encode, LosesLittleOnGaussianRows) {
  const auto row = gaussian_row(64 * 256, 0.02f);
  for (const auto& [dtype, bound] : k_losses)
    EXPECT_LE(loss(row, round_trip(dtype, row)), bound) << dtype_info(dtype).name;
}

TEST(Encode, ImportanceLowersTheLossThatItWeighs) {
  const auto row = gaussian_row(64 * 256, 0.02f);
  auto importance = gaussian_row(row.size(), 1, 5);
  for (float& v : importance) v *= v;
  for (const DType dtype :
       {DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq2_xxs, DType::mxfp4}) {
    const double plain = loss(row, round_trip(dtype, row), importance);
    EXPECT_LT(loss(row, round_trip(dtype, row, importance), importance), plain) << dtype_info(dtype).name;
  }
}

TEST(Encode, ImportanceOfZerosCountsAsNone) {
  const auto row = gaussian_row(256, 1);
  const std::vector<float> zeros(256, 0.0f);
  for (const DType dtype : {DType::q2_k, DType::q4_k, DType::q6_k, DType::iq2_xxs})
    EXPECT_EQ(encode(dtype, row, zeros), encode(dtype, row)) << dtype_info(dtype).name;
  // A column without importance must not pull others down, nor turn into rubbish itself.
  std::vector<float> half(256, 0.0f);
  std::fill_n(half.begin(), 128, 1.0f);
  for (const DType dtype : {DType::q2_k, DType::q4_k, DType::q6_k, DType::iq2_xxs})
    EXPECT_LT(loss(row, round_trip(dtype, row, half)), 0.45) << dtype_info(dtype).name;
}

TEST(Encode, ExactlyRepresentableRowsComeBackExactly) {
  std::mt19937 generator(3);
  std::vector<float> row(256);
  for (int trial = 0; trial < 50; ++trial) {
    const int exponent = static_cast<int>(generator() % 240) - 126;
    for (float& v : row) {
      const auto code = static_cast<std::uint8_t>(generator() % 16);
      v = std::ldexp(numeric::e2m1_to_f32(code), trial % 5 == 0 ? -127 : exponent);
    }
    EXPECT_EQ(round_trip(DType::mxfp4, row), row);
  }
  for (std::size_t i = 0; i < row.size(); ++i) // Q8_0: every block has its extreme at 127
    row[i] = std::ldexp(i % 32 == 5 ? 127.0f : static_cast<float>(static_cast<int>(generator() % 255) - 127), -9);
  EXPECT_EQ(round_trip(DType::q8_0, row), row);
  for (float& v : row) v = numeric::f16_to_f32(static_cast<std::uint16_t>(generator() % 0x7c00));
  EXPECT_EQ(round_trip(DType::f16, row), row);
  for (float& v : row) v = numeric::bf16_to_f32(static_cast<std::uint16_t>(generator() % 0x7f80));
  EXPECT_EQ(round_trip(DType::bf16, row), row);
  EXPECT_EQ(round_trip(DType::f32, row), row);
}

class EdgeRows : public testing::TestWithParam<DType> {};

TEST_P(EdgeRows, ZerosStayZeros) {
  EXPECT_THAT(round_trip(GetParam(), std::vector<float>(512, 0.0f)), testing::Each(0.0f));
}

TEST_P(EdgeRows, OneOutlierIsKept) {
  // Beside the largest magnitude of a group IQ2_XXS has none below 8/43 of it: it cannot keep a far one.
  const bool coarse = GetParam() == DType::iq2_xxs;
  const float outlier = coarse ? 0.1f : 3.0f;
  auto row = gaussian_row(256, 0.02f);
  row[77] = outlier;
  const auto decoded = round_trip(GetParam(), row);
  EXPECT_NEAR(decoded[77], outlier, (coarse ? 0.3f : 0.15f) * outlier);
  EXPECT_LT(loss(row, decoded), coarse ? 0.4 : 0.25);
}

TEST_P(EdgeRows, HugeAndTinyValuesGiveFiniteOnes) {
  for (const float size : {1e-45f, 1e-40f, 1e-30f, 1e-8f, 1e8f, 1e20f, 3e38f})
    for (const bool alone : {false, true}) {
      auto row = gaussian_row(256, alone ? 0.01f : size / 8);
      row[200] = -size;
      if (GetParam() == DType::f16 || GetParam() == DType::bf16) continue; // overflow is theirs to have
      for (const float v : round_trip(GetParam(), row)) ASSERT_TRUE(std::isfinite(v)) << size;
    }
}

TEST_P(EdgeRows, OneSignOnly) {
  auto row = gaussian_row(256, 0.02f);
  for (float& v : row) v = -std::abs(v) - 0.001f;
  const auto decoded = round_trip(GetParam(), row);
  EXPECT_LT(loss(row, decoded), 1.1 * k_losses.at(GetParam()) + 1e-9);
  for (float& v : row) v = -v;
  EXPECT_LT(loss(row, round_trip(GetParam(), row)), 1.1 * k_losses.at(GetParam()) + 1e-9);
}

TEST_P(EdgeRows, NotANumberDoesNoHarm) {
  auto row = gaussian_row(256, 1);
  row[3] = NAN;
  row[99] = INFINITY;
  row[100] = -INFINITY;
  EXPECT_EQ(encode(GetParam(), row).size(), row_bytes(GetParam(), 256)); // for the sanitizers
}

INSTANTIATE_TEST_SUITE_P(Types, EdgeRows,
                         testing::Values(DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q2_k, DType::q3_k,
                                         DType::q4_k, DType::q5_k, DType::q6_k, DType::iq2_xxs, DType::mxfp4),
                         [](const auto& param) { return std::string(dtype_info(param.param).name); });

} // namespace
} // namespace seacliff
