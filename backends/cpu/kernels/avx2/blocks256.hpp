// Products of quantised tokens with 32 weights to a register: what the formats share. Weights are unpacked once for all
// tokens that meet them; the sums of 256 weights are integers, with the scales of their parts in them.
//
// A format `Form` has
//   Block, blocks          what lies in memory, how many of them are 256 weights
//   Codes                  256 unpacked weights
//   unpack(block, n, codes)   n: blocks that are there, `blocks` or fewer; the rest is zeros
//   Tokens<T>(args, token, block, blocks)   T rows of activations as they are multiplied, `blocks` groups of 256
//                          elements from `block` on
//   add<T>(codes, x, i, acc)  acc[t] += the weights times the i-th group of x, in eight lanes
//   many_rows, many_blocks    rows and groups that are unpacked before many tokens meet them: what is unpacked fits a
//                          second-level cache, what eight tokens have opposite a first-level one
#pragma once

#include "kernels/formats.hpp"
#include "kernels/quantised_rows.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

typedef __m256i Y; // 32 codes, 16 sums of two or 8 of four

constexpr int k_parts = 8; // of 256 elements: registers

SCF_INLINE Y load_y(const void* p) { return _mm256_loadu_si256(static_cast<const Y*>(p)); }
/// A scale as two words, to multiply pairs with.
SCF_INLINE Y twice(Y dwords) { return _mm256_or_si256(dwords, _mm256_slli_epi32(dwords, 16)); }
SCF_INLINE Y everywhere(std::int32_t v) { return _mm256_set1_epi32(v); }
/// Sums of two products each; |a * b| * 2 must fit in 16 bits.
SCF_INLINE Y products(Y unsigned_codes, Y x) { return _mm256_maddubs_epi16(unsigned_codes, x); }

/// out[i] = the sum of the lanes of v[i].
template <int N> SCF_INLINE void sums_of(const F8 (&v)[N], float (&out)[N]) {
  if constexpr (N % 4 != 0) {
    for (int i = 0; i < N; ++i) out[i] = sum8(v[i]);
  } else {
#pragma GCC unroll 2
    for (int i = 0; i < N; i += 4) {
      const __m256 first = _mm256_hadd_ps((__m256)v[i], (__m256)v[i + 1]);
      const __m256 halves = _mm256_hadd_ps(first, _mm256_hadd_ps((__m256)v[i + 2], (__m256)v[i + 3]));
      _mm_storeu_ps(out + i, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
    }
  }
}

/// Rows as they are, in parts of 256 elements with a scale for each ACT_BLOCK.
template <int T, int ACT_BLOCK> struct QuantisedRows {
  Row row[T];
  QuantisedRows(const GemmArgs& a, std::int64_t token, std::int64_t block, std::int64_t) {
    for (int t = 0; t < T; ++t) {
      const Row all = row_at(a, token + t, ACT_BLOCK);
      row[t] = {all.codes + 256 * block, all.scales + 256 / ACT_BLOCK * block, all.sums16 + 16 * block,
                all.sums32 + 8 * block};
    }
  }
};
/// What most formats are.
struct ByteForm {
  template <int T> using Tokens = QuantisedRows<T, 256>;
  static constexpr std::int64_t many_rows = 16, many_blocks = 8;
};

template <class Form>
SCF_INLINE const typename Form::Block* blocks_at(const GemmArgs& a, std::int64_t row, std::int64_t i) {
  return reinterpret_cast<const typename Form::Block*>(a.w + static_cast<std::uint64_t>(row) * a.w_stride) +
         Form::blocks * i;
}

/// Groups of 256 elements in a row, and blocks that there are of the i-th.
SCF_INLINE std::int64_t groups(const GemmArgs& a) { return (a.k + 255) / 256; }
template <class Form> SCF_INLINE std::int64_t blocks_in(const GemmArgs& a, std::int64_t i) {
  return lesser<std::int64_t>(Form::blocks, (a.k - 256 * i) * Form::blocks / 256);
}

/// All rows for tokens [token, token + T), each weight used at once.
template <class Form, int T> [[gnu::noinline]] void few_rows(const GemmArgs& a, std::int64_t token) {
  const typename Form::template Tokens<T> tokens(a, token, 0, groups(a));
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const Ahead ahead = ahead_of(rows_of(a), row, 1, 1);
    F8 acc[T] = {};
    for (std::int64_t i = 0; i < groups(a); ++i) {
      const auto* block = blocks_at<Form>(a, row, i);
      fetch<Form::blocks * sizeof(typename Form::Block)>(block, ahead);
      typename Form::Codes codes;
      Form::unpack(block, blocks_in<Form>(a, i), codes);
      Form::template add<T>(codes, tokens, i, acc);
    }
    float y[T];
    sums_of(acc, y);
    for (int t = 0; t < T; ++t) out_at(a, token + t)[row] = y[t];
  }
}

template <class Form> struct Tile {
  typename Form::Codes codes[Form::many_rows][Form::many_blocks];
  std::int64_t row, rows, block, blocks; // what it holds
};
template <class Form, int T>
[[gnu::noinline]] void tile_tokens(const GemmArgs& a, const Tile<Form>& tile, std::int64_t token) {
  const typename Form::template Tokens<T> tokens(a, token, tile.block, tile.blocks);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    F8 acc[T] = {};
    for (std::int64_t i = 0; i < tile.blocks; ++i) Form::template add<T>(tile.codes[r][i], tokens, i, acc);
    float part[T];
    sums_of(acc, part);
    for (int t = 0; t < T; ++t) {
      float& y = out_at(a, token + t)[tile.row + r];
      y = part[t] + (tile.block == 0 ? 0.0f : y);
    }
  }
}

template <class Form> void multiply_many(const GemmArgs& a) {
  alignas(32) Tile<Form> tile;
  for (tile.row = 0; tile.row < a.rows; tile.row += Form::many_rows) {
    tile.rows = lesser(Form::many_rows, a.rows - tile.row);
    for (tile.block = 0; tile.block < groups(a); tile.block += Form::many_blocks) {
      tile.blocks = lesser(Form::many_blocks, groups(a) - tile.block);
      for (std::int64_t r = 0; r < tile.rows; ++r)
        for (std::int64_t i = tile.block; i < tile.block + tile.blocks; ++i)
          Form::unpack(blocks_at<Form>(a, tile.row + r, i), blocks_in<Form>(a, i), tile.codes[r][i - tile.block]);
      cover_by<8>(a.tokens, [&](auto T, std::int64_t t) { tile_tokens<Form, decltype(T)::value>(a, tile, t); });
    }
  }
}
template <class Form> void multiply_few(const GemmArgs& a) {
  cover_by<8>(a.tokens, [&](auto T, std::int64_t t) { few_rows<Form, decltype(T)::value>(a, t); });
}

/// `Form::add` of formats with a scale for the block: Form::sums<T>(codes, x, sum) multiplies integers; `unit` of the
/// codes makes them numbers, and Form::minima(codes, x, i) is what these are less.
template <class Form, int T>
SCF_INLINE void add_block(const typename Form::Codes& codes, const QuantisedRows<T, 256>& x, std::int64_t i,
                          F8 (&acc)[T]) {
  const std::byte* at[T];
  for (int t = 0; t < T; ++t) at[t] = x.row[t].codes + 256 * i;
  Y sum[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
  Form::template sums<T>(codes, at, sum);
  const F8 unit = set8(codes.unit);
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    const F8 v = to_f8((I8)sum[t]) * unit - Form::minima(codes, x.row[t], i);
    acc[t] = fma8(v, set8(x.row[t].scales[i]), acc[t]);
  }
}

/// 256 weights of 0 to 128 in parts with a scale, as two words, each, and what is subtracted.
struct ScaledCodes {
  Y code[k_parts];
  alignas(32) std::int32_t scale[k_parts];
  F8 min;
  float unit;
};
/// What has ScaledCodes.
template <class Form> struct ScaledForm : ByteForm {
  using Codes = ScaledCodes;
  template <int T> SCF_INLINE void sums(const Codes& w, const std::byte* const (&x)[T], Y (&sum)[T]) {
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Y code = w.code[j], scale = everywhere(w.scale[j]);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t)
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(products(code, load_y(x[t] + 32 * j)), scale));
    }
  }
  SCF_INLINE F8 minima(const Codes& w, const Row& x, std::int64_t i) { return w.min * load8(x.sums32 + 8 * i); }
  template <int T> SCF_INLINE void add(const Codes& w, const QuantisedRows<T, 256>& x, std::int64_t i, F8 (&acc)[T]) {
    add_block<Form, T>(w, x, i, acc);
  }
};

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
