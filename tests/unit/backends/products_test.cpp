// The products with quantised activations of every instruction set that this machine runs (and of `amx` on a model of
// its tiles), on shapes that a register tile does not divide: those of few tokens against the set `scalar`, those of
// many against sums in double, within what one byte per weight may round away; and those of many tokens with f32
// activations and weights in f32, f16 or bf16. A new format or set is picked up by itself; to add a shape, add it to
// k_shapes, k_many or k_plain.
#include "backends/cpu/isa_list.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace seacliff::cpu {
namespace amx_model {
extern const Isa isa;
}
namespace {

struct alignas(64) Line {
  std::byte bytes[64];
};
struct Shape {
  std::int64_t rows, blocks; // blocks of the format in a row
};
constexpr Shape k_shapes[] = {{1, 1}, {7, 3}, {18, 17}, {5, 35}};
struct Many {
  Shape shape;
  std::int64_t tokens;
};
// Tokens: one, two and three tiles, more than a group of them. Rows: parts of a panel, more than a block of them.
// k: part of a unit, several chunks and a part.
constexpr Many k_many[] = {{{35, 5}, 16}, {{33, 17}, 17}, {{18, 35}, 40}, {{600, 1}, 9}, {{3, 1}, 530}};

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
  std::int64_t rows, k, tokens, y_stride;
  std::uint64_t w_stride, x_stride;
  std::vector<std::byte> w, x;
};

/// Token t reads activation row tokens-1-t and writes there.
template <class Product>
std::vector<float> solve(const Problem& p, const Product& product, std::uint64_t scratch_bytes) {
  std::vector<float> y(static_cast<std::size_t>(p.y_stride * (p.tokens + 1)), -1.0f);
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
  args.y_stride = p.y_stride;
  args.x_row = args.y_row = reversed.data();
  const std::unique_ptr<Line[]> scratch(new Line[scratch_bytes / sizeof(Line)]);
  if (scratch_bytes != 0) args.scratch = reinterpret_cast<std::byte*>(scratch.get());
  product(args);
  return y;
}
std::vector<float> solve(const Isa& isa, const Format& format, const Problem& p, bool many) {
  return solve(p, many ? format.gemm_many : format.gemm_act, isa.many_scratch(p.tokens));
}

enum class Codes { ordinary, extreme };

Problem make_problem(DType dtype, Act act, const Shape& shape, std::int64_t tokens, Codes codes, std::mt19937& random) {
  const Isa& plain = *find_isa("scalar");
  Problem p{};
  p.rows = shape.rows;
  p.y_stride = shape.rows + 3;
  p.k = shape.blocks * static_cast<std::int64_t>(dtype_info(dtype).block_elems);
  p.tokens = tokens;
  p.w_stride = row_bytes(dtype, static_cast<std::uint64_t>(p.k));
  p.x_stride = act_layout(act, p.k).bytes;
  p.w = random_weights(dtype, shape.rows * shape.blocks, random);
  p.x.resize(p.x_stride * static_cast<std::uint64_t>(tokens));
  std::normal_distribution<float> normal;
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::vector<float> row(static_cast<std::size_t>(p.k));
    for (float& v : row) v = codes == Codes::ordinary ? normal(random) : random() % 2 != 0 ? 1.0f : -1.0f;
    plain.quantise(act, row.data(), 0, p.k, p.k, p.x.data() + p.x_stride * static_cast<std::uint64_t>(t), true);
  }
  return p;
}

void compare_few(const Isa& isa, const Format& format, const Shape& shape, std::int64_t tokens, std::mt19937& random) {
  const Isa& plain = *find_isa("scalar");
  const Problem p = make_problem(format.dtype, format.act, shape, tokens, Codes::ordinary, random);
  const std::vector<float> expected = solve(plain, *plain.find(format.dtype), p, false),
                           got = solve(isa, format, p, false);
  float largest = 8; // the partial sums of a row are of this size, though they may cancel
  for (const float v : expected) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 4e-6f * largest)
        << isa.name << ' ' << dtype_info(format.dtype).name << ", " << shape.rows << " rows, k " << p.k << ", "
        << tokens << " tokens, output " << i;
  EXPECT_EQ(got, solve(isa, format, p, false));
}

/// Activation row t as its codes say, and the weights as numbers.
std::vector<double> activations(const Problem& p, Act act, std::int64_t t) {
  const std::byte* row = p.x.data() + p.x_stride * static_cast<std::uint64_t>(t);
  const std::int64_t per = act == Act::q8_k ? 256 : 32;
  std::vector<double> x(static_cast<std::size_t>(p.k));
  for (std::int64_t i = 0; i < p.k; ++i) {
    float scale;
    std::memcpy(&scale, row + act_layout(act, p.k).scales + static_cast<std::uint64_t>(i / per) * 4, sizeof scale);
    x[static_cast<std::size_t>(i)] = scale * static_cast<double>(static_cast<std::int8_t>(row[i]));
  }
  return x;
}

/// The sum of weight row r times x, and the most that weights of one byte may be off: three quarters of a step each
/// (half for rounding the weight, less than half that for its sub-block's factor).
struct Expected {
  double sum = 0, bound = 0;
};
Expected expected_sum(const std::vector<float>& w, const std::vector<double>& x) {
  Expected e;
  for (std::size_t begin = 0; begin < x.size(); begin += 256) {
    double largest = 0, size = 0;
    for (std::size_t i = begin; i < std::min(begin + 256, x.size()); ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(w[i])));
      size += std::fabs(x[i]);
      e.sum += static_cast<double>(w[i]) * x[i];
    }
    e.bound += (0.76 / 127 + 1e-5) * largest * size;
  }
  return e;
}

void compare_many(const Isa& isa, const Format& format, const Problem& p) {
  const std::vector<float> got = solve(isa, format, p, true);
  const std::string what =
      fmt::format("{} {}, {} rows, k {}, {} tokens", isa.name, dtype_info(format.dtype).name, p.rows, p.k, p.tokens);
  std::vector<std::vector<double>> x;
  for (std::int64_t t = 0; t < p.tokens; ++t) x.push_back(activations(p, format.act_many, t));
  std::vector<float> w(static_cast<std::size_t>(p.k));
  double error = 0, size = 0;
  for (std::int64_t r = 0; r < p.rows; ++r) {
    find_isa("scalar")
        ->find(format.dtype)
        ->decode(p.w.data() + p.w_stride * static_cast<std::uint64_t>(r), w.data(), p.k);
    for (std::int64_t t = 0; t < p.tokens; ++t) {
      const Expected e = expected_sum(w, x[static_cast<std::size_t>(t)]);
      const double y = got[static_cast<std::size_t>(t * p.y_stride + r)];
      ASSERT_NEAR(y, e.sum, e.bound) << what << ", row " << r << ", token " << t;
      error += (y - e.sum) * (y - e.sum);
      size += e.sum * e.sum;
    }
  }
  if (p.rows * p.tokens > 100) {
    EXPECT_LT(std::sqrt(error / size), 0.02) << what;
  }
  for (std::int64_t t = 0; t <= p.tokens; ++t) // what is nobody's is left alone
    for (std::int64_t r = t < p.tokens ? p.rows : 0; r < p.y_stride; ++r)
      ASSERT_EQ(got[static_cast<std::size_t>(t * p.y_stride + r)], -1.0f) << what;
  EXPECT_EQ(got, solve(isa, format, p, true)) << what;
}

/// What comes packed, and a second matrix beside the first, gives what rows and two products give, bit for bit.
void compare_packed(const Isa& isa, const Format& format, const Shape& shape, std::int64_t tokens,
                    std::mt19937& random) {
  const Problem p = make_problem(format.dtype, format.act_many, shape, tokens, Codes::ordinary, random);
  const std::vector<float> want = solve(isa, format, p, true);
  const std::int64_t tiles = (tokens + k_packed_tokens - 1) / k_packed_tokens;
  const auto chunks = static_cast<std::uint64_t>((p.k + k_packed_k - 1) / k_packed_k);
  const std::uint64_t chunk = static_cast<std::uint64_t>(tiles) * k_packed_bytes;
  const std::unique_ptr<Line[]> packed(new Line[chunks * chunk / sizeof(Line)]);
  auto* base = reinterpret_cast<std::byte*>(packed.get());
  std::vector<std::int32_t> reversed;
  for (std::int64_t t = tokens; t > 0; --t) reversed.push_back(static_cast<std::int32_t>(t - 1));
  for (std::int64_t t = 0; t < tiles; ++t)
    format.pack({p.x.data(), p.x_stride, std::min(k_packed_tokens, tokens - t * k_packed_tokens), p.k,
                 base + static_cast<std::uint64_t>(t) * k_packed_bytes, chunk, reversed.data() + t * k_packed_tokens});
  const std::unique_ptr<Line[]> scratch(new Line[isa.many_scratch(tokens) / sizeof(Line)]);
  for (const bool from_tiles : {false, true}) {
    std::vector<float> y(want.size(), -1.0f), second(want.size(), -1.0f);
    GemmArgs args{};
    args.w = args.w2 = p.w.data();
    args.w_stride = p.w_stride;
    args.rows = p.rows;
    args.k = p.k;
    args.packed = from_tiles;
    args.x = from_tiles ? base : p.x.data();
    args.x_stride = from_tiles ? chunk : p.x_stride;
    args.x_row = from_tiles ? nullptr : reversed.data();
    args.y_row = reversed.data();
    args.tokens = tokens;
    args.y = y.data();
    args.y2 = second.data();
    args.y_stride = p.y_stride;
    args.scratch = reinterpret_cast<std::byte*>(scratch.get());
    format.gemm_many(args);
    EXPECT_EQ(y, want) << isa.name << " " << dtype_info(format.dtype).name << ", " << tokens << " tokens";
    EXPECT_EQ(second, want) << isa.name << " " << dtype_info(format.dtype).name << ", " << tokens << " tokens";
  }
}

/// Sets that this machine runs, and the model.
std::vector<const Isa*> sets() {
  std::vector<const Isa*> found{&amx_model::isa};
  for (const Isa* isa : compiled_isas())
    if (enable(isa->name)) found.push_back(isa);
  return found;
}
template <class Body> void each_block_format(Body body) {
  for (const Isa* isa : sets())
    for (std::int64_t f = 0; f < isa->n_formats; ++f)
      if (isa->formats[f].act != Act::none) body(*isa, isa->formats[f]);
}

TEST(Products, OfTilesAreThoseOfRows) {
  std::mt19937 random(23);
  each_block_format([&](const Isa& isa, const Format& format) {
    if (format.pack == nullptr) return;
    for (const std::int64_t tokens : {9, 16, 50}) compare_packed(isa, format, {21, 5}, tokens, random);
    const std::int64_t chunks = 1 + 2 * k_packed_k / static_cast<std::int64_t>(dtype_info(format.dtype).block_elems);
    for (const std::int64_t tokens : {20, 200}) compare_packed(isa, format, {40, chunks}, tokens, random);
  });
}

TEST(Products, OfFewTokensAreThoseOfScalar) {
  std::mt19937 random(20);
  each_block_format([&](const Isa& isa, const Format& format) {
    for (const Shape& shape : k_shapes)
      for (std::int64_t tokens = 1; tokens <= 10; ++tokens) compare_few(isa, format, shape, tokens, random);
  });
}

TEST(Products, OfNoRowsReadNoWeights) { // as a worker has them where there are fewer rows than workers
  std::mt19937 random(24);
  each_block_format([&](const Isa& isa, const Format& format) {
    for (const std::int64_t tokens : {1, 5, 20}) {
      const bool many = tokens > 8;
      const Problem p =
          make_problem(format.dtype, many ? format.act_many : format.act, {0, 3}, tokens, Codes::ordinary, random);
      ASSERT_EQ(p.w.data(), nullptr);
      for (const float v : solve(isa, format, p, many)) ASSERT_EQ(v, -1.0f) << isa.name << ", " << tokens << " tokens";
    }
  });
}

TEST(Products, OfManyTokensRoundWeightsToBytesAndNoMore) {
  std::mt19937 random(21);
  each_block_format([&](const Isa& isa, const Format& format) {
    const auto problem = [&](const Shape& shape, std::int64_t tokens, Codes codes) {
      return make_problem(format.dtype, format.act_many, shape, tokens, codes, random);
    };
    for (const Many& many : k_many) compare_many(isa, format, problem(many.shape, many.tokens, Codes::ordinary));
    compare_many(isa, format, problem({33, 5}, 12, Codes::extreme));
  });
}

TEST(Products, OfManyTokensRoundNoMoreWhereScalesUseOneBit) {
  std::mt19937 random(25);
  each_block_format([&](const Isa& isa, const Format& format) {
    if (format.dtype != DType::q4_k && format.dtype != DType::q5_k) return;
    Problem p = make_problem(format.dtype, format.act_many, {35, 5}, 16, Codes::ordinary, random);
    for (std::size_t block = 0; block < p.w.size(); block += dtype_info(format.dtype).block_bytes)
      for (std::size_t at = 4; at < 16; ++at) // scales and minima of sub-blocks
        p.w[block + at] &= std::byte{1};
    compare_many(isa, format, p);
  });
}

TEST(Products, OfManyTokensKeepWhatIsNoNumberToItsToken) {
  std::mt19937 random(22);
  each_block_format([&](const Isa& isa, const Format& format) {
    Problem p = make_problem(format.dtype, format.act_many, {21, 3}, 20, Codes::ordinary, random);
    const float poison = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(p.x.data() + 3 * p.x_stride + act_layout(format.act_many, p.k).scales, &poison, sizeof poison);
    const std::vector<float> got = solve(isa, format, p, true);
    for (std::int64_t t = 0; t < p.tokens; ++t)
      for (std::int64_t r = 0; r < p.rows; ++r)
        ASSERT_EQ(std::isnan(got[static_cast<std::size_t>(t * p.y_stride + r)]), t == 3) << isa.name << " token " << t;
  });
}

// ---- f32 activations, plain weights ---------------------------------------------------------------------------------

struct Plain {
  std::int64_t rows, k, tokens;
};
// k: less than a step of tiles, odd, more than a chunk. Tokens: too few for tiles, parts of a block, more than a group.
constexpr Plain k_plain[] = {{35, 61, 17}, {33, 17, 40}, {5, 300, 9}, {130, 520, 33}, {7, 256, 530}, {300, 32, 20}};

/// `short_weights`: no more digits than bf16 has, whatever the format.
Problem make_plain(DType dtype, const Plain& shape, bool short_weights, std::mt19937& random) {
  Problem p{shape.rows,
            shape.k,
            shape.tokens,
            shape.rows + 3,
            row_bytes(dtype, static_cast<std::uint64_t>(shape.k)),
            static_cast<std::uint64_t>(shape.k) * sizeof(float),
            {},
            {}};
  std::normal_distribution<float> normal;
  const auto rows = static_cast<std::size_t>(p.rows);
  p.w.resize(p.w_stride * rows);
  for (std::size_t i = 0; i < static_cast<std::size_t>(p.rows * p.k); ++i) {
    float v = 0.1f * normal(random);
    std::uint32_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    if (short_weights) bits &= 0xffff0000u;
    std::memcpy(&v, &bits, sizeof v);
    if (dtype == DType::f32) {
      std::memcpy(p.w.data() + 4 * i, &bits, 4);
    } else if (dtype == DType::bf16) {
      std::memcpy(p.w.data() + 2 * i, reinterpret_cast<const std::byte*>(&bits) + 2, 2);
    } else {
      find_isa("scalar")->to_half(&v, p.w.data() + 2 * i, 1);
    }
  }
  p.x.resize(p.x_stride * static_cast<std::size_t>(p.tokens));
  for (std::size_t i = 0; i < p.x.size(); i += sizeof(float)) {
    const float v = normal(random);
    std::memcpy(p.x.data() + i, &v, sizeof v);
  }
  return p;
}

/// How activations may be treated.
enum class Kept { bits16, bits8, bits8_packed };

std::vector<float> solve_plain(const Isa& isa, const Format& format, const Problem& p, Kept kept, bool with_scratch) {
  const std::uint64_t scratch = with_scratch ? isa.gemm_scratch(p.tokens) : 0;
  const PackedShape tile = k_packed_plain;
  const std::int64_t tiles = (p.tokens + tile.tokens - 1) / tile.tokens, chunks = (p.k + tile.k - 1) / tile.k;
  const std::uint64_t chunk = static_cast<std::uint64_t>(tiles) * k_packed_bytes;
  const std::unique_ptr<Line[]> packed(new Line[static_cast<std::uint64_t>(chunks) * chunk / sizeof(Line)]);
  auto* base = reinterpret_cast<std::byte*>(packed.get());
  return solve(
      p,
      [&](GemmArgs args) {
        args.act8 = kept != Kept::bits16;
        if (kept == Kept::bits8_packed) {
          for (std::int64_t t = 0; t < tiles; ++t)
            format.pack({args.x, args.x_stride, std::min(tile.tokens, p.tokens - t * tile.tokens), p.k,
                         base + static_cast<std::uint64_t>(t) * k_packed_bytes, chunk, args.x_row + t * tile.tokens});
          args.x = base;
          args.x_stride = chunk;
          args.x_row = nullptr;
          args.packed = true;
        }
        format.gemm(args);
      },
      scratch);
}

void compare_plain(const Isa& isa, const Format& format, const Plain& shape, bool short_weights, bool with_scratch,
                   Kept kept, std::mt19937& random) {
  const Problem p = make_plain(format.dtype, shape, short_weights, random);
  const std::vector<float> got = solve_plain(isa, format, p, kept, with_scratch);
  // Two parts of 16 bits each, or one of 8.
  const double most = kept == Kept::bits16 ? 3.1e-5 : 0x1p-8, mean = kept == Kept::bits16 ? 1e-5 : 2e-3;
  const std::string what =
      fmt::format("{} {}, {} rows, k {}, {} tokens", isa.name, dtype_info(format.dtype).name, p.rows, p.k, p.tokens);
  std::vector<float> w(static_cast<std::size_t>(p.k)), x(w.size());
  double error = 0, size = 0;
  for (std::int64_t r = 0; r < p.rows; ++r) {
    find_isa("scalar")
        ->find(format.dtype)
        ->decode(p.w.data() + p.w_stride * static_cast<std::uint64_t>(r), w.data(), p.k);
    for (std::int64_t t = 0; t < p.tokens; ++t) {
      std::memcpy(x.data(), p.x.data() + p.x_stride * static_cast<std::uint64_t>(t), p.x_stride);
      double sum = 0, all = 0;
      for (std::size_t i = 0; i < w.size(); ++i) {
        sum += static_cast<double>(w[i]) * x[i];
        all += std::fabs(static_cast<double>(w[i]) * x[i]);
      }
      const double y = got[static_cast<std::size_t>(t * p.y_stride + r)];
      ASSERT_NEAR(y, sum, most * all) << what << ", row " << r << ", token " << t;
      error += (y - sum) * (y - sum);
      size += sum * sum;
    }
  }
  EXPECT_LT(std::sqrt(error / size), mean) << what;
  for (std::int64_t t = 0; t <= p.tokens; ++t)
    for (std::int64_t r = t < p.tokens ? p.rows : 0; r < p.y_stride; ++r)
      ASSERT_EQ(got[static_cast<std::size_t>(t * p.y_stride + r)], -1.0f) << what;
  EXPECT_EQ(got, solve_plain(isa, format, p, kept, with_scratch)) << what;
}
template <class Body> void each_plain_format(Body body) {
  for (const Isa* isa : sets())
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) body(*isa, *isa->find(dtype));
}

TEST(Products, OfManyTokensWithPlainWeightsKeepSixteenBits) {
  std::mt19937 random(23);
  each_plain_format([&](const Isa& isa, const Format& format) {
    for (const Plain& shape : k_plain) {
      compare_plain(isa, format, shape, false, true, Kept::bits16, random);
      compare_plain(isa, format, shape, true, true, Kept::bits16, random);
      compare_plain(isa, format, shape, false, false, Kept::bits16, random);
    }
  });
}

TEST(Products, OfManyTokensWithPlainWeightsKeepEightBitsWhereTheseAreEnough) {
  std::mt19937 random(25);
  each_plain_format([&](const Isa& isa, const Format& format) {
    for (const Plain& shape : k_plain) {
      compare_plain(isa, format, shape, false, true, Kept::bits8, random);
      if (format.pack == nullptr) continue;
      compare_plain(isa, format, shape, true, true, Kept::bits8_packed, random);
      if (shape.tokens <= k_few_plain) continue; // rows of so few are not rounded
      const Problem p = make_plain(format.dtype, shape, false, random);
      EXPECT_EQ(solve_plain(isa, format, p, Kept::bits8, true), solve_plain(isa, format, p, Kept::bits8_packed, true));
    }
  });
}

TEST(Products, WithPlainWeightsKeepWhatIsNoNumberToItsToken) {
  std::mt19937 random(24);
  each_plain_format([&](const Isa& isa, const Format& format) {
    for (const std::uint32_t bits : {0x7fc00000u, 0x7fffffffu, 0xff800001u})
      for (const Kept kept : {Kept::bits16, Kept::bits8}) {
        Problem p = make_plain(format.dtype, {21, 300, 20}, false, random);
        std::memcpy(p.x.data() + 3 * p.x_stride + 4 * 77, &bits, sizeof bits);
        const std::vector<float> got = solve_plain(isa, format, p, kept, true);
        for (std::int64_t t = 0; t < p.tokens; ++t)
          for (std::int64_t r = 0; r < p.rows; ++r)
            ASSERT_EQ(std::isnan(got[static_cast<std::size_t>(t * p.y_stride + r)]), t == 3) << isa.name << " " << t;
      }
  });
}

} // namespace
} // namespace seacliff::cpu
