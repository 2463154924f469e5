// Weights in the form that tile registers multiply: panels of 16 rows, int8, four neighbours of k in a word.
//
// Formats of 32 (Q8_0, MXFP4) keep their codes; every 32 elements have their own scale in f32.
//
// Formats of 256 have integer scales below one f32 scale, so code * integer scale is an integer again, and one sum over
// 256 elements needs one conversion to float. Where it does not fit a byte it is cut: value = 64 * high + low, two
// planes of bytes. The minima are a product of their own, of 16 minima and the activations' 16 sums. All of it is
// exact.
#pragma once

#include "kernels/formats.hpp"
#include "kernels/tile_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

inline constexpr int k_panel_rows = 16; // columns of an int32 tile
inline constexpr int k_chunk = 512;     // elements of k that are unpacked at once
inline constexpr int k_tile_bytes = 1024;

/// 16 rows x k_chunk of a format of 32: tiles of 64 elements, of which each half is a B operand of its own.
struct Panel32 {
  static constexpr int groups = k_chunk / 32;
  alignas(64) std::int8_t codes[k_chunk / 64][k_tile_bytes];
  alignas(64) float scale[groups][k_panel_rows];
};

/// 16 rows x k_chunk of a format of 256.
template <class Fmt> struct Panel256 {
  static constexpr int planes = Fmt::planes, units = k_chunk / 256;
  alignas(64) std::int8_t codes[units][4][planes][k_tile_bytes]; // highest plane first
  alignas(64) std::int8_t mins[units][2][k_tile_bytes];          // rows 0-3, for the high parts of sums; rows 4-7: low
  alignas(64) float scale[units][k_panel_rows];
  alignas(64) float min_scale[units][k_panel_rows];
};

/// Row r of the panel is row `row + r` of the weight; rows from `rows` on become zero. n elements from `begin`.
template <class Fmt>
SCF_INLINE void fill_panel(Panel32& panel, const GemmArgs& a, std::int64_t row, std::int64_t begin, int n) {
  alignas(64) std::int8_t flat[k_panel_rows][k_chunk];
  constexpr int padded = 128; // the product goes in steps of four groups
  const int n_padded = (n + padded - 1) / padded * padded;
  for (int r = 0; r < k_panel_rows; ++r) {
    const bool real = row + r < a.rows;
    const auto* w =
        reinterpret_cast<const typename Fmt::Block*>(a.w + static_cast<std::uint64_t>(row + r) * a.w_stride);
    for (int g = 0; g < n_padded / 32; ++g) {
      typename Fmt::Out u{};
      if (real && 32 * g < n) Fmt::unpack(w[begin / 32 + g], u);
      store_b(flat[r] + 32 * g, u.c[0]);
      panel.scale[g][r] = u.s[0];
    }
  }
  for (int i = 0; i < n_padded / 64; ++i) transpose_words(flat[0] + 64 * i, k_chunk, panel.codes[i]);
}

/// The 256 integers code * scale of a block, in planes of bytes. Bytes are multiplied two to a word: where the products
/// fit a byte and are not negative, the lower one carries nothing into the upper one.
template <class Fmt>
SCF_INLINE void fold_scales(const typename Fmt::Block& block, W scales, std::int8_t* high, std::int8_t* low) {
  static_assert(Fmt::planes == 2 || !Fmt::Out::is_signed);
  typedef std::uint16_t Words __attribute__((vector_size(32)));
  alignas(32) std::int16_t scale[16];
  store_as(scale, scales);
  typename Fmt::Out u;
  Fmt::unpack(block, u);
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    W factor = W{} + scale[2 * j];
    if constexpr (Fmt::Out::sub == 16)
      factor = __builtin_shufflevector(factor, W{} + scale[2 * j + 1], 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29,
                                       30, 31);
    const Words pairs = (Words)u.c[j];
    if constexpr (Fmt::planes == 1) {
      store_as(high + 32 * j, pairs * (Words)factor);
    } else {
      const W even = Fmt::Out::is_signed ? (W)(pairs << 8) >> 8 : (W)(pairs & 255);
      const W odd = Fmt::Out::is_signed ? (W)pairs >> 8 : (W)(pairs >> 8);
      const Words a = (Words)(even * factor), b = (Words)(odd * factor);
      store_as(low + 32 * j, (a & 63) | (b & 63) << 8);
      store_as(high + 32 * j, (a >> 6 & 255) | (b << 2 & 0xff00));
    }
  }
}

/// 16 minima of each row as tile rows 0-3 of the first tile and 4-7 of the second one.
SCF_INLINE void place_mins(const std::uint8_t (&mins)[k_panel_rows][16], std::int8_t (&tiles)[2][k_tile_bytes]) {
  __builtin_memset(tiles, 0, sizeof tiles);
  for (int r = 0; r < k_panel_rows; ++r)
    for (int word = 0; word < 4; ++word) __builtin_memcpy(tiles[0] + 64 * word + 4 * r, mins[r] + 4 * word, 4);
  __builtin_memcpy(tiles[1] + 256, tiles[0], 256);
}

template <class Fmt>
SCF_INLINE void fill_panel(Panel256<Fmt>& panel, const GemmArgs& a, std::int64_t row, std::int64_t begin, int n) {
  alignas(64) std::int8_t flat[Fmt::planes][k_panel_rows][256];
  for (int u = 0; u < n / 256; ++u) {
    alignas(16) std::uint8_t mins[k_panel_rows][16];
    for (int r = 0; r < k_panel_rows; ++r) {
      if (row + r >= a.rows) {
        for (auto& plane : flat) __builtin_memset(plane[r], 0, sizeof plane[r]);
        __builtin_memset(mins[r], 0, sizeof mins[r]);
        panel.scale[u][r] = panel.min_scale[u][r] = 0;
        continue;
      }
      const auto* w =
          reinterpret_cast<const typename Fmt::Block*>(a.w + static_cast<std::uint64_t>(row + r) * a.w_stride);
      const auto& block = w[begin / 256 + u];
      const BlockScales scales = Fmt::scales(block);
      fold_scales<Fmt>(block, scales.scale, flat[0][r], flat[Fmt::planes - 1][r]);
      panel.scale[u][r] = scales.d;
      panel.min_scale[u][r] = scales.dmin;
      store_as(mins[r], scales.min);
    }
    if constexpr (Fmt::Out::has_min) place_mins(mins, panel.mins[u]);
    for (int i = 0; i < 4; ++i)
      for (int p = 0; p < Fmt::planes; ++p) transpose_words(flat[p][0] + 64 * i, 256, panel.codes[u][i][p]);
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
