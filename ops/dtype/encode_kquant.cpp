// Q2_K to Q6_K. Every encoder works in two stages: the best real-valued scale (and min) of each sub-block, then the
// quantised scales together with the super-block's own factors, improved in turns until the error stops falling.
#include "ops/dtype/encode.hpp"
#include "ops/dtype/fit.hpp"

#include <cstring>

namespace seacliff::dtype {
namespace {

using fit::nearest;
using fit::SuperBlock;

constexpr int k_rounds = 4; // of the turns between sub-block scales and super-block factors

/// Q2_K, Q4_K, Q5_K: value = d·scale·code - dmin·min.
template <int N, int LEVELS, int SCALES> struct AffineEncoder {
  static constexpr int subs = SuperBlock::size / N;
  static constexpr float levels = LEVELS;

  struct State {
    float d = 0, dmin = 0;
    std::uint16_t d_bits = 0, dmin_bits = 0;
    std::array<int, subs> scale{}, min{};
    float error = INFINITY;
  };

  const SuperBlock& block;
  std::array<fit::ScaleMin, subs> wanted;
  State best;

  AffineEncoder(const SuperBlock& source, fit::Sweep sweep) : block(source) {
    if (block.unit == 0.0f) return;
    float largest_scale = 0, largest_min = 0;
    for (int s = 0; s < subs; ++s) {
      wanted[s] = fit::scale_and_min<N>(&block.x[s * N], &block.w[s * N], levels, sweep);
      largest_scale = std::max(largest_scale, wanted[s].scale);
      largest_min = std::max(largest_min, wanted[s].min);
    }
    State state = settle(largest_scale / SCALES, largest_min / SCALES);
    best = state;
    for (int round = 0; round < k_rounds; ++round) {
      if (!refactor(state)) break;
      state = settle(state.d, state.dmin);
      if (!(state.error < best.error)) break;
      best = state;
    }
  }

  void codes(std::array<std::uint8_t, SuperBlock::size>& out) const {
    for (int s = 0; s < subs; ++s) {
      const float scale = best.d * static_cast<float>(best.scale[s]), min = best.dmin * static_cast<float>(best.min[s]);
      const float inverse = scale > 0 ? 1 / scale : 0;
      for (int i = s * N; i < (s + 1) * N; ++i)
        out[i] = static_cast<std::uint8_t>(nearest((block.x[i] + min) * inverse, 0, levels));
    }
  }

private:
  float error_of(int s, float scale, float min) const {
    const float inverse = scale > 0 ? 1 / scale : 0;
    const float *x = &block.x[s * N], *w = &block.w[s * N];
    return fit::sum<N>([&](int i) {
      const float difference = scale * nearest((x[i] + min) * inverse, 0, levels) - min - x[i];
      return w[i] * difference * difference;
    });
  }

  /// Stores the factors and finds, for each sub-block, the best pair of scale and min near the wanted ones.
  State settle(float d, float dmin) const {
    State state;
    state.d = d;
    state.dmin = dmin;
    state.d_bits = block.store(state.d);
    state.dmin_bits = block.store(state.dmin);
    state.error = 0;
    for (int s = 0; s < subs; ++s) {
      const int scale0 = state.d > 0 ? static_cast<int>(nearest(wanted[s].scale / state.d, 0, SCALES)) : 0;
      const int min0 = state.dmin > 0 ? static_cast<int>(nearest(wanted[s].min / state.dmin, 0, SCALES)) : 0;
      float least = INFINITY;
      for (int scale = std::max(0, scale0 - 1); scale <= std::min(SCALES, scale0 + 1); ++scale)
        for (int min = std::max(0, min0 - 1); min <= std::min(SCALES, min0 + 1); ++min) {
          const float error = error_of(s, state.d * static_cast<float>(scale), state.dmin * static_cast<float>(min));
          if (error < least) {
            least = error;
            state.scale[s] = scale;
            state.min[s] = min;
          }
        }
      state.error += least;
    }
    return state;
  }

  /// The factors that fit best when scales, mins and codes stay; false when they cannot be had.
  bool refactor(State& state) const {
    double uu = 0, uv = 0, vv = 0, ux = 0, vx = 0; // u: multiplies d, v: multiplies dmin
    for (int s = 0; s < subs; ++s) {
      const float scale = state.d * static_cast<float>(state.scale[s]),
                  min = state.dmin * static_cast<float>(state.min[s]);
      const float inverse = scale > 0 ? 1 / scale : 0;
      const float *x = &block.x[s * N], *w = &block.w[s * N];
      float code[N];
      for (int i = 0; i < N; ++i) code[i] = nearest((x[i] + min) * inverse, 0, levels);
      const double a = state.scale[s], b = -state.min[s];
      uu += a * a * fit::sum<N>([&](int i) { return w[i] * code[i] * code[i]; });
      uv += a * b * fit::sum<N>([&](int i) { return w[i] * code[i]; });
      vv += b * b * fit::sum<N>([&](int i) { return w[i]; });
      ux += a * fit::sum<N>([&](int i) { return w[i] * code[i] * x[i]; });
      vx += b * fit::sum<N>([&](int i) { return w[i] * x[i]; });
    }
    if (!(uu > 0)) return false;
    const double determinant = uu * vv - uv * uv;
    double d = ux / uu, dmin = 0;
    if (vv > 0 && determinant > 1e-9 * uu * vv) {
      d = (ux * vv - vx * uv) / determinant;
      dmin = (vx * uu - ux * uv) / determinant;
    }
    if (!(d > 0) || !(dmin >= 0)) return false;
    state.d = static_cast<float>(d);
    state.dmin = static_cast<float>(dmin);
    return true;
  }
};

/// Q3_K, Q6_K: value = d·scale·code, all of either sign, sub-blocks of 16.
template <int LEVELS, int SCALES> struct SignedEncoder {
  static constexpr int n = 16, subs = SuperBlock::size / n;
  static constexpr float levels = LEVELS;

  struct State {
    float d = 0;
    std::uint16_t d_bits = 0;
    std::array<int, subs> scale{};
    float error = INFINITY;
  };

  const SuperBlock& block;
  std::array<float, subs> wanted;
  State best;

  explicit SignedEncoder(const SuperBlock& source) : block(source) {
    if (block.unit == 0.0f) return;
    float extreme = 0;
    for (int s = 0; s < subs; ++s) {
      wanted[s] = fit::signed_scale<n>(&block.x[s * n], &block.w[s * n], levels);
      if (std::abs(wanted[s]) > std::abs(extreme)) extreme = wanted[s];
    }
    State state = settle(-extreme / SCALES); // the largest scale takes the longer side
    best = state;
    for (int round = 0; round < k_rounds; ++round) {
      const float d = refactor(state);
      if (d == 0.0f) break;
      state = settle(d);
      if (!(state.error < best.error)) break;
      best = state;
    }
  }

  /// From 0 to 2·LEVELS - 1.
  void codes(std::array<std::uint8_t, SuperBlock::size>& out) const {
    for (int s = 0; s < subs; ++s) {
      const float inverse = inverse_of(best.d * static_cast<float>(best.scale[s]));
      for (int i = s * n; i < (s + 1) * n; ++i)
        out[i] = static_cast<std::uint8_t>(nearest(block.x[i] * inverse, -levels, levels - 1) + levels);
    }
  }

private:
  static float inverse_of(float scale) { return scale != 0.0f ? 1 / scale : 0; }

  State settle(float d) const {
    State state;
    state.d = d;
    state.d_bits = block.store(state.d);
    state.error = 0;
    for (int s = 0; s < subs; ++s) {
      const int scale0 = static_cast<int>(nearest(wanted[s] * inverse_of(state.d), -SCALES, SCALES - 1));
      const float *x = &block.x[s * n], *w = &block.w[s * n];
      float least = INFINITY;
      for (int k = std::max(-SCALES, scale0 - 1); k <= std::min(SCALES - 1, scale0 + 1); ++k) {
        const float scale = state.d * static_cast<float>(k), inverse = inverse_of(scale);
        const float error = fit::sum<n>([&](int i) {
          const float difference = scale * nearest(x[i] * inverse, -levels, levels - 1) - x[i];
          return w[i] * difference * difference;
        });
        if (error < least) {
          least = error;
          state.scale[s] = k;
        }
      }
      state.error += least;
    }
    return state;
  }

  float refactor(const State& state) const {
    double uu = 0, ux = 0;
    for (int s = 0; s < subs; ++s) {
      const float inverse = inverse_of(state.d * static_cast<float>(state.scale[s]));
      const float *x = &block.x[s * n], *w = &block.w[s * n];
      const double a = state.scale[s];
      const auto code = [&](int i) { return nearest(x[i] * inverse, -levels, levels - 1); };
      uu += a * a * fit::sum<n>([&](int i) { return w[i] * code(i) * code(i); });
      ux += a * fit::sum<n>([&](int i) { return w[i] * code(i) * x[i]; });
    }
    return uu > 0 ? static_cast<float>(ux / uu) : 0;
  }
};

using Codes = std::array<std::uint8_t, SuperBlock::size>;

/// The twelve bytes of eight six-bit scales and mins, inverse of `blocks::k_scale_min`.
void pack_scale_min(const std::array<int, 8>& scale, const std::array<int, 8>& min, std::uint8_t (&sc)[12]) {
  for (int s = 0; s < 4; ++s) {
    sc[s] = static_cast<std::uint8_t>(scale[s] | (scale[s + 4] >> 4) << 6);
    sc[s + 4] = static_cast<std::uint8_t>(min[s] | (min[s + 4] >> 4) << 6);
    sc[s + 8] = static_cast<std::uint8_t>((scale[s + 4] & 15) | (min[s + 4] & 15) << 4);
  }
}

/// Low two bits of 256 codes, laid out as in Q2_K.
void pack_two_bits(const Codes& code, std::uint8_t (&q)[64]) {
  for (int half = 0; half < 2; ++half)
    for (int l = 0; l < 32; ++l) {
      const std::uint8_t* c = &code[128 * half + l];
      q[32 * half + l] = static_cast<std::uint8_t>((c[0] & 3) | (c[32] & 3) << 2 | (c[64] & 3) << 4 | (c[96] & 3) << 6);
    }
}

/// Low nibbles of 256 codes, laid out as in Q4_K.
void pack_nibbles(const Codes& code, std::uint8_t (&q)[128]) {
  for (int a = 0; a < 4; ++a)
    for (int l = 0; l < 32; ++l)
      q[32 * a + l] = static_cast<std::uint8_t>((code[64 * a + l] & 15) | (code[64 * a + 32 + l] & 15) << 4);
}

} // namespace

void encode_block(const float* x, const float* importance, blocks::Q2_K& out) {
  const SuperBlock block(x, importance);
  const AffineEncoder<16, 3, 15> encoder(block, {-0.9f, 0.05f, 37});
  Codes code;
  encoder.codes(code);
  out.d = encoder.best.d_bits;
  out.dmin = encoder.best.dmin_bits;
  for (int s = 0; s < 16; ++s) out.sc[s] = static_cast<std::uint8_t>(encoder.best.scale[s] | encoder.best.min[s] << 4);
  pack_two_bits(code, out.q);
}

void encode_block(const float* x, const float* importance, blocks::Q3_K& out) {
  const SuperBlock block(x, importance);
  const SignedEncoder<4, 32> encoder(block);
  Codes code;
  encoder.codes(code);
  out.d = encoder.best.d_bits;
  std::memset(out.sc, 0, sizeof out.sc);
  for (int s = 0; s < 16; ++s) {
    const int scale = encoder.best.scale[s] + 32;
    out.sc[s % 8] = static_cast<std::uint8_t>(out.sc[s % 8] | (scale & 15) << (s < 8 ? 0 : 4));
    out.sc[8 + s % 4] = static_cast<std::uint8_t>(out.sc[8 + s % 4] | (scale >> 4) << 2 * (s / 4));
  }
  pack_two_bits(code, out.q);
  std::memset(out.hmask, 0, sizeof out.hmask);
  for (int i = 0; i < 256; ++i)
    out.hmask[i % 32] = static_cast<std::uint8_t>(out.hmask[i % 32] | (code[i] >> 2) << i / 32);
}

void encode_block(const float* x, const float* importance, blocks::Q4_K& out) {
  const SuperBlock block(x, importance);
  const AffineEncoder<32, 15, 63> encoder(block, {-1.0f, 0.1f, 21});
  Codes code;
  encoder.codes(code);
  out.d = encoder.best.d_bits;
  out.dmin = encoder.best.dmin_bits;
  pack_scale_min(encoder.best.scale, encoder.best.min, out.sc);
  pack_nibbles(code, out.q);
}

void encode_block(const float* x, const float* importance, blocks::Q5_K& out) {
  const SuperBlock block(x, importance);
  const AffineEncoder<32, 31, 63> encoder(block, {-1.0f, 0.1f, 21});
  Codes code;
  encoder.codes(code);
  out.d = encoder.best.d_bits;
  out.dmin = encoder.best.dmin_bits;
  pack_scale_min(encoder.best.scale, encoder.best.min, out.sc);
  pack_nibbles(code, out.q);
  std::memset(out.qh, 0, sizeof out.qh);
  for (int i = 0; i < 256; ++i) out.qh[i % 32] = static_cast<std::uint8_t>(out.qh[i % 32] | (code[i] >> 4) << i / 32);
}

void encode_block(const float* x, const float* importance, blocks::Q6_K& out) {
  const SuperBlock block(x, importance);
  const SignedEncoder<32, 128> encoder(block);
  Codes code;
  encoder.codes(code);
  out.d = encoder.best.d_bits;
  for (int s = 0; s < 16; ++s) out.sc[s] = static_cast<std::int8_t>(encoder.best.scale[s]);
  for (int half = 0; half < 2; ++half)
    for (int l = 0; l < 32; ++l) {
      const std::uint8_t* c = &code[128 * half + l];
      std::uint8_t* low = &out.ql[64 * half + l];
      low[0] = static_cast<std::uint8_t>((c[0] & 15) | (c[64] & 15) << 4);
      low[32] = static_cast<std::uint8_t>((c[32] & 15) | (c[96] & 15) << 4);
      out.qh[32 * half + l] =
          static_cast<std::uint8_t>(c[0] >> 4 | (c[32] >> 4) << 2 | (c[64] >> 4) << 4 | (c[96] >> 4) << 6);
    }
}

} // namespace seacliff::dtype
