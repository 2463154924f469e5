// Operands of the products of many tokens, as both the integer dot products (micro_vnni.hpp) and the tile registers
// (micro_amx.hpp) read them.
//
// Weights: panels of 16 rows, a byte per code, row by row; the sub-blocks' scales beside them in f32. Activations:
// tiles of 16 tokens, in which the token is the lane and a lane holds four neighbours of k. A result is 16 rows x 16
// tokens, and neither a weight nor a sum is ever moved across lanes until the end of k.
#pragma once

#include "kernels/formats.hpp"
#include "kernels/tile_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

inline constexpr int k_panel_rows = 16, k_tile_tokens16 = 16;
inline constexpr int k_chunk = 2048; // elements of k that are unpacked at once: a panel stays in a first-level cache
inline constexpr int k_group_tiles = 16; // tiles packed at once: together they stay in a second-level cache

/// Sub-blocks of SUB elements with a float scale each: value = scale * code - min. Activations have a scale per PER
/// elements.
template <int SUB, bool SIGNED, bool MIN, int PER> struct ScaledPanel {
  static constexpr int sub = SUB, per = PER;
  static constexpr bool is_signed = SIGNED, has_min = MIN, folded = false;
  static_assert(!MIN || (SUB == 32 && PER == 256));
  alignas(64) std::uint8_t codes[k_chunk / SUB][k_panel_rows][SUB];
  alignas(64) float scale[k_chunk / SUB][k_panel_rows];
  alignas(64) float min[MIN ? k_chunk / SUB : 1][k_panel_rows];
};

/// Blocks of 256 whose code * integer scale is a byte again: value = scale * code + min_scale * min[k / 16].
struct FoldedPanel {
  static constexpr int sub = 16, per = 256;
  static constexpr bool is_signed = false, has_min = true, folded = true;
  alignas(64) std::uint8_t codes[k_chunk / 64][k_panel_rows][64];
  alignas(64) std::uint8_t min[k_chunk / 256][k_panel_rows][16];
  alignas(64) float scale[k_chunk / 256][k_panel_rows];
  alignas(64) float min_scale[k_chunk / 256][k_panel_rows];
};

template <class Fmt> struct PanelOf {
  using Type = ScaledPanel<Fmt::Out::sub, Fmt::Out::is_signed, Fmt::Out::has_min, Fmt::act == Act::q8_k ? 256 : 32>;
};
template <> struct PanelOf<FormatQ2_K> { using Type = FoldedPanel; };
inline constexpr std::uint64_t k_panel_bytes = sizeof(ScaledPanel<16, true, false, 256>) + sizeof(FoldedPanel);

/// k_chunk elements of 16 tokens.
struct TokenTile {
  alignas(64) std::int8_t codes[k_chunk / 4][k_tile_tokens16][4];
  alignas(64) float scale[k_chunk / 32][k_tile_tokens16]; // per 32 or 256
  alignas(64) float sums[k_chunk / 32][k_tile_tokens16];  // per 32, scaled: what minima are multiplied with
  alignas(
      64) std::int8_t cut[k_chunk / 256][8][k_tile_tokens16][4]; // sums of 16 codes as 64 * high + low: 4 x high, low
  alignas(64) std::int32_t start[k_chunk / 16][k_tile_tokens16]; // per sub-block, for products of biased codes
};

/// What a product of so many tokens needs of a worker's scratch.
constexpr std::uint64_t panel_scratch(std::int64_t tokens) {
  const std::int64_t tiles = (tokens + k_tile_tokens16 - 1) / k_tile_tokens16;
  return k_panel_bytes + sizeof(TokenTile) * static_cast<std::uint64_t>(tiles < k_group_tiles ? tiles : k_group_tiles);
}

SCF_INLINE const std::byte* activations_of(const GemmArgs& a, std::int64_t t) {
  return a.x + static_cast<std::uint64_t>(a.x_row != nullptr ? a.x_row[t] : t) * a.x_stride;
}

// ---- weights --------------------------------------------------------------------------------------------------------

template <class Fmt> SCF_INLINE const typename Fmt::Block* blocks_of(const GemmArgs& a, std::int64_t row) {
  return reinterpret_cast<const typename Fmt::Block*>(a.w + static_cast<std::uint64_t>(row) * a.w_stride);
}

template <class Panel> SCF_INLINE void put_codes(Panel& panel, int vector, int r, B codes) {
  if constexpr (Panel::sub == 32) {
    store_b(panel.codes[vector][r], codes);
  } else {
    store_as(panel.codes[2 * vector][r],
             __builtin_shufflevector(codes, codes, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    store_as(panel.codes[2 * vector + 1][r],
             __builtin_shufflevector(codes, codes, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31));
  }
}

/// Row r of a panel from n elements at `block`. `flip`: 128 is added to signed codes.
template <class Fmt, class Panel>
SCF_INLINE void fill_row(Panel& panel, int r, const typename Fmt::Block* block, int n, std::uint8_t flip) {
  using Out = typename Fmt::Out;
  for (int i = 0; i < n / (32 * Out::vectors); ++i) {
    Out u;
    Fmt::unpack(block[i], u);
#pragma GCC unroll 8
    for (int j = 0; j < Out::vectors; ++j) put_codes(panel, i * Out::vectors + j, r, u.c[j] ^ flip);
    alignas(32) float min[8 * Out::min_vectors];
    if constexpr (Out::has_min)
      for (int m = 0; m < Out::min_vectors; ++m) store8(min + 8 * m, u.m[m]);
#pragma GCC unroll 16
    for (int s = 0; s < Out::subs; ++s) {
      panel.scale[i * Out::subs + s][r] = u.s[s];
      if constexpr (Out::has_min) panel.min[i * Out::subs + s][r] = min[s];
    }
  }
}

template <class Fmt> SCF_INLINE void fill_row(FoldedPanel& panel, int r, const typename Fmt::Block* block, int n) {
  for (int i = 0; i < n / 256; ++i) {
    const FoldedScales scales = Fmt::scales(block[i]);
    typename Fmt::Out u;
    Fmt::unpack(block[i], u);
    alignas(32) std::uint16_t scale[16];
    store_as(scale, scales.scale);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const W first = W{} + scale[2 * j], second = W{} + scale[2 * j + 1];
      const W factor = __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31);
      store_as(panel.codes[4 * i + j / 2][r] + 32 * (j % 2),
               (W)u.c[j] * factor); // two codes a word: nothing is carried
    }
    store_as(panel.min[i][r], scales.min);
    panel.scale[i][r] = scales.d;
    panel.min_scale[i][r] = -scales.dmin;
  }
}

/// n elements from `begin` of 16 rows from `row`; rows from a.rows on are the last one again, and not written later.
template <class Fmt, class Panel>
SCF_INLINE void fill_panel(Panel& panel, const GemmArgs& a, std::int64_t row, std::int64_t begin, int n, bool biased) {
  [[maybe_unused]] const std::uint8_t flip = biased && Panel::is_signed ? 128 : 0;
  const std::int64_t first = begin / (32 * Fmt::Out::vectors);
  for (int r = 0; r < k_panel_rows; ++r) {
    const auto* block = blocks_of<Fmt>(a, lesser(row + r, a.rows - 1)) + first;
    if constexpr (Panel::folded)
      fill_row<Fmt>(panel, r, block, n);
    else
      fill_row<Fmt>(panel, r, block, n, flip);
  }
}

// ---- activations ----------------------------------------------------------------------------------------------------

/// The sums of 16 codes, |s| <= 2032, as s = 64 * high + low.
SCF_INLINE void cut_sums(const std::byte* sums, std::int8_t* out) {
  typedef std::int8_t Signed __attribute__((vector_size(16)));
  const I16 s = __builtin_convertvector(load_as<F16>(sums), I16);
  store_as(out, __builtin_convertvector(s >> 6, Signed));
  store_as(out + 16, __builtin_convertvector(s & 63, Signed));
}

/// n elements from `begin` of tokens [first, first + count); the tokens that a tile lacks are the first one again, and
/// their results are not written. Reads whole lines: every part of a row is padded to one.
template <class Panel>
SCF_INLINE void pack_tokens(TokenTile& out, const GemmArgs& a, std::int64_t first, int count, std::int64_t begin,
                            int n) {
  const std::byte* row[k_tile_tokens16];
  for (int t = 0; t < k_tile_tokens16; ++t) row[t] = activations_of(a, first + (t < count ? t : 0));
  const auto at = static_cast<std::uint64_t>(begin);
  const ActLayout layout = act_layout(Panel::per == 256 ? Act::q8_k : Act::q8_0, a.k);
  const auto spread = [&](std::uint64_t offset, int words, void* to) { // words of every row, 16 at a time
    for (int i = 0; i < (words + 15) / 16; ++i)
      transpose_words([&](int t) { return row[t] + offset + 64 * static_cast<std::uint64_t>(i); },
                      static_cast<std::byte*>(to) + 1024 * i);
  };
  static_assert(k_chunk / 32 % 16 == 0);
  spread(at, n / 4, out.codes);
  spread(layout.scales + at / Panel::per * 4, n / Panel::per, out.scale);
  if constexpr (Panel::folded) {
    for (int i = 0; i < n / 256; ++i) {
      alignas(64) std::int8_t cut[k_tile_tokens16][64];
      alignas(64) std::int8_t words[16][64];
      for (int t = 0; t < k_tile_tokens16; ++t)
        cut_sums(row[t] + layout.sums16 + (at / 16 + 16 * static_cast<std::uint64_t>(i)) * 4, cut[t]);
      transpose_words([&](int t) { return cut[t]; }, words);
      __builtin_memcpy(out.cut[i], words, sizeof out.cut[i]);
    }
  } else if constexpr (Panel::has_min) {
    spread(layout.sums32 + at / 32 * 4, n / 32, out.sums);
    for (int i = 0; i < n / 32; ++i) store_as(out.sums[i], load_as<F16>(out.sums[i]) * load_as<F16>(out.scale[i / 8]));
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
