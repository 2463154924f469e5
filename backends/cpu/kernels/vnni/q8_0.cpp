// Q8_0 with 1 to 8 quantised tokens by VNNI: one by the blocks as they lie, more by groups of 16 blocks.
#include "kernels/vnni/products.hpp"
#include "kernels/vnni/wide512.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

SCF_INLINE Z minus_128_times(Z codes) {
  return _mm512_sub_epi32(_mm512_setzero_si512(),
                          _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), codes));
}

/// 16 blocks at a time: their scales are converted together, and two blocks share a register. The factor without a sign
/// is x + 128: what that adds is the same for all tokens.
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
  const Ahead ahead = ahead_of(rows_of(a), row, R, R);
  for (std::int64_t i = 0; i < blocks; i += 16) {
    const std::int64_t n = lesser<std::int64_t>(16, blocks - i);
    const auto mask = static_cast<__mmask16>((1u << n) - 1u);
    F scale[R][T];
    for (int r = 0; r < R; ++r) {
      const Z d = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, at, w[r] + 34 * i, 1);
      const F wide = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(d));
      for (int t = 0; t < T; ++t) scale[r][t] = wide * _mm512_maskz_loadu_ps(mask, x[t].scales + i);
    }
    const auto pair = [&](std::int64_t p, bool both) {
      const auto lane = static_cast<int>(2 * p);
      const Z spread =
          _mm512_add_epi32(_mm512_set1_epi32(lane), _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
      Z codes[R], start[R];
      for (int r = 0; r < R; ++r) {
        const std::byte* q = w[r] + 34 * (i + 2 * p) + 2;
        codes[r] = both ? join_z(q, q + 34) : _mm512_zextsi256_si512((__m256i)load_b(q));
        start[r] = minus_128_times(codes[r]);
      }
      for (int t = 0; t < T; ++t) {
        const std::byte* c = x[t].codes + 32 * (i + 2 * p);
        const Z v =
            _mm512_xor_si512(both ? load_z(c) : _mm512_zextsi256_si512((__m256i)load_b(c)), _mm512_set1_epi8(-128));
        for (int r = 0; r < R; ++r)
          acc[r][t] = fma(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start[r], v, codes[r])),
                          _mm512_permutexvar_ps(spread, scale[r][t]), acc[r][t]);
      }
    };
    if (n == 16) {
      constexpr int lines = (R * 16 * 34 + 63) / 64;
#pragma GCC unroll 8
      for (int p = 0; p < 8; ++p) {
        pair(p, true);
        for (int line = p * lines / 8; line < (p + 1) * lines / 8; ++line)
          fetch<64>(w[0] + R * 34 * i + 64 * line, ahead);
      }
    } else {
      for (std::int64_t p = 0; p < n / 2; ++p) pair(p, true);
      if (n % 2 != 0) pair(n / 2, false);
    }
  }
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) out_at(a, token + t)[row + r] = sum(acc[r][t]);
}

struct ProductQ8_0 {
  static constexpr int rows_of_one = 1; // one stream from memory is quicker than two
  template <int R, int T> SCF_INLINE void rows(const GemmArgs& a, std::int64_t row, std::int64_t token) {
    q8_rows<R, T>(a, row, token);
  }
};

/// Two blocks to a register, eight registers: dword j of all blocks in register j. Lane i is block order()[i].
SCF_INLINE void transpose(Z (&v)[8]) {
  Z a[8], b[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    for (int j = i; j < i + 4; j += 2) {
      a[j] = _mm512_unpacklo_epi32(v[j], v[j + 1]);
      a[j + 1] = _mm512_unpackhi_epi32(v[j], v[j + 1]);
    }
    for (int j = 0; j < 2; ++j) {
      b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
      b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    v[j] = _mm512_shuffle_i64x2(b[j], b[j + 4], 0x88);
    v[j + 4] = _mm512_shuffle_i64x2(b[j], b[j + 4], 0xdd);
  }
}
SCF_INLINE Z order() { return _mm512_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15); }

struct GroupsQ8_0 {
  static constexpr std::int64_t bytes = 16 * 34, near_rows = 1, act_block = 32;
  template <bool WHOLE> SCF_INLINE void unpack(const std::byte* p, Group& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const std::byte* q = p + 68 * i + 2;
      out.code[i] =
          WHOLE || i < 4 ? _mm512_xor_si512(join_z(q, q + 34), _mm512_set1_epi8(-128)) : _mm512_setzero_si512();
    }
    transpose(out.code);
    const Z at = _mm512_mullo_epi32(order(), _mm512_set1_epi32(34));
    const Z d = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), WHOLE ? 0xffff : 0xff, at, p, 1);
    out.scale = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(d));
  }
  SCF_INLINE void lay_opposite(const Row& row, std::int64_t half, bool whole, OppositeGroup& out) {
    Z x[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i)
      x[i] = i < 4 || whole ? load_z(row.codes + 256 * half + 64 * i) : _mm512_setzero_si512();
    transpose(x);
    const F scales = _mm512_maskz_loadu_ps(whole ? 0xffff : 0xff, row.scales + 8 * half);
    store_opposite(x, _mm512_permutexvar_ps(order(), scales), out);
  }
};

} // namespace

void few_q8_0(const GemmArgs& a) {
  if (a.tokens == 1 || a.k % 256 != 0) return few<ProductQ8_0>(a);
  few_groups<GroupsQ8_0>(a);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
