// Drawing the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace seacliff {

/// 64-bit xorshift*. The same seed gives the same numbers on every machine.
class Rng {
public:
  /// Seed 0 stands for 0x9e3779b97f4a7c15.
  explicit Rng(std::uint64_t seed);
  std::uint64_t next();
  /// In [0, 1), a multiple of 2^-24.
  float uniform();

private:
  std::uint64_t state_;
};

/// A seed from the clock, for when the user gives none.
std::uint64_t time_seed();

struct SamplerOptions {
  double temperature = 1.0; // <= 0: always the largest logit
  double top_p = 1.0;       // >= 1: off
  double min_p = 0.05;      // relative to the likeliest token, which always stays; <= 0: off
  std::int64_t top_k = 0;   // <= 0: off; more than 1024 counts as 1024
  std::uint64_t seed = 0;
};

/// One sequence's sampler. Not thread-safe.
class Sampler {
public:
  /// Throws Error(invalid_argument) for an option that is NaN or infinite.
  explicit Sampler(const SamplerOptions& options);

  /// The next token of logits f32[n_vocab]. NaN and infinite logits are skipped. Takes one random number, or none when
  /// temperature <= 0. Throws Error(data_loss) when no logit is finite.
  std::int32_t sample(std::span<const float> logits);
  const SamplerOptions& options() const { return options_; }

private:
  struct Item {
    std::int32_t id;
    float logit;
    double p; // exp((logit - largest) / temperature)
  };
  void keep_all(std::span<const float> logits, float largest);
  void keep_top_p(std::span<const float> logits, float largest);
  void keep_top_k(std::span<const float> logits);
  void cut(double total);
  std::int32_t draw();

  SamplerOptions options_;
  Rng rng_;
  std::vector<Item> items_; // candidates of the current draw
};

/// The largest finite logit's index, the lowest one on ties; -1 when none is finite.
std::int32_t greedy(std::span<const float> logits);

} // namespace seacliff
