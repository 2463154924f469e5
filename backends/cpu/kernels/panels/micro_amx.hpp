// 16 rows x 16 tokens with tile registers: weights are the A operand, activations the B operand. The integer sums of
// one step go through memory to the vector unit, which scales and adds them while the tiles work on the next step.
#pragma once

#include "kernels/panels/panels.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct Micro {
  static constexpr bool biased = false;

  template <class Panel> SCF_INLINE void begin() { tiles_begin(shapes(static_cast<const Panel*>(nullptr))); }
  SCF_INLINE void end() { tiles_end(); }
  template <class Panel> SCF_INLINE void prepare(TokenTile&, int) {}

  template <class Panel>
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int n, float (*y)[16][16]) {
    for (int t = 0; t < count; ++t) one(panel, tiles[t], n, y[t]);
  }

private:
  static constexpr int k_sums = 256;

  SCF_INLINE void shape(TileShapes& s, int tile, int rows, int bytes) {
    s.rows[tile] = static_cast<std::uint8_t>(rows);
    s.row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }
  SCF_INLINE F16 floats(const std::int32_t* sums, int r) {
    return __builtin_convertvector(load_as<I16>(sums + 16 * r), F16);
  }
  SCF_INLINE void store_all(const F16 (&acc)[16], float (*y)[16]) {
    for (int r = 0; r < 16; ++r) store_as(y[r], acc[r]);
  }

  // Sub-blocks: tiles 0-3 are sums, 4 and 5 weights, 6 and 7 activations.
  template <int SUB, bool SIGNED, bool MIN, int PER>
  SCF_INLINE TileShapes shapes(const ScaledPanel<SUB, SIGNED, MIN, PER>*) {
    TileShapes s;
    for (int t = 0; t < 4; ++t) shape(s, t, 16, 64);
    for (int t = 4; t < 6; ++t) shape(s, t, 16, SUB);
    for (int t = 6; t < 8; ++t) shape(s, t, SUB / 4, 64);
    return s;
  }
  template <int I, class Panel>
  SCF_INLINE void sub_block(const Panel& panel, const TokenTile& x, int b, std::int32_t (*sums)[k_sums]) {
    constexpr int a = 4 + I % 2, c = 6 + I % 2;
    tile_zero<I>();
    tile_load<a>(panel.codes[b + I], Panel::sub);
    tile_load<c>(x.codes[(b + I) * (Panel::sub / 4)], 64);
    tile_dot<I, a, c>();
    tile_store<I>(sums[I], 64);
  }
  template <class Panel>
  SCF_INLINE void absorb(const Panel& panel, const TokenTile& x, int b, const std::int32_t* sums, F16 (&acc)[16]) {
    const F16 scale = load_as<F16>(x.scale[b * Panel::sub / Panel::per]);
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
      acc[r] += floats(sums, r) * (scale * panel.scale[b][r]);
      if constexpr (Panel::has_min) acc[r] -= load_as<F16>(x.sums[b]) * panel.min[b][r];
    }
  }
  template <int SUB, bool SIGNED, bool MIN, int PER>
  SCF_INLINE void one(const ScaledPanel<SUB, SIGNED, MIN, PER>& panel, const TokenTile& x, int n, float (*y)[16]) {
    alignas(64) std::int32_t sums[2][4][k_sums];
    F16 acc[16] = {};
    const int blocks = n / SUB, fours = blocks / 4;
    const auto tiles = [&](int i) {
      sub_block<0>(panel, x, 4 * i, sums[i % 2]);
      sub_block<1>(panel, x, 4 * i, sums[i % 2]);
      sub_block<2>(panel, x, 4 * i, sums[i % 2]);
      sub_block<3>(panel, x, 4 * i, sums[i % 2]);
    };
    if (fours > 0) tiles(0);
    for (int i = 0; i < fours; ++i) {
      if (i + 1 < fours) tiles(i + 1);
      for (int j = 0; j < 4; ++j) absorb(panel, x, 4 * i + j, sums[i % 2][j], acc);
    }
    for (int b = 4 * fours; b < blocks; ++b) {
      sub_block<0>(panel, x, b, sums[0]);
      absorb(panel, x, b, sums[0][0], acc);
    }
    store_all(acc, y);
  }

  // Blocks of 256: tile 0 is the sum, 1 and 2 the minima times high and low parts, 3 and 4 weights, 5 and 6
  // activations. Minima and cut sums are 16 and 64 elements of k: tile 7 has the former's shape, and 4 that of both
  // halves.
  SCF_INLINE TileShapes shapes(const FoldedPanel*) {
    TileShapes s;
    for (int t = 0; t < 3; ++t) shape(s, t, 16, 64);
    shape(s, 3, 16, 64);
    shape(s, 4, 16, 16);
    shape(s, 5, 16, 64);
    shape(s, 6, 4, 64);
    shape(s, 7, 4, 64);
    return s;
  }
  SCF_INLINE void one(const FoldedPanel& panel, const TokenTile& x, int n, float (*y)[16]) {
    alignas(64) std::int32_t sums[2][3][k_sums];
    F16 acc[16] = {};
    const auto tiles = [&](int i) {
      tile_zero<0>();
      tile_zero<1>();
      tile_zero<2>();
      tile_load<4>(panel.min[i], 16);
      tile_load<6>(x.cut[i][0], 64);
      tile_load<7>(x.cut[i][4], 64);
      tile_dot<1, 4, 6>();
      tile_dot<2, 4, 7>();
      for (int j = 0; j < 4; ++j) {
        tile_load<3>(panel.codes[4 * i + j], 64);
        tile_load<5>(x.codes[64 * i + 16 * j], 64);
        tile_dot<0, 3, 5>();
      }
      tile_store<1>(sums[i % 2][1], 64);
      tile_store<2>(sums[i % 2][2], 64);
      tile_store<0>(sums[i % 2][0], 64);
    };
    const auto take = [&](int i) {
      const auto& s = sums[i % 2];
      const F16 scale = load_as<F16>(x.scale[i]);
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) {
        const I16 min = (load_as<I16>(s[1] + 16 * r) << 6) + load_as<I16>(s[2] + 16 * r);
        acc[r] +=
            (floats(s[0], r) * panel.scale[i][r] + __builtin_convertvector(min, F16) * panel.min_scale[i][r]) * scale;
      }
    };
    const int blocks = n / 256;
    tiles(0);
    for (int i = 0; i < blocks; ++i) {
      if (i + 1 < blocks) tiles(i + 1);
      take(i);
    }
    store_all(acc, y);
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
