// Products of quantised tokens with 32 weights to a register: what the formats share. Weights are unpacked once for all
// tokens that meet them; the sums of 256 weights are integers, with the scales of their parts in them.
//
// A format `Form` has
//   Block, blocks          what lies in memory, how many of them are 256 weights
//   act_block              elements of a row of activations that share a scale
//   Codes                  256 unpacked weights
//   unpack(block, n, codes)   n: blocks that are there, `blocks` or fewer; the rest is zeros
//   add<T>(codes, x, i, acc)  acc[t] += the weights times the i-th 256 elements of row x[t], in eight lanes
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

// Rows and blocks of 256 that are unpacked before many tokens meet them: what is unpacked fits a second-level cache,
// what eight tokens have opposite a first-level one.
constexpr std::int64_t k_many_rows = 16, k_many_blocks = 8;

template <class Form, int T> struct Tokens {
  Row x[T];
  Tokens(const GemmArgs& a, std::int64_t first) {
    for (int t = 0; t < T; ++t) x[t] = row_at(a, first + t, Form::act_block);
  }
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
  const Tokens<Form, T> tokens(a, token);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const Ahead ahead = ahead_of(rows_of(a), row, 1, 1);
    F8 acc[T] = {};
    for (std::int64_t i = 0; i < groups(a); ++i) {
      const auto* block = blocks_at<Form>(a, row, i);
      fetch<Form::blocks * sizeof(typename Form::Block)>(block, ahead);
      typename Form::Codes codes;
      Form::unpack(block, blocks_in<Form>(a, i), codes);
      Form::template add<T>(codes, tokens.x, i, acc);
    }
    for (int t = 0; t < T; ++t) out_at(a, token + t)[row] = sum8(acc[t]);
  }
}

template <class Form> struct Tile {
  typename Form::Codes codes[k_many_rows][k_many_blocks];
  std::int64_t row, rows, block, blocks; // what it holds
};
template <class Form, int T>
[[gnu::noinline]] void tile_tokens(const GemmArgs& a, const Tile<Form>& tile, std::int64_t token) {
  const Tokens<Form, T> tokens(a, token);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    F8 acc[T] = {};
    for (std::int64_t i = 0; i < tile.blocks; ++i)
      Form::template add<T>(tile.codes[r][i], tokens.x, tile.block + i, acc);
    for (int t = 0; t < T; ++t) {
      float& y = out_at(a, token + t)[tile.row + r];
      y = sum8(acc[t]) + (tile.block == 0 ? 0.0f : y);
    }
  }
}

template <class Form> void multiply_many(const GemmArgs& a) {
  alignas(32) Tile<Form> tile;
  for (tile.row = 0; tile.row < a.rows; tile.row += k_many_rows) {
    tile.rows = lesser(k_many_rows, a.rows - tile.row);
    for (tile.block = 0; tile.block < groups(a); tile.block += k_many_blocks) {
      tile.blocks = lesser(k_many_blocks, groups(a) - tile.block);
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
SCF_INLINE void add_block(const typename Form::Codes& codes, const Row (&x)[T], std::int64_t i, F8 (&acc)[T]) {
  const std::byte* at[T];
  for (int t = 0; t < T; ++t) at[t] = x[t].codes + 256 * i;
  Y sum[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
  Form::template sums<T>(codes, at, sum);
  const F8 unit = set8(codes.unit);
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    F8 v = to_f8((I8)sum[t]) * unit;
    if constexpr (Form::has_min) v = v - Form::minima(codes, x[t], i);
    acc[t] = fma8(v, set8(x[t].scales[i]), acc[t]);
  }
}

/// 256 weights of which the sign is put on the activations, in parts with a scale, as two words, each.
struct SignedCodes {
  Y magnitude[k_parts], sign[k_parts]; // sign: of any size, but zero only where the magnitude is
  alignas(32) std::int32_t scale[k_parts];
  float unit;
};
/// What has SignedCodes: `add` for it.
template <class Form> struct SignedForm {
  using Codes = SignedCodes;
  static constexpr int act_block = 256;
  static constexpr bool has_min = false;
  template <int T> SCF_INLINE void sums(const Codes& w, const std::byte* const (&x)[T], Y (&sum)[T]) {
#pragma GCC unroll 8
    for (int j = 0; j < k_parts; ++j) {
      const Y magnitude = w.magnitude[j], sign = w.sign[j], scale = everywhere(w.scale[j]);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const Y pairs = products(magnitude, _mm256_sign_epi8(load_y(x[t] + 32 * j), sign));
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(pairs, scale));
      }
    }
  }
  template <int T> SCF_INLINE void add(const Codes& w, const Row (&x)[T], std::int64_t i, F8 (&acc)[T]) {
    add_block<Form, T>(w, x, i, acc);
  }
};

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
