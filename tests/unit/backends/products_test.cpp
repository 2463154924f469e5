// The products with quantised activations of every instruction set that this machine runs, against those of `scalar`,
// on shapes that a register tile does not divide. A new format or set is picked up by itself; to add a shape, add it to
// k_shapes.
#include "backends/cpu/isa_list.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace seacliff::cpu {
namespace {

struct alignas(64) Line {
  std::byte bytes[64];
};
struct Shape {
  std::int64_t rows, blocks; // blocks of the format in a row
};
constexpr Shape k_shapes[] = {{1, 1}, {7, 3}, {18, 17}, {5, 35}};
constexpr std::int64_t k_many[] = {16, 17, 40, 300}; // one, two and three tiles of tokens, more than a group of tiles

/// Where the f16 numbers of a block are.
std::vector<std::uint64_t> half_offsets(DType dtype) {
  switch (dtype) {
  case DType::q2_k: return {80, 82};
  case DType::q3_k: return {108};
  case DType::q6_k: return {208};
  case DType::q4_k:
  case DType::q5_k: return {0, 2};
  default: return {0};
  }
}

/// Any bytes are valid codes; the f16 numbers are set to 2^-8 to 2^-6.
std::vector<std::byte> random_weights(DType dtype, std::int64_t blocks, std::mt19937& random) {
  const std::uint64_t size = dtype_info(dtype).block_bytes;
  std::vector<std::byte> w(size * static_cast<std::uint64_t>(blocks));
  for (std::byte& b : w) b = static_cast<std::byte>(random());
  for (std::uint64_t at = 0; at < w.size(); at += size) {
    if (dtype == DType::mxfp4)
      w[at] = std::byte{120};
    else
      for (const std::uint64_t offset : half_offsets(dtype)) {
        const auto half = static_cast<std::uint16_t>(0x1c00u + random() % 0x800u);
        std::memcpy(w.data() + at + offset, &half, sizeof half);
      }
  }
  return w;
}

struct Problem {
  std::int64_t rows, k, tokens;
  std::uint64_t w_stride, x_stride;
  std::vector<std::byte> w, x;
};

/// Token t reads activation row tokens-1-t and writes there.
std::vector<float> solve(const Isa& isa, const Format& format, const Problem& p) {
  std::vector<float> y(static_cast<std::size_t>(p.rows * p.tokens), -1.0f);
  std::vector<std::int32_t> reversed;
  for (std::int64_t t = p.tokens; t > 0; --t) reversed.push_back(static_cast<std::int32_t>(t - 1));
  GemmArgs args{};
  args.w = p.w.data();
  args.w_stride = p.w_stride;
  args.rows = p.rows;
  args.k = p.k;
  args.x = p.x.data();
  args.x_stride = p.x_stride;
  args.tokens = p.tokens;
  args.y = y.data();
  args.y_stride = p.rows;
  args.x_row = args.y_row = reversed.data();
  const std::unique_ptr<Line[]> scratch(new Line[isa.act_scratch(p.tokens) / sizeof(Line)]);
  args.scratch = reinterpret_cast<std::byte*>(scratch.get());
  format.gemm_act(args);
  return y;
}

void compare(const Isa& isa, const Format& format, const Shape& shape, std::int64_t tokens, std::mt19937& random) {
  const Isa& plain = *find_isa("scalar");
  Problem p{};
  p.rows = shape.rows;
  p.k = shape.blocks * static_cast<std::int64_t>(dtype_info(format.dtype).block_elems);
  p.tokens = tokens;
  p.w_stride = row_bytes(format.dtype, static_cast<std::uint64_t>(p.k));
  p.x_stride = act_layout(format.act, p.k).bytes;
  p.w = random_weights(format.dtype, shape.rows * shape.blocks, random);
  p.x.resize(p.x_stride * static_cast<std::uint64_t>(tokens));
  std::normal_distribution<float> normal;
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::vector<float> row(static_cast<std::size_t>(p.k));
    for (float& v : row) v = normal(random);
    plain.quantise(format.act, row.data(), p.k, p.x.data() + p.x_stride * static_cast<std::uint64_t>(t));
  }
  const std::vector<float> expected = solve(plain, *plain.find(format.dtype), p), got = solve(isa, format, p);
  float largest = 8; // the partial sums of a row are of this size, though they may cancel
  for (const float v : expected) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 4e-6f * largest)
        << isa.name << ' ' << dtype_info(format.dtype).name << ", " << shape.rows << " rows, k " << p.k << ", "
        << tokens << " tokens, output " << i;
  EXPECT_EQ(got, solve(isa, format, p));
}

TEST(Products, EverySetMultipliesAsScalarDoes) {
  std::mt19937 random(20);
  for (const Isa* isa : compiled_isas()) {
    if (!enable(isa->name)) continue;
    for (std::int64_t f = 0; f < isa->n_formats; ++f) {
      const Format& format = isa->formats[f];
      if (format.act == Act::none) continue;
      for (const Shape& shape : k_shapes)
        for (std::int64_t tokens = 1; tokens <= 10; ++tokens) compare(*isa, format, shape, tokens, random);
      for (const std::int64_t tokens : k_many) compare(*isa, format, {18, 17}, tokens, random);
    }
  }
}

} // namespace
} // namespace seacliff::cpu
