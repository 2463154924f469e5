// Seeded random tensor contents without any encoding: raw block bytes whose decoded values have a wanted spread.
#pragma once

#include <seacliff/sdk/dtype.hpp>

#include <cstdint>
#include <span>

namespace seacliff {

/// A stream of 64-bit words (SplitMix64: a counter through a mixing function). Two streams of one seed that differ in
/// `stream` or `part` have nothing in common, so work can be cut into parts that any thread makes in any order.
class RandomWords {
public:
  RandomWords(std::uint64_t seed, std::uint64_t stream, std::uint64_t part);

  std::uint64_t word() { return mix(state_ += k_step); }
  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(word() >> 11) * 0x1p-53; }
  /// Uniform in [0, n), n < 2^32.
  std::uint64_t below(std::uint64_t n) { return (word() >> 32) * n >> 32; }
  /// Mean 0, standard deviation 1, within +-6: a sum of twelve uniform numbers.
  double bell();
  void fill(std::span<std::byte> bytes);

  /// The mixing function alone: a hash of one word.
  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
  }

private:
  static constexpr std::uint64_t k_step = 0x9e3779b97f4a7c15u;
  std::uint64_t state_;
};

/// Whether `random_blocks` knows the format: f32, f16, bf16, q8_0, q2_k, q4_k, iq2_xxs, mxfp4.
bool has_random_blocks(DType dtype);

/// Fills `bytes` (whole blocks of `dtype`) with random ones that decode to values of mean 0 and standard deviation
/// `std` (within a few per cent). Scales vary by an eighth from block to block, every scale is finite, and f16 gets
/// numbers of bf16.
void random_blocks(DType dtype, double std, RandomWords& random, std::span<std::byte> bytes);

} // namespace seacliff
