// Q8_0 by AVX2, more than one token: eight blocks at a time, the signs of the weights put on the activations. A few
// tokens have a scale for each block too. Many have one for all eight: then the blocks' own become integers, shares of
// the largest.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// Magnitudes and signs of `n` blocks, zeros in place of those that lack. Returns their scales.
SCF_INLINE F8 unpack_signed(const blocks::Q8_0* b, std::int64_t n, Y (&magnitude)[k_parts], Y (&sign)[k_parts]) {
  std::uint16_t d[k_parts];
#pragma GCC unroll 8
  for (int j = 0; j < k_parts; ++j) {
    sign[j] = j < n ? load_y(b[j].q) : _mm256_setzero_si256();
    magnitude[j] = _mm256_abs_epi8(sign[j]);
    d[j] = j < n ? b[j].d : std::uint16_t{0};
  }
  return (F8)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(d)));
}

struct FormQ8_0 {
  using Block = blocks::Q8_0;
  static constexpr int blocks = 8, act_block = 32;
  struct Codes {
    Y magnitude[k_parts], sign[k_parts];
    F8 unit; // of each block
  };
  SCF_INLINE void unpack(const Block* b, std::int64_t n, Codes& out) {
    out.unit = unpack_signed(b, n, out.magnitude, out.sign);
  }
  template <int T> SCF_INLINE void add(const Codes& w, const Row (&x)[T], std::int64_t i, F8 (&acc)[T]) {
    const std::byte* at[T];
    alignas(32) float unit[T][k_parts];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      at[t] = x[t].codes + 256 * i;
      store8(unit[t], w.unit * load8(x[t].scales + k_parts * i));
    }
    const Y ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Y magnitude = w.magnitude[j], sign = w.sign[j];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const Y pairs = products(magnitude, _mm256_sign_epi8(load_y(at[t] + 32 * j), sign));
        acc[t] = fma8(to_f8((I8)_mm256_madd_epi16(pairs, ones)), set8(unit[t][j]), acc[t]);
      }
    }
  }
};

struct ManyQ8_0 : SignedForm<ManyQ8_0> {
  using Block = blocks::Q8_0;
  static constexpr int blocks = 8;
  static constexpr float top = 2048; // 8 * 127 * 127 * 4 * 2048 < 2^31
  SCF_INLINE void unpack(const Block* b, std::int64_t n, Codes& out) {
    const __m256 d = (__m256)unpack_signed(b, n, out.magnitude, out.sign);
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), d);
    __m256 largest = _mm256_max_ps(size, _mm256_permute2f128_ps(size, size, 1));
    largest = _mm256_max_ps(largest, _mm256_permute_ps(largest, 0x4e));
    largest = _mm256_max_ps(largest, _mm256_permute_ps(largest, 0xb1));
    const __m256 least = _mm256_set1_ps(1e-30f); // zeros are zeros
    const __m256 share = _mm256_div_ps(_mm256_mul_ps(d, _mm256_set1_ps(top)), _mm256_max_ps(largest, least));
    const Y words = _mm256_and_si256(_mm256_cvtps_epi32(share), everywhere(0xffff));
    _mm256_store_si256(reinterpret_cast<Y*>(out.scale), twice(words));
    out.unit = _mm256_cvtss_f32(largest) / top;
    // A scale that is no number: neither is the row.
    if (_mm256_movemask_ps(_mm256_cmp_ps(d, d, _CMP_UNORD_Q)) != 0) out.unit = __builtin_nanf("");
  }
};

} // namespace

void many_q8_0(const GemmArgs& args) { multiply_many<ManyQ8_0>(args); }
void few_q8_0(const GemmArgs& args) { multiply_few<FormQ8_0>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
