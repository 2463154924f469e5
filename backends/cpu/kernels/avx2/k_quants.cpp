// Q2_K and Q4_K by AVX2.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// The product of code and scale is a byte, and sums of four still fit 16 bits.
struct FormQ2_K : ByteForm {
  using Block = blocks::Q2_K;
  static constexpr int blocks = 1;
  struct Codes {
    Y code[k_parts];
    F8 min[2]; // of 16 sub-blocks
    float unit;
  };
  SCF_INLINE void unpack(const Block* b, std::int64_t, Codes& out) {
    const __m128i sc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b->sc)), low = _mm_set1_epi8(15);
    const __m128i once = _mm_and_si128(sc, low), twice = _mm_add_epi8(once, once);
    const __m128i first = _mm_unpacklo_epi8(_mm_setzero_si128(), once), // codes 0 and 1 of eight sub-blocks
        second = _mm_unpackhi_epi8(_mm_setzero_si128(), once);
    const __m128i thrice = _mm_add_epi8(twice, once);
    const __m128i first_rest = _mm_unpacklo_epi8(twice, thrice), second_rest = _mm_unpackhi_epi8(twice, thrice);
    const __m128i multiples[4] = {_mm_unpacklo_epi16(first, first_rest), _mm_unpackhi_epi16(first, first_rest),
                                  _mm_unpacklo_epi16(second, second_rest),
                                  _mm_unpackhi_epi16(second, second_rest)}; // of four sub-blocks each
    const Y three = _mm256_set1_epi8(3);
    const Y even = _mm256_set_m128i(_mm_set1_epi8(4), _mm_setzero_si128()), odd = _mm256_set1_epi8(8) | even;
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Y q = _mm256_srli_epi16(load_y(b->q + 32 * (j / 4)), 2 * (j % 4));
      const Y at = _mm256_or_si256(_mm256_and_si256(q, three), j % 2 == 0 ? even : odd);
      out.code[j] = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(multiples[j / 2]), at);
    }
    const __m128i m = _mm_and_si128(_mm_srli_epi16(sc, 4), low);
    const F8 dmin = set8(half_to_float(b->dmin));
    out.min[0] = dmin * (F8)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(m));
    out.min[1] = dmin * (F8)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(m, 8)));
    out.unit = half_to_float(b->d);
  }
  template <int T> SCF_INLINE void sums(const Codes& w, const std::byte* const (&x)[T], Y (&sum)[T]) {
    const Y ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; j += 2) {
      const Y a = w.code[j], b = w.code[j + 1];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const Y pairs = _mm256_add_epi16(products(a, load_y(x[t] + 32 * j)), products(b, load_y(x[t] + 32 * j + 32)));
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(pairs, ones));
      }
    }
  }
  SCF_INLINE F8 minima(const Codes& w, const Row& x, std::int64_t i) {
    return fma8(w.min[0], load8(x.sums16 + 16 * i), w.min[1] * load8(x.sums16 + 16 * i + 8));
  }
  template <int T> SCF_INLINE void add(const Codes& w, const QuantisedRows<T, 256>& x, std::int64_t i, F8 (&acc)[T]) {
    add_block<FormQ2_K, T>(w, x, i, acc);
  }
};

struct FormQ4_K : ScaledForm<FormQ4_K> {
  using Block = blocks::Q4_K;
  static constexpr int blocks = 1;
  SCF_INLINE void unpack(const Block* b, std::int64_t, Codes& out) {
    const Y low = _mm256_set1_epi8(15);
#pragma GCC unroll 4
    for (int j = 0; j < k_parts; j += 2) {
      const Y q = load_y(b->q + 16 * j);
      out.code[j] = _mm256_and_si256(q, low);
      out.code[j + 1] = _mm256_and_si256(_mm256_srli_epi16(q, 4), low);
    }
    const ScaleBytes bytes = scale_bytes(*b);
    const Y scales = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(bytes.scale)));
    _mm256_store_si256(reinterpret_cast<Y*>(out.scale), twice(scales));
    out.min = set8(half_to_float(b->dmin)) * u8_to_f8(bytes.min);
    out.unit = half_to_float(b->d);
  }
};

} // namespace

void few_q2_k(const GemmArgs& args) { multiply_few<FormQ2_K>(args); }
void many_q2_k(const GemmArgs& args) { multiply_many<FormQ2_K>(args); }
void few_q4_k(const GemmArgs& args) { multiply_few<FormQ4_K>(args); }
void many_q4_k(const GemmArgs& args) { multiply_many<FormQ4_K>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
