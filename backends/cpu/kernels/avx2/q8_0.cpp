// Q8_0 by AVX2, eight blocks at a time. A few tokens have a scale for each block too: the signs of the weights are put
// on them. Many have one for all eight: then weights become words, in units of the largest scale, and so do
// activations, for a product of bytes with either of them unsigned would not fit 16 bits.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

using Block = blocks::Q8_0;

/// The codes of `n` blocks, zeros in place of those that lack. Returns their scales.
SCF_INLINE F8 unpack_codes(const Block* b, std::int64_t n, Y (&codes)[k_parts]) {
  std::uint16_t d[k_parts];
#pragma GCC unroll 8
  for (int j = 0; j < k_parts; ++j) {
    codes[j] = j < n ? load_y(b[j].q) : _mm256_setzero_si256();
    d[j] = j < n ? b[j].d : std::uint16_t{0};
  }
  return (F8)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(d)));
}

struct FormQ8_0 : ByteForm {
  using Block = cpu::SCF_ISA_NAMESPACE::Block;
  template <int T> using Tokens = QuantisedRows<T, 32>;
  static constexpr int blocks = 8;
  struct Codes {
    Y magnitude[k_parts], sign[k_parts];
    F8 unit; // of each block
  };
  SCF_INLINE void unpack(const Block* b, std::int64_t n, Codes& out) {
    out.unit = unpack_codes(b, n, out.sign);
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) out.magnitude[j] = _mm256_abs_epi8(out.sign[j]);
  }
  template <int T> SCF_INLINE void add(const Codes& w, const QuantisedRows<T, 32>& x, std::int64_t i, F8 (&acc)[T]) {
    const std::byte* at[T];
    alignas(32) float unit[T][k_parts];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      at[t] = x.row[t].codes + 256 * i;
      store8(unit[t], w.unit * load8(x.row[t].scales + k_parts * i));
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

/// The even bytes of 32, then the odd ones, as words: 256 times their value.
struct Words {
  Y even, odd;
};
SCF_INLINE Words words_of(Y bytes) {
  return {_mm256_slli_epi16(bytes, 8), _mm256_and_si256(bytes, _mm256_set1_epi16(static_cast<short>(0xff00)))};
}

struct ManyQ8_0 {
  using Block = cpu::SCF_ISA_NAMESPACE::Block;
  static constexpr int blocks = 8;
  static constexpr std::int64_t many_rows = 64, many_blocks = 4;
  struct Codes {
    Y words[2 * k_parts];
    float unit;
  };
  /// Made once for `many_rows` rows.
  template <int T> struct Tokens {
    Y words[many_blocks][2 * k_parts][T];
    float scale[T][many_blocks];
    Tokens(const GemmArgs& a, std::int64_t token, std::int64_t block, std::int64_t blocks) {
      const QuantisedRows<T, 256> rows(a, token, block, blocks);
      for (int t = 0; t < T; ++t)
        for (std::int64_t i = 0; i < blocks; ++i) {
          scale[t][i] = rows.row[t].scales[i];
#pragma GCC unroll 8
          for (int j = 0; j < k_parts; ++j) {
            const Words w = words_of(load_y(rows.row[t].codes + 256 * i + 32 * j));
            words[i][2 * j][t] = _mm256_srai_epi16(w.even, 8);
            words[i][2 * j + 1][t] = _mm256_srai_epi16(w.odd, 8);
          }
        }
    }
  };

  SCF_INLINE void unpack(const Block* b, std::int64_t n, Codes& out) {
    Y codes[k_parts];
    const __m256 d = (__m256)unpack_codes(b, n, codes);
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), d);
    __m256 largest = _mm256_max_ps(size, _mm256_permute2f128_ps(size, size, 1));
    largest = _mm256_max_ps(largest, _mm256_permute_ps(largest, 0x4e));
    largest = _mm256_max_ps(largest, _mm256_permute_ps(largest, 0xb1));
    const __m256 least = _mm256_set1_ps(1e-30f); // zeros are zeros
    const __m256 share = _mm256_div_ps(_mm256_mul_ps(d, _mm256_set1_ps(32767)), _mm256_max_ps(largest, least));
    const Y dwords = _mm256_and_si256(_mm256_cvtps_epi32(share), everywhere(0xffff));
    alignas(32) std::int32_t factor[k_parts];
    _mm256_store_si256(reinterpret_cast<Y*>(factor), twice(dwords));
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Words w = words_of(codes[j]);
      out.words[2 * j] = _mm256_mulhrs_epi16(w.even, everywhere(factor[j]));
      out.words[2 * j + 1] = _mm256_mulhrs_epi16(w.odd, everywhere(factor[j]));
    }
    out.unit = _mm256_cvtss_f32(largest) / 256;
    // A scale that is no number: neither is the row.
    if (_mm256_movemask_ps(_mm256_cmp_ps(d, d, _CMP_UNORD_Q)) != 0) out.unit = __builtin_nanf("");
  }
  template <int T> SCF_INLINE void add(const Codes& w, const Tokens<T>& x, std::int64_t i, F8 (&acc)[T]) {
    Y sum[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int j = 0; j < 2 * k_parts; ++j) {
      const Y weights = w.words[j];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(weights, x.words[i][j][t]));
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[t] = fma8(to_f8((I8)sum[t]), set8(w.unit * x.scale[t][i]), acc[t]);
  }
};

} // namespace

void many_q8_0(const GemmArgs& args) { multiply_many<ManyQ8_0>(args); }
void few_q8_0(const GemmArgs& args) { multiply_few<FormQ8_0>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
