// y = x . w of 1 to 8 quantised tokens, 64 weights to a register: a few rows side by side, each weight unpacked once
// for all tokens. Inside a block of 256 everything is an integer: sums of four products (vpdpbusd) stay below 2^15, so
// the scales of the sub-blocks multiply them as 16-bit numbers (vpdpwssd), and one float multiplication ends the block.
#include "kernels/vnni/products.hpp"

#include "kernels/families.hpp"
#include "kernels/formats.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

typedef __m512i Z; // 64 codes or 16 sums

SCF_INLINE Z load_z(const void* p) { return _mm512_loadu_si512(p); }
SCF_INLINE Z join_z(const void* low, const void* high) {
  const Z z = _mm512_castsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(low)));
  return _mm512_inserti64x4(z, _mm256_loadu_si256(static_cast<const __m256i*>(high)), 1);
}
SCF_INLINE Z broadcast16(const void* p) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
SCF_INLINE Z u64_everywhere(std::uint64_t v) { return _mm512_set1_epi64(static_cast<long long>(v)); }
/// Byte indices for _mm512_shuffle_epi8: a table entry as the integer in each of a quarter's four lanes.
SCF_INLINE Z quarters(int a, int b, int c, int d) {
  const int zeros = static_cast<int>(0x80808000u);
  return _mm512_setr_epi32(zeros | a, zeros | a, zeros | a, zeros | a, zeros | b, zeros | b, zeros | b, zeros | b,
                           zeros | c, zeros | c, zeros | c, zeros | c, zeros | d, zeros | d, zeros | d, zeros | d);
}
SCF_INLINE Z minus_128_times(Z x) {
  return _mm512_sub_epi32(_mm512_setzero_si512(),
                          _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), x));
}

/// Brings `BYTES` at p nearer. The hardware's own streams end with each page, and rows of 2-bit weights are a quarter
/// of one.
template <int BYTES> SCF_INLINE void fetch(const void* p) {
#pragma GCC unroll 16
  for (int i = 0; i < BYTES; i += 64) _mm_prefetch(static_cast<const char*>(p) + i, _MM_HINT_T0);
}

/// One quantised activation row.
struct Row {
  const std::byte* codes;
  const float *scales, *sums16, *sums32;
};
SCF_INLINE Row row_at(const GemmArgs& a, std::int64_t t, std::uint64_t block) {
  const std::byte* p = a.x + static_cast<std::uint64_t>(a.x_row != nullptr ? a.x_row[t] : t) * a.x_stride;
  const std::uint64_t n = static_cast<std::uint64_t>(a.k), scales = up_to_line(n);
  const std::uint64_t sums16 = scales + up_to_line(n / block * 4), sums32 = sums16 + up_to_line(n / 16 * 4);
  return {p, reinterpret_cast<const float*>(p + scales), reinterpret_cast<const float*>(p + sums16),
          reinterpret_cast<const float*>(p + sums32)};
}
SCF_INLINE float* out_at(const GemmArgs& a, std::int64_t t) {
  return a.y + (a.y_row != nullptr ? a.y_row[t] : t) * a.y_stride;
}

/// 256 weights in four registers, the scale of every lane beside them (IQ2_XXS: the same one for all four).
struct Codes {
  Z c[4], s[4];
};
/// The 256 activations opposite; `start`: what the sums begin with.
struct Opposite {
  Z x[4], start;
};

/// The f16 pair (d, dmin) at p, in every lane.
struct Units {
  F d, dmin;
};
SCF_INLINE Units load_units(const void* p) {
  const F both = _mm512_cvtph_ps(_mm256_set1_epi32(static_cast<int>(load_u32(p))));
  return {_mm512_moveldup_ps(both), _mm512_movehdup_ps(both)};
}
/// Sums of products times scales.
SCF_INLINE Z scaled(Z sums, Z codes, Z x, Z scales) {
  return _mm512_dpwssd_epi32(sums, _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes, x), scales);
}

// Each format: how a block becomes `Codes`, which activations stand opposite, and the sum of the products in integers.

struct WideQ2_K {
  using Block = blocks::Q2_K;
  static constexpr bool has_min = true;
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
  SCF_INLINE Units units(const Block& b) { return load_units(&b.d); }
  SCF_INLINE F minima(const Block& b) {
    const __m128i sc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.sc));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(sc, 4), _mm_set1_epi8(15))));
  }
  SCF_INLINE F sums(const Row& x, std::int64_t block) { return load(x.sums16 + 16 * block); }
};

struct WideQ4_K {
  using Block = blocks::Q4_K;
  static constexpr bool has_min = true;
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
  SCF_INLINE Units units(const Block& b) { return load_units(&b.d); }
  SCF_INLINE F minima(const Block& b) {
    const std::uint64_t y = load_u32(b.sc + 4), z = load_u32(b.sc + 8);
    const std::uint64_t m = (y & 0x3f3f3f3fu) | ((z >> 4 & 0x0f0f0f0fu) | (y >> 2 & 0x30303030u)) << 32;
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(m))));
  }
  SCF_INLINE F sums(const Row& x, std::int64_t block) { return _mm512_maskz_loadu_ps(0xff, x.sums32 + 8 * block); }
};

/// The grid with 128 added to every magnitude.
struct BiasedGrid {
  std::uint64_t entry[256];
};
constexpr BiasedGrid biased_grid() {
  BiasedGrid grid{};
  for (std::size_t i = 0; i < 256; ++i) grid.entry[i] = blocks::iq2xxs_grid[i] ^ 0x8080808080808080u;
  return grid;
}
alignas(64) constexpr BiasedGrid k_biased_grid = biased_grid();

/// Register j holds the j-th eight elements of all eight groups, so that a group and its scale keep to a 64-bit lane.
struct WideIQ2_XXS {
  using Block = blocks::IQ2_XXS;
  static constexpr bool has_min = false;

  /// Sign bits of all groups in the upper half of each 64-bit lane, see FormatIQ2_XXS::sign_bits.
  SCF_INLINE Z sign_bits(Z w) {
    const auto field = [](Z v, int mask, Z rest) { // (v & mask) | rest
      return _mm512_ternarylogic_epi32(v, _mm512_set1_epi32(mask), rest, 0xea);
    };
    Z seven = _mm512_and_si512(w, _mm512_set1_epi32(0x7f));
    seven = field(_mm512_slli_epi32(w, 1), 0x7f00, seven);
    seven = field(_mm512_slli_epi32(w, 2), 0x7f0000, seven);
    seven = field(_mm512_slli_epi32(w, 3), 0x7f000000, seven);
    Z odd = _mm512_xor_si512(seven, _mm512_srli_epi32(seven, 4));
    odd = _mm512_xor_si512(odd, _mm512_srli_epi32(odd, 2));
    odd = _mm512_xor_si512(_mm512_slli_epi32(odd, 7), _mm512_slli_epi32(odd, 6));
    return field(odd, static_cast<int>(0x80808080u), seven);
  }
  SCF_INLINE void unpack(const Block& b, Codes& out) {
    // Per group of 32: four indices, then four signs and the scale.
    const Z raw = load_z(reinterpret_cast<const std::byte*>(&b) + 2), byte = _mm512_set1_epi64(255);
    const Z signs = sign_bits(raw), bits = u64_everywhere(0x8040201008040201u);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Z index = _mm512_and_si512(_mm512_srli_epi64(raw, static_cast<unsigned>(8 * j)), byte);
      const Z grid = _mm512_i64gather_epi64(index, k_biased_grid.entry, 8);
      const long long first = 0x0404040404040404 + 0x0101010101010101 * j, second = first + 0x0808080808080808;
      const Z spread = _mm512_setr_epi64(first, second, first, second, first, second, first, second);
      const __mmask64 negative = _mm512_test_epi8_mask(_mm512_shuffle_epi8(signs, spread), bits);
      // 0 - (grid + 128) is 128 - grid in a byte.
      out.c[j] = _mm512_mask_sub_epi8(grid, negative, _mm512_setzero_si512(), grid);
    }
    const Z high = _mm512_srli_epi32(_mm512_shuffle_epi32(raw, _MM_PERM_DDBB), 27);
    out.s[0] = _mm512_ternarylogic_epi32(high, _mm512_set1_epi32(0x1e), _mm512_set1_epi32(1), 0xea); // 2 * code + 1
  }
  SCF_INLINE void opposite(const std::byte* x, Opposite& out) {
    const Z x0 = load_z(x), x1 = load_z(x + 64), x2 = load_z(x + 128), x3 = load_z(x + 192);
    const Z even = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13), odd = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    const Z a = _mm512_permutex2var_epi64(x0, even, x1), b = _mm512_permutex2var_epi64(x2, even, x3);
    const Z c = _mm512_permutex2var_epi64(x0, odd, x1), d = _mm512_permutex2var_epi64(x2, odd, x3);
    out.x[0] = _mm512_shuffle_i64x2(a, b, 0x44);
    out.x[1] = _mm512_shuffle_i64x2(a, b, 0xee);
    out.x[2] = _mm512_shuffle_i64x2(c, d, 0x44);
    out.x[3] = _mm512_shuffle_i64x2(c, d, 0xee);
    Z sum = _mm512_setzero_si512();
    for (const Z& v : out.x) sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), v);
    out.start = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
  }
  SCF_INLINE Z multiply(const Codes& w, const Opposite& x) {
    Z sum = x.start;
    for (int j = 0; j < 4; ++j) sum = _mm512_dpbusd_epi32(sum, w.c[j], x.x[j]);
    return _mm512_mullo_epi32(sum, w.s[0]);
  }
  SCF_INLINE Units units(const Block& b) { return {load_units(&b.d).d * set1(0.125f), zero()}; }
};

template <class Wide, int R, int T> SCF_INLINE void wide_rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
  const typename Wide::Block* w[R];
  Row x[T];
  F acc[R][T];
  for (int r = 0; r < R; ++r)
    w[r] = reinterpret_cast<const typename Wide::Block*>(a.w + static_cast<std::uint64_t>(row + r) * a.w_stride);
  for (int t = 0; t < T; ++t) {
    x[t] = row_at(a, token + t, 256);
    for (int r = 0; r < R; ++r) acc[r][t] = zero();
  }
  for (std::int64_t i = 0; i < a.k / 256; ++i) {
    Opposite xs[T];
    for (int t = 0; t < T; ++t) Wide::opposite(x[t].codes + 256 * i, xs[t]);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const typename Wide::Block& block = w[r][i];
      fetch<sizeof(typename Wide::Block)>(reinterpret_cast<const std::byte*>(&block) + R * a.w_stride);
      Codes u;
      Wide::unpack(block, u);
      const Units units = Wide::units(block);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const F scale = set1(x[t].scales[i]);
        acc[r][t] = fma(_mm512_cvtepi32_ps(Wide::multiply(u, xs[t])), units.d * scale, acc[r][t]);
        if constexpr (Wide::has_min)
          acc[r][t] = acc[r][t] - Wide::minima(block) * Wide::sums(x[t], i) * (units.dmin * scale);
      }
    }
  }
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) out_at(a, token + t)[row + r] = sum(acc[r][t]);
}

/// 16 blocks at a time: their scales are converted together, and two blocks share a register.
template <int R, int T> SCF_INLINE void q8_rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
  const std::byte* w[R];
  Row x[T];
  F acc[R][T];
  for (int r = 0; r < R; ++r) w[r] = a.w + static_cast<std::uint64_t>(row + r) * a.w_stride;
  for (int t = 0; t < T; ++t) {
    x[t] = row_at(a, token + t, 32);
    for (int r = 0; r < R; ++r) acc[r][t] = zero();
  }
  const Z at = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                  _mm512_set1_epi32(34));
  const std::int64_t blocks = a.k / 32;
  for (std::int64_t i = 0; i < blocks; i += 16) {
    const std::int64_t n = lesser<std::int64_t>(16, blocks - i);
    const auto mask = static_cast<__mmask16>((1u << n) - 1u);
    F scale[R][T];
    for (int r = 0; r < R; ++r) {
      fetch<16 * 34>(w[r] + 34 * i + R * a.w_stride);
      const Z d = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, at, w[r] + 34 * i, 1);
      const F wide = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(d));
      for (int t = 0; t < T; ++t) scale[r][t] = wide * _mm512_maskz_loadu_ps(mask, x[t].scales + i);
    }
    const auto pair = [&](std::int64_t p, bool both) {
      const auto lane = static_cast<int>(2 * p);
      const Z spread =
          _mm512_add_epi32(_mm512_set1_epi32(lane), _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
      Z codes[R];
      for (int r = 0; r < R; ++r) {
        const std::byte* q = w[r] + 34 * (i + 2 * p) + 2;
        codes[r] = _mm512_xor_si512(both ? join_z(q, q + 34) : _mm512_zextsi256_si512((__m256i)load_b(q)),
                                    _mm512_set1_epi8(-128));
      }
      for (int t = 0; t < T; ++t) {
        const std::byte* c = x[t].codes + 32 * (i + 2 * p);
        const Z v = both ? load_z(c) : _mm512_zextsi256_si512((__m256i)load_b(c));
        const Z start = minus_128_times(v);
        for (int r = 0; r < R; ++r)
          acc[r][t] = fma(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, codes[r], v)),
                          _mm512_permutexvar_ps(spread, scale[r][t]), acc[r][t]);
      }
    };
    if (n == 16) {
#pragma GCC unroll 8
      for (std::int64_t p = 0; p < 8; ++p) pair(p, true);
    } else {
      for (std::int64_t p = 0; p < n / 2; ++p) pair(p, true);
      if (n % 2 != 0) pair(n / 2, false);
    }
  }
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) out_at(a, token + t)[row + r] = sum(acc[r][t]);
}

template <class Wide> struct WideProduct {
  template <int R, int T> SCF_INLINE void rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
    wide_rows<Wide, R, T>(a, row, token);
  }
};
struct ProductQ8_0 {
  template <int R, int T> SCF_INLINE void rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
    q8_rows<R, T>(a, row, token);
  }
};

template <class Product, int R, int T> [[gnu::noinline]] void all_rows(const GemmArgs& a, std::int64_t token) {
  std::int64_t row = 0;
  for (; row + R <= a.rows; row += R) Product::template rows<R, T>(a, row, token);
  if constexpr (R != 1)
    for (; row < a.rows; ++row) Product::template rows<1, T>(a, row, token);
}

/// Tokens 1 to 8; seven are a pass of four and one of three, and so on.
template <class Product> void few(const GemmArgs& a) {
  std::int64_t t = 0;
  for (; t + 8 <= a.tokens; t += 8) all_rows<Product, 2, 8>(a, t);
  for (; t + 4 <= a.tokens; t += 4) all_rows<Product, 2, 4>(a, t);
  if (a.tokens - t == 3) return all_rows<Product, 2, 3>(a, t);
  if (a.tokens - t == 2) return all_rows<Product, 2, 2>(a, t);
  if (a.tokens - t == 1) return all_rows<Product, 4, 1>(a, t);
}

} // namespace

void few_q8_0(const GemmArgs& args) { few<ProductQ8_0>(args); }
void few_q2_k(const GemmArgs& args) { few<WideProduct<WideQ2_K>>(args); }
void few_q4_k(const GemmArgs& args) { few<WideProduct<WideQ4_K>>(args); }
void few_iq2_xxs(const GemmArgs& args) { few<WideProduct<WideIQ2_XXS>>(args); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
