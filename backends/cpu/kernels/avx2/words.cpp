// Products of many tokens by AVX2 where bytes would overflow or formats are many: weights become words in units of the
// largest of 256, whatever scales and minima their parts have, activations words too, and sums of two products are 32
// bits wide at once.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"
#include "kernels/units.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr int k_words = 16; // of 256 elements: registers

/// The even bytes of 32, then the odd ones, as words: BITS to the left of the word's lowest bit.
struct Words {
  Y even, odd;
};
template <int BITS> SCF_INLINE Words words_of(Y bytes) {
  static_assert(BITS >= 8); // the other byte leaves
  const Y odd = _mm256_and_si256(bytes, _mm256_set1_epi16(static_cast<short>(0xff00)));
  return {_mm256_slli_epi16(bytes, BITS), _mm256_slli_epi16(odd, BITS - 8)};
}

/// T rows of activations as words, made once for all rows of weights of a tile.
template <int T, int BLOCKS> struct WordRows {
  Y words[BLOCKS][k_words][T];
  float scale[BLOCKS][T];
  WordRows(const GemmArgs& a, std::int64_t token, std::int64_t block, std::int64_t blocks) {
    const QuantisedRows<T, 256> rows(a, token, block, blocks);
    for (int t = 0; t < T; ++t)
      for (std::int64_t i = 0; i < blocks; ++i) {
        scale[i][t] = rows.row[t].scales[i];
#pragma GCC unroll 8
        for (int j = 0; j < k_parts; ++j) {
          const Words w = words_of<8>(load_y(rows.row[t].codes + 256 * i + 32 * j));
          words[i][2 * j][t] = _mm256_srai_epi16(w.even, 8);
          words[i][2 * j + 1][t] = _mm256_srai_epi16(w.odd, 8);
        }
      }
  }
};

template <class Fmt> struct WordForm {
  using Block = typename Fmt::Block;
  using Out = typename Fmt::Out;
  static constexpr int blocks = 8 / Out::vectors;
  static constexpr std::int64_t many_rows = 64, many_blocks = 4;
  template <int T> using Tokens = WordRows<T, many_blocks>;
  struct Codes {
    Y words[k_words];
    float unit;
  };

  SCF_INLINE void unpack(const Block* b, std::int64_t n, Codes& out) {
    Unit<Out> unit;
    unpack_unit<Fmt>(b, static_cast<int>(n) * 32 * Out::vectors, unit);
    const Extent extent = extent_of<Out>(unit.scale, unit.min, Fmt::top);
    out.unit = extent.largest * (1 / most) + extent.poison;
    const float inverse = extent.largest > 0 ? most / extent.largest : 0.0f;
    Pairs factor, offset; // a code, `bits` to the left, times factor is twice as long as a word
    factor.set(unit.scale, inverse * (1 << (15 - bits)));
    if constexpr (Out::has_min) offset.set(unit.min, -inverse);
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Words w = words_of<bits>((Y)unit.codes[j]);
      const Y times = factor.of(j), plus = Out::has_min ? offset.of(j) : _mm256_setzero_si256();
      out.words[2 * j] = _mm256_add_epi16(_mm256_mulhrs_epi16(w.even, times), plus);
      out.words[2 * j + 1] = _mm256_add_epi16(_mm256_mulhrs_epi16(w.odd, times), plus);
    }
  }
  template <int T> SCF_INLINE void add(const Codes& w, const Tokens<T>& x, std::int64_t i, F8 (&acc)[T]) {
    Y sum[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int j = 0; j < k_words; ++j) {
      const Y weights = w.words[j];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(weights, x.words[i][j][t]));
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[t] = fma8(to_f8((I8)sum[t]), set8(w.unit * x.scale[i][t]), acc[t]);
  }

private:
  /// How far codes can be moved to the left in a word, and the word of the largest weight: with that and with minima,
  /// which may be as large as code times scale, no factor leaves 16 bits.
  static constexpr int highest_shift() {
    int n = 8;
    while (Fmt::top << (n + 1) < 32768) ++n;
    return n;
  }
  static constexpr int bits = highest_shift();
  static constexpr float most = static_cast<float>(Fmt::top << bits) / (Out::has_min ? 2 : 1);

  /// A word for each sub-block, twice.
  struct Pairs {
    alignas(32) std::int32_t at[Unit<Out>::subs];
    SCF_INLINE void put(Y dwords, std::int32_t* out) {
      _mm256_store_si256(reinterpret_cast<Y*>(out), twice(_mm256_and_si256(dwords, everywhere(0xffff))));
    }
    [[gnu::always_inline]] void set(const float* v, float times) {
      for (int i = 0; i < Unit<Out>::subs; i += 8) {
        const Y dwords = _mm256_cvtps_epi32((__m256)(load8(v + i) * set8(times)));
        put(_mm256_min_epi32(dwords, everywhere(32767)), at + i);
      }
    }
    /// Of the j-th 32 elements.
    [[gnu::always_inline]] Y of(int j) const {
      if constexpr (Out::sub == 32) return everywhere(at[j]);
      return _mm256_set_m128i(_mm_set1_epi32(at[2 * j + 1]), _mm_set1_epi32(at[2 * j]));
    }
  };
};

} // namespace

void many_q8_0(const GemmArgs& a) { multiply_many<WordForm<FormatQ8_0>>(a); }
void many_mxfp4(const GemmArgs& a) { multiply_many<WordForm<FormatMXFP4>>(a); }
void many_q3_k(const GemmArgs& a) { multiply_many<WordForm<FormatQ3_K>>(a); }
void many_q5_k(const GemmArgs& a) { multiply_many<WordForm<FormatQ5_K>>(a); }
void many_q6_k(const GemmArgs& a) { multiply_many<WordForm<FormatQ6_K>>(a); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
