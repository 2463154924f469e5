// Searches shared by the encoders: a block in units of its own size, error weights, and one-dimensional scale fits.
// All are weighted least squares. Internal to ops/dtype.
#pragma once

#include <seacliff/sdk/numeric.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace seacliff::dtype::fit {

/// Nearest integer in [low, high], ties to even; NaN gives low. The bounds are below 2^22 in magnitude.
inline float nearest(float value, float low, float high) {
  constexpr float anchor = 12582912.0f; // 1.5 * 2^23: its last bit is worth one
  const float clipped = std::min(std::max(low, value), high);
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(clipped + anchor);
  return static_cast<float>(static_cast<std::int32_t>(bits - std::bit_cast<std::uint32_t>(anchor)));
}

/// Sum of `term(i)` over N elements in eight lanes: vectorises, and gives the same bits whatever the vector width.
template <int N, class Term> inline float sum(Term term) {
  constexpr int lanes = N % 8 == 0 ? 8 : 1;
  float lane[lanes] = {};
  for (int i = 0; i < N; i += lanes)
    for (int l = 0; l < lanes; ++l) lane[l] += term(i + l);
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  return lane[0];
}

/// A super-block divided by a power of two, so that its largest magnitude lies in [1, 2) and squares neither overflow
/// nor vanish, with the weight of each element's squared error.
struct SuperBlock {
  static constexpr int size = 256;
  alignas(64) std::array<float, size> x{};
  alignas(64) std::array<float, size> w{};
  float unit = 0; // 0: all elements are zero

  /// The weights are the importance, or 1 without it: plain squared error keeps a model closer to the original than
  /// weights that favour large elements do.
  SuperBlock(const float* row, const float* importance) {
    const float largest = numeric::detail::max_magnitude(row, size, 0.0f);
    if (!(largest > 0.0f)) return;
    constexpr std::uint32_t smallest_unit = 1u << 23, largest_unit = 253u << 23; // both have a normal inverse
    const std::uint32_t exponent = std::bit_cast<std::uint32_t>(largest) & 0x7f800000u;
    unit = std::bit_cast<float>(std::clamp(exponent, smallest_unit, largest_unit));
    const float inverse = 1.0f / unit;
    for (int i = 0; i < size; ++i) x[i] = row[i] * inverse;
    if (importance == nullptr || !weigh(importance)) w.fill(1.0f);
  }

  /// Stores scale · unit as f16, saturating, and gives back in `scale` what the decoder will see, in units.
  std::uint16_t store(float& scale) const {
    const std::uint16_t bits = numeric::f32_to_f16(std::clamp(scale * unit, -65504.0f, 65504.0f));
    scale = numeric::f16_to_f32(bits) / unit;
    return bits;
  }

private:
  bool weigh(const float* importance) {
    const float dearest = numeric::detail::max_magnitude(importance, size, 0.0f);
    if (!(dearest > 0.0f) || !std::isfinite(dearest)) return false; // nothing is known of this block
    // No element is worthless: the floor keeps sub-blocks without any importance from degenerating.
    for (int i = 0; i < size; ++i) w[i] = std::max(importance[i] / dearest, 1e-5f);
    return true;
  }
};

/// x ~ scale · code - min
struct ScaleMin {
  float scale = 0, min = 0;
};

/// Inverse scales tried: (levels + first + step·t) / (max - min), t = 0..count-1.
struct Sweep {
  float first, step;
  int count;
};

/// Scale and min (both >= 0) for codes 0..levels: each trial codes the elements, then solves for the best scale and
/// min of those codes.
template <int N> ScaleMin scale_and_min(const float* x, const float* w, float levels, Sweep sweep) {
  float low = 0, high = x[0];
  for (int i = 0; i < N; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  if (!(high > low)) return {0, -low};
  const float w_sum = sum<N>([&](int i) { return w[i]; });
  const float wx_sum = sum<N>([&](int i) { return w[i] * x[i]; });

  ScaleMin best{(high - low) / levels, -low};
  float best_error = INFINITY;
  float code[N];
  for (int t = -1; t < sweep.count; ++t) { // the first trial spans the range exactly
    const float extra = t < 0 ? 0.0f : sweep.first + sweep.step * static_cast<float>(t);
    const float inverse = (levels + extra) / (high - low);
    for (int i = 0; i < N; ++i) code[i] = nearest((x[i] - low) * inverse, 0, levels);
    const float c1 = sum<N>([&](int i) { return w[i] * code[i]; });
    const float c2 = sum<N>([&](int i) { return w[i] * code[i] * code[i]; });
    const float cx = sum<N>([&](int i) { return w[i] * code[i] * x[i]; });
    const float determinant = w_sum * c2 - c1 * c1;
    if (!(determinant > 0) || !(c2 > 0)) continue;
    ScaleMin trial{(w_sum * cx - wx_sum * c1) / determinant, (c1 * cx - c2 * wx_sum) / determinant};
    if (trial.min < 0) trial = {cx / c2, 0};
    if (!(trial.scale > 0)) continue;
    const float error = sum<N>([&](int i) {
      const float difference = trial.scale * code[i] - trial.min - x[i];
      return w[i] * difference * difference;
    });
    if (error < best_error) {
      best_error = error;
      best = trial;
    }
  }
  return best;
}

/// Scale of either sign for codes -levels..levels-1.
template <int N> float signed_scale(const float* x, const float* w, float levels) {
  float extreme = 0;
  for (int i = 0; i < N; ++i)
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  if (extreme == 0.0f) return 0;
  float best = 0, best_gain = 0;
  for (int t = -18; t <= 18; ++t) {
    // The extreme becomes -levels (the longer side) in half of the trials, levels - 1 in the others.
    const float stretch = 0.1f * static_cast<float>(t / 2);
    const float inverse = (t % 2 == 0 ? -(levels + stretch) : levels - 1 + stretch) / extreme;
    const auto code = [&](int i) { return nearest(x[i] * inverse, -levels, levels - 1); };
    const float cx = sum<N>([&](int i) { return w[i] * code(i) * x[i]; });
    const float c2 = sum<N>([&](int i) { return w[i] * code(i) * code(i); });
    if (c2 > 0 && cx * cx > best_gain * c2) {
      best_gain = cx * cx / c2;
      best = cx / c2;
    }
  }
  return best;
}

} // namespace seacliff::dtype::fit
