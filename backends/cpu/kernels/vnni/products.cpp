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

/// Of the 16 values of a nibble that holds a code of two bits, as it is or times four, the code.
constexpr int code_in(int nibble) { return (nibble | nibble >> 2) & 3; }
struct TableIndex {
  std::uint8_t of[4][64];
};
#ifdef __AVX512VBMI__
/// Where in four quarters, 0, 1, 2 and 3 times all scales, the multiple for a nibble and a quarter's scale is.
constexpr TableIndex table_index() {
  TableIndex t{};
  for (int i = 0; i < 256; ++i) t.of[i / 64][i % 64] = static_cast<std::uint8_t>(16 * code_in(i % 16) + i / 16);
  return t;
}
alignas(64) constexpr TableIndex k_table_index = table_index();
#else
/// The same in a quarter with all scales, and in one with twice all scales, of which a table is the sum.
constexpr TableIndex table_index(int bit) {
  TableIndex t{};
  for (int i = 0; i < 256; ++i)
    t.of[i / 64][i % 64] = static_cast<std::uint8_t>((code_in(i % 16) & bit) != 0 ? i / 16 : 128);
  return t;
}
alignas(64) constexpr TableIndex k_once = table_index(1), k_twice = table_index(2);
#endif

/// The product of code and scale is a byte: an entry of the table that 16 weights have.
struct WideQ2_K {
  using Block = blocks::Q2_K;
  static constexpr bool has_min = true;
  static constexpr std::size_t units_at = offsetof(Block, d);
  static constexpr float unit = 1;
  SCF_INLINE void unpack(const Block& b, Codes& out) {
    const Z sc = _mm512_and_si512(broadcast16(b.sc), _mm512_set1_epi8(15));
#ifdef __AVX512VBMI__
    const Z times = _mm512_setr_epi64(0, 0, 0x1000100010001, 0x1000100010001, 0x2000200020002, 0x2000200020002,
                                      0x3000300030003, 0x3000300030003);
    const Z multiples = _mm512_mullo_epi16(sc, times);
    const auto table = [&](int j) { return _mm512_permutexvar_epi8(load_z(k_table_index.of[j]), multiples); };
#else
    const Z twice = _mm512_add_epi8(sc, sc);
    const auto table = [&](int j) {
      return _mm512_add_epi8(_mm512_shuffle_epi8(sc, load_z(k_once.of[j])),
                             _mm512_shuffle_epi8(twice, load_z(k_twice.of[j])));
    };
#endif
    const Z pick = _mm512_setr_epi64(0x0303030303030303, 0x0303030303030303, 0x0303030303030303, 0x0303030303030303,
                                     0x0c0c0c0c0c0c0c0c, 0x0c0c0c0c0c0c0c0c, 0x0c0c0c0c0c0c0c0c, 0x0c0c0c0c0c0c0c0c);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const Z q = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(b.q + 32 * half)));
      out.c[2 * half] = _mm512_shuffle_epi8(table(2 * half), _mm512_and_si512(q, pick));
      out.c[2 * half + 1] = _mm512_shuffle_epi8(table(2 * half + 1), _mm512_and_si512(_mm512_srli_epi16(q, 4), pick));
    }
  }
  using Opposite = const std::byte*; // as they lie
  SCF_INLINE void opposite(const std::byte* x, Opposite& out) { out = x; }
  SCF_INLINE Z multiply(const Codes& w, Opposite x) {
    Z sum = _mm512_setzero_si512();
    for (int j = 0; j < 4; ++j) sum = _mm512_dpbusd_epi32(sum, w.c[j], load_z(x + 64 * j));
    return sum;
  }
  SCF_INLINE F minima(const Block& b) {
    const __m128i sc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.sc));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(sc, 4), _mm_set1_epi8(15))));
  }
  SCF_INLINE F sums(const Row& x, std::int64_t block) { return load(x.sums16 + 16 * block); }
};

struct WideQ4_K {
  using Block = blocks::Q4_K;
  using Opposite = Opposite256;
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
