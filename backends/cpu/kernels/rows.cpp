// Row-wise arithmetic.
#include "kernels/families.hpp"
#include "kernels/simd.hpp"

#include <seacliff/sdk/numeric.hpp>

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

float sum_squares(const float* x, std::int64_t n) {
  F acc[4] = {zero(), zero(), zero(), zero()};
  std::int64_t i = 0;
  for (; i + 4 * k_lanes <= n; i += 4 * k_lanes)
    for (int j = 0; j < 4; ++j) {
      const F v = load(x + i + j * k_lanes);
      acc[j] = fma(v, v, acc[j]);
    }
  each(n - i, [&](std::int64_t j, auto part) {
    const F v = load(x + i + j, part);
    acc[0] = fma(v, v, acc[0]);
  });
  return sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

void scale_by(const float* x, float scale, const float* w, float* out, std::int64_t n) {
  const F s = set1(scale);
  if (w == nullptr) {
    each(n, [&](std::int64_t i, auto part) { store(out + i, load(x + i, part) * s, part); });
  } else {
    each(n, [&](std::int64_t i, auto part) { store(out + i, load(x + i, part) * s * load(w + i, part), part); });
  }
}

void add(const float* a, const float* b, float* out, std::int64_t n) {
  each(n, [&](std::int64_t i, auto part) { store(out + i, load(a + i, part) + load(b + i, part), part); });
}

/// log(1 + v) for 0 <= v <= 1 to 2 units in the last place: 2 artanh(v / (2 + v)).
SCF_INLINE F log1p_unit(F v) {
  const F z = v / (set1(2.0f) + v), square = z * z; // at most 1/9
  F p = set1(1.0f / 13);
  for (int i = 11; i > 0; i -= 2) p = fma(p, square, set1(1.0f / static_cast<float>(i)));
  return (z + z) * p;
}

void sqrt_softplus(const float* x, float* out, std::int64_t n) {
  each(n, [&](std::int64_t i, auto part) {
    const F v = load(x + i, part), size = max(v, zero() - v);
    store(out + i, max(v, zero()) + log1p_unit(exp(zero() - size)), part);
  });
  for (std::int64_t i = 0; i < n; ++i) out[i] = __builtin_sqrtf(out[i]);
}

void swiglu(const float* g, const float* u, float weight, float clamp, float* out, std::int64_t n) {
  const bool bounded = clamp > 1e-6f;
  const F high = set1(bounded ? clamp : __builtin_inff()), low = set1(bounded ? -clamp : -__builtin_inff());
  const F one = set1(1.0f), w = set1(weight);
  each(n, [&](std::int64_t i, auto part) {
    const F a = min(high, load(g + i, part));
    const F b = max(low, min(high, load(u + i, part)));
    store(out + i, a / (one + exp(zero() - a)) * b * w, part);
  });
}

void to_half(const float* x, std::byte* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + k_lanes <= n; i += k_lanes) store_f16(out + 2 * i, load(x + i));
  if (i == n) return;
  std::byte tail[2 * k_lanes];
  store_f16(tail, load(x + i, Part{static_cast<int>(n - i)}));
  __builtin_memcpy(out + 2 * i, tail, static_cast<std::size_t>(2 * (n - i)));
}

void from_half(const std::byte* x, float* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + k_lanes <= n; i += k_lanes) store(out + i, load_f16(x + 2 * i));
  if (i == n) return;
  std::byte tail[2 * k_lanes] = {};
  __builtin_memcpy(tail, x + 2 * i, static_cast<std::size_t>(2 * (n - i)));
  store(out + i, load_f16(tail), Part{static_cast<int>(n - i)});
}

// Flat, so that what the SDK has is compiled for this set, and not for all.
[[gnu::flatten]] void round_kv8(float* x, std::int64_t n) { numeric::kv8_round_trip({x, static_cast<std::size_t>(n)}); }
[[gnu::flatten]] void round_idx4(float* x, std::int64_t n) {
  numeric::idx4_round_trip({x, static_cast<std::size_t>(n)});
}

namespace {

/// As many streams out as in: all of a column at once, so that `out` may be `s`.
template <int N> void mix_streams(const MixArgs& args) {
  each(args.n, [&](std::int64_t i, auto part) {
    F in[N];
    for (int r = 0; r < N; ++r) {
      const float* s = args.s + r * args.stride + i;
      in[r] = load(s, part);
      if (args.next != 0) __builtin_prefetch(s + N * args.next, 0, 2);
    }
    if (args.next != 0) __builtin_prefetch(args.y + i + args.next, 0, 2);
    const F y = args.y != nullptr ? load(args.y + i, part) : zero();
    for (int c = 0; c < N; ++c) {
      F acc = zero();
      for (int r = 0; r < N; ++r) acc = fma(set1(args.a[r * N + c]), in[r], acc);
      if (args.y != nullptr) acc = fma(set1(args.post[c]), y, acc);
      store(args.out + c * args.stride + i, acc, part);
    }
  });
}

} // namespace

void mix(const MixArgs& args) {
  if (args.from == args.to) switch (args.from) {
    case 1: return mix_streams<1>(args);
    case 2: return mix_streams<2>(args);
    case 3: return mix_streams<3>(args);
    case 4: return mix_streams<4>(args);
    case 5: return mix_streams<5>(args);
    case 6: return mix_streams<6>(args);
    case 7: return mix_streams<7>(args);
    case 8: return mix_streams<8>(args);
    }
  for (std::int64_t c = 0; c < args.to; ++c) {
    float* out = args.out + c * args.stride;
    each(args.n, [&](std::int64_t i, auto part) {
      F acc = zero();
      for (std::int64_t r = 0; r < args.from; ++r)
        acc = fma(set1(args.a[r * args.to + c]), load(args.s + r * args.stride + i, part), acc);
      if (args.y != nullptr) acc = fma(set1(args.post[c]), load(args.y + i, part), acc);
      store(out + i, acc, part);
    });
  }
}

void pool(const float* const* value, const float* const* score, std::int64_t rows, std::int64_t n, float* out) {
  each(n, [&](std::int64_t i, auto part) {
    F top = load(score[0] + i, part);
    for (std::int64_t r = 1; r < rows; ++r) top = max(top, load(score[r] + i, part));
    F weights = zero(), acc = zero();
    for (std::int64_t r = 0; r < rows; ++r) {
      const F p = exp(load(score[r] + i, part) - top);
      weights = weights + p;
      acc = fma(p, load(value[r] + i, part), acc);
    }
    store(out + i, acc / weights, part);
  });
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
