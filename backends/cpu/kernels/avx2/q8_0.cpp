// Q8_0 by AVX2, a few tokens, eight blocks at a time: each has a scale in the weights and in the activations, and the
// signs of the weights are put on these.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

struct FormQ8_0 : ByteForm {
  using Block = blocks::Q8_0;
  template <int T> using Tokens = QuantisedRows<T, 32>;
  static constexpr int blocks = 8;
  struct Codes {
    Y magnitude[k_parts], sign[k_parts];
    F8 unit; // of each block
  };
  /// All eight are there.
  SCF_INLINE void unpack(const Block* b, std::int64_t, Codes& out) {
    std::uint16_t d[k_parts];
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      d[j] = b[j].d;
      out.sign[j] = load_y(b[j].q);
      out.magnitude[j] = _mm256_abs_epi8(out.sign[j]);
    }
    out.unit = (F8)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(d)));
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

} // namespace

void few_q8_0(const GemmArgs& args) { multiply_few<FormQ8_0>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
