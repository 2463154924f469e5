#include "core/model/random_blocks.hpp"

#include <seacliff/sdk/blocks.hpp>
#include <seacliff/sdk/numeric.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace seacliff {
namespace {

constexpr double k_sqrt3 = 1.7320508075688772; // a uniform number in [-1, 1) times this has standard deviation 1

/// 0.875 ... 1.125, so that no two blocks have the same scale.
double jitter(RandomWords& random) { return 0.875 + 0.25 * random.unit(); }

/// What f16 matrices of released models hold: their checkpoint had them in bf16 or f8.
std::uint16_t half_of_bf16(float value) {
  return numeric::f32_to_f16(numeric::bf16_to_f32(numeric::f32_to_bf16(value)));
}

std::uint16_t half(double value) { return numeric::f32_to_f16(static_cast<float>(value)); }

template <std::size_t N> void fill(RandomWords& random, std::uint8_t (&bytes)[N]) {
  random.fill(std::as_writable_bytes(std::span(bytes)));
}

/// Applies make(block) to every block. Blocks lie at any address: made aside, then copied.
template <class Block, class Make> void each_block(std::span<std::byte> bytes, Make make) {
  assert(bytes.size() % sizeof(Block) == 0);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Block)) {
    Block block;
    make(block);
    std::memcpy(bytes.data() + at, &block, sizeof(Block));
  }
}

/// Plain numbers, uniform: `Number` is what is stored, `store` makes it from a float. Four from a word.
template <class Number, class Store>
void plain(double std, RandomWords& random, std::span<std::byte> bytes, Store store) {
  const auto step = static_cast<float>(std * k_sqrt3 / 32768.0);
  Number numbers[4];
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(numbers)) {
    const std::uint64_t word = random.word();
    for (unsigned i = 0; i < 4; ++i)
      numbers[i] = store((static_cast<float>(static_cast<std::int16_t>(word >> 16 * i)) + 0.5f) * step);
    std::memcpy(bytes.data() + at, numbers, std::min(sizeof(numbers), bytes.size() - at));
  }
}

void q8_0(double std, RandomWords& random, std::span<std::byte> bytes) {
  constexpr double spread = 73.9; // of a uniform signed byte
  each_block<blocks::Q8_0>(bytes, [&](blocks::Q8_0& block) {
    block.d = half(jitter(random) * std / spread);
    random.fill(std::as_writable_bytes(std::span(block.q)));
  });
}

void q2_k(double std, RandomWords& random, std::span<std::byte> bytes) {
  // Codes 0 ... 3 around 1.5: dmin = 1.5 d centres a sub-block whose min equals its scale. Scales 4 ... 15, RMS 10.
  constexpr double spread = 1.118 * 10.11;
  each_block<blocks::Q2_K>(bytes, [&](blocks::Q2_K& block) {
    fill(random, block.q);
    fill(random, block.sc);
    for (std::uint8_t& sc : block.sc) {
      const int scale = 4 + (sc & 15) * 3 / 4, min = std::clamp(scale + (sc >> 4) % 3 - 1, 0, 15);
      sc = static_cast<std::uint8_t>(scale | min << 4);
    }
    const double d = jitter(random) * std / spread;
    block.d = half(d);
    block.dmin = half(1.5 * d);
  });
}

void q4_k(double std, RandomWords& random, std::span<std::byte> bytes) {
  // Codes 0 ... 15 around 7.5, scales 16 ... 47.
  constexpr double spread = 4.610 * 32.83;
  each_block<blocks::Q4_K>(bytes, [&](blocks::Q4_K& block) {
    fill(random, block.q);
    const std::uint64_t choice = random.word();
    std::uint8_t scale[8], min[8];
    for (unsigned s = 0; s < 8; ++s) {
      const auto bits = static_cast<unsigned>(choice >> 8 * s);
      scale[s] = static_cast<std::uint8_t>(16 + (bits & 31));
      min[s] = static_cast<std::uint8_t>(scale[s] + (bits >> 5 & 3) - 1);
    }
    for (unsigned s = 0; s < 4; ++s) { // the packing that blocks::k_scale_min undoes
      block.sc[s] = static_cast<std::uint8_t>((scale[s] & 63) | (scale[s + 4] >> 4) << 6);
      block.sc[s + 4] = static_cast<std::uint8_t>((min[s] & 63) | (min[s + 4] >> 4) << 6);
      block.sc[s + 8] = static_cast<std::uint8_t>((scale[s + 4] & 15) | (min[s + 4] & 15) << 4);
    }
    const double d = jitter(random) * std / spread;
    block.d = half(d);
    block.dmin = half(7.5 * d);
  });
}

double iq2_xxs_spread() {
  static const double spread = [] {
    double grid = 0, codes = 0;
    for (const std::uint64_t eight : blocks::iq2xxs_grid)
      for (unsigned j = 0; j < 8; ++j) {
        const auto level = static_cast<double>(eight >> 8 * j & 255);
        grid += level * level / (8.0 * static_cast<double>(blocks::iq2xxs_grid.size()));
      }
    for (int code = 0; code < 16; ++code) codes += (0.5 + code) * (0.5 + code) / 16 / 16;
    return std::sqrt(grid * codes);
  }();
  return spread;
}

void iq2_xxs(double std, RandomWords& random, std::span<std::byte> bytes) {
  each_block<blocks::IQ2_XXS>(bytes, [&](blocks::IQ2_XXS& block) {
    random.fill(std::as_writable_bytes(std::span(&block, 1))); // every word is legal; d follows
    block.d = half(jitter(random) * std / iq2_xxs_spread());
  });
}

void mxfp4(double std, RandomWords& random, std::span<std::byte> bytes) {
  constexpr double mean_square = (0 + 0.25 + 1 + 2.25 + 4 + 9 + 16 + 36) / 8;
  // Scales are powers of two: the two nearest are mixed so that the mean square comes out right.
  int exponent = 0;
  const double fraction = 2 * std::frexp(std / std::sqrt(mean_square), &exponent); // in [1, 2) of 2^(exponent - 1)
  const double smaller = (4 - fraction * fraction) / 3;
  const int e = std::clamp(exponent - 1 + 127, 0, 253);
  each_block<blocks::MXFP4>(bytes, [&](blocks::MXFP4& block) {
    fill(random, block.q);
    block.e = static_cast<std::uint8_t>(random.unit() < smaller ? e : e + 1);
  });
}

} // namespace

RandomWords::RandomWords(std::uint64_t seed, std::uint64_t stream, std::uint64_t part)
    : state_(mix(mix(mix(seed + k_step) ^ stream) + (part + 1) * k_step)) {}

double RandomWords::bell() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += unit();
  return sum;
}

void RandomWords::fill(std::span<std::byte> bytes) {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    const std::uint64_t w = word();
    std::memcpy(bytes.data() + at, &w, 8);
  }
  if (at == bytes.size()) return;
  const std::uint64_t w = word();
  std::memcpy(bytes.data() + at, &w, bytes.size() - at);
}

bool has_random_blocks(DType dtype) {
  switch (dtype) {
  case DType::f32:
  case DType::f16:
  case DType::bf16:
  case DType::q8_0:
  case DType::q2_k:
  case DType::q4_k:
  case DType::iq2_xxs:
  case DType::mxfp4: return true;
  default: return false;
  }
}

void random_blocks(DType dtype, double std, RandomWords& random, std::span<std::byte> bytes) {
  switch (dtype) {
  case DType::f32: return plain<float>(std, random, bytes, [](float x) { return x; });
  case DType::f16: return plain<std::uint16_t>(std, random, bytes, half_of_bf16);
  case DType::bf16: return plain<std::uint16_t>(std, random, bytes, numeric::f32_to_bf16);
  case DType::q8_0: return q8_0(std, random, bytes);
  case DType::q2_k: return q2_k(std, random, bytes);
  case DType::q4_k: return q4_k(std, random, bytes);
  case DType::iq2_xxs: return iq2_xxs(std, random, bytes);
  case DType::mxfp4: return mxfp4(std, random, bytes);
  default: assert(false && "has_random_blocks"); return;
  }
}

} // namespace seacliff
