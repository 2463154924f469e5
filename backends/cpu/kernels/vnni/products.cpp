// Q8_0, Q2_K and Q4_K with 1 to 8 quantised tokens. Sums of four products (vpdpbusd) stay below 2^15, so the scales of
// the sub-blocks multiply them as 16-bit numbers (vpdpwssd).
#include "kernels/vnni/products.hpp"

#include "kernels/vnni/wide.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

SCF_INLINE Z broadcast16(const void* p) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
/// Byte indices for _mm512_shuffle_epi8: a table entry as the integer in each of a quarter's four lanes.
SCF_INLINE Z quarters(int a, int b, int c, int d) {
  const int zeros = static_cast<int>(0x80808000u);
  return _mm512_setr_epi32(zeros | a, zeros | a, zeros | a, zeros | a, zeros | b, zeros | b, zeros | b, zeros | b,
                           zeros | c, zeros | c, zeros | c, zeros | c, zeros | d, zeros | d, zeros | d, zeros | d);
}
/// Sums of products times scales.
SCF_INLINE Z scaled(Z sums, Z codes, Z x, Z scales) {
  return _mm512_dpwssd_epi32(sums, _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes, x), scales);
}

struct WideQ2_K {
  using Block = blocks::Q2_K;
  static constexpr bool has_min = true;
  static constexpr std::size_t units_at = offsetof(Block, d);
  static constexpr float unit = 1;
  SCF_INLINE void unpack(const Block& b, Codes& out) {
    const Z q = load_z(b.q), high = _mm512_srli_epi16(q, 4), one = _mm512_set1_epi8(3), four = _mm512_set1_epi8(12);
    out.c[0] = _mm512_and_si512(q, one);
    out.c[1] = _mm512_and_si512(q, four); // four times the code
    out.c[2] = _mm512_and_si512(high, one);
    out.c[3] = _mm512_and_si512(high, four);
    const Z sc = _mm512_and_si512(broadcast16(b.sc), _mm512_set1_epi8(15));
    out.s[0] = _mm512_shuffle_epi8(sc, quarters(0, 1, 8, 9));
    out.s[1] = _mm512_shuffle_epi8(sc, quarters(2, 3, 10, 11));
    out.s[2] = _mm512_shuffle_epi8(sc, quarters(4, 5, 12, 13));
    out.s[3] = _mm512_shuffle_epi8(sc, quarters(6, 7, 14, 15));
  }
  SCF_INLINE void opposite(const std::byte* x, Opposite& out) {
    for (int j = 0; j < 4; ++j) out.x[j] = join_z(x + 32 * j, x + 128 + 32 * j);
  }
  SCF_INLINE Z multiply(const Codes& w, const Opposite& x) {
    const Z ones = scaled(scaled(_mm512_setzero_si512(), w.c[0], x.x[0], w.s[0]), w.c[2], x.x[2], w.s[2]);
    const Z fours = scaled(scaled(_mm512_setzero_si512(), w.c[1], x.x[1], w.s[1]), w.c[3], x.x[3], w.s[3]);
    return _mm512_add_epi32(ones, _mm512_srai_epi32(fours, 2));
  }
  SCF_INLINE F minima(const Block& b) {
    const __m128i sc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.sc));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(sc, 4), _mm_set1_epi8(15))));
  }
  SCF_INLINE F sums(const Row& x, std::int64_t block) { return load(x.sums16 + 16 * block); }
};

struct WideQ4_K {
  using Block = blocks::Q4_K;
  static constexpr bool has_min = true;
  static constexpr std::size_t units_at = offsetof(Block, d);
  static constexpr float unit = 1;
  SCF_INLINE void unpack(const Block& b, Codes& out) {
    const Z q0 = load_z(b.q), q1 = load_z(b.q + 64), low = _mm512_set1_epi8(15);
    out.c[0] = _mm512_and_si512(q0, low);
    out.c[1] = _mm512_and_si512(_mm512_srli_epi16(q0, 4), low);
    out.c[2] = _mm512_and_si512(q1, low);
    out.c[3] = _mm512_and_si512(_mm512_srli_epi16(q1, 4), low);
    const std::uint64_t x = load_u32(b.sc), z = load_u32(b.sc + 8);
    const Z s = u64_everywhere((x & 0x3f3f3f3fu) | ((z & 0x0f0f0f0fu) | (x >> 2 & 0x30303030u)) << 32);
    out.s[0] = _mm512_shuffle_epi8(s, quarters(0, 0, 2, 2));
    out.s[1] = _mm512_shuffle_epi8(s, quarters(1, 1, 3, 3));
    out.s[2] = _mm512_shuffle_epi8(s, quarters(4, 4, 6, 6));
    out.s[3] = _mm512_shuffle_epi8(s, quarters(5, 5, 7, 7));
  }
  SCF_INLINE void opposite(const std::byte* x, Opposite& out) {
    for (int j = 0; j < 4; ++j) {
      const std::byte* p = x + 128 * (j / 2) + 32 * (j % 2);
      out.x[j] = join_z(p, p + 64);
    }
  }
  SCF_INLINE Z multiply(const Codes& w, const Opposite& x) {
    const Z low = scaled(scaled(_mm512_setzero_si512(), w.c[0], x.x[0], w.s[0]), w.c[2], x.x[2], w.s[2]);
    const Z high = scaled(scaled(_mm512_setzero_si512(), w.c[1], x.x[1], w.s[1]), w.c[3], x.x[3], w.s[3]);
    return _mm512_add_epi32(low, high);
  }
  SCF_INLINE F minima(const Block& b) {
    const std::uint64_t y = load_u32(b.sc + 4), z = load_u32(b.sc + 8);
    const std::uint64_t m = (y & 0x3f3f3f3fu) | ((z >> 4 & 0x0f0f0f0fu) | (y >> 2 & 0x30303030u)) << 32;
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(m))));
  }
  SCF_INLINE F sums(const Row& x, std::int64_t block) { return _mm512_maskz_loadu_ps(0xff, x.sums32 + 8 * block); }
};

} // namespace

void few_q2_k(const GemmArgs& args) { few<WideProduct<WideQ2_K>>(args); }
void few_q4_k(const GemmArgs& args) { few<WideProduct<WideQ4_K>>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
