// 32 rows x 16 or 32 tokens with tile registers: weights are the A operand, activations the B operand. The integer sums
// of 256 elements go through memory to the vector unit, which scales and adds them while the tiles go on.
#pragma once

#include "kernels/panels/panels.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct Micro {
  static constexpr bool biased = false;

  SCF_INLINE void begin() {
    TileShapes all;
    for (int t = 0; t < 8; ++t) {
      all.rows[t] = 16;
      all.row_bytes[t] = 64;
    }
    tiles_begin(all);
  }
  SCF_INLINE void end() { tiles_end(); }
  SCF_INLINE void prepare(TokenTile&, int) {}

  /// sums[t] += panel x tiles[t], of `units` blocks of 256.
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int units, TileSums* sums) {
    int t = 0;
    for (; t + 2 <= count; t += 2) some<2>(panel, tiles + t, units, sums + t);
    if (t < count) some<1>(panel, tiles + t, units, sums + t);
  }

private:
  // Tiles 0-3: sums of row half h and tile t in 2h + t; 4, 5: weights; 6, 7: activations.
  template <int T> SCF_INLINE void dot_256(const Panel& panel, const TokenTile* x, int u, std::int32_t (*out)[256]) {
    tile_zero<0>();
    tile_zero<2>();
    if constexpr (T == 2) {
      tile_zero<1>();
      tile_zero<3>();
    }
    for (int i = 4 * u; i < 4 * u + 4; ++i) {
      tile_load<4>(panel.codes[i][0], 64);
      tile_load<6>(x[0].codes[16 * i], 64);
      tile_dot<0, 4, 6>();
      tile_load<5>(panel.codes[i][16], 64);
      tile_dot<2, 5, 6>();
      if constexpr (T == 2) {
        tile_load<7>(x[1].codes[16 * i], 64);
        tile_dot<1, 4, 7>();
        tile_dot<3, 5, 7>();
      }
    }
    tile_store<0>(out[0], 64);
    tile_store<2>(out[2], 64);
    if constexpr (T == 2) {
      tile_store<1>(out[1], 64);
      tile_store<3>(out[3], 64);
    }
  }
  template <int T>
  SCF_INLINE void add(const Panel& panel, const TokenTile* x, int u, const std::int32_t (*in)[256], TileSums* sums) {
    for (int t = 0; t < T; ++t) {
      const F16 scale = load_as<F16>(x[t].scale[u]);
      for (int half = 0; half < 2; ++half)
#pragma GCC unroll 16
        for (int r = 0; r < 16; ++r) {
          float* sum = sums[t].sum[16 * half + r];
          const F16 v = __builtin_convertvector(load_as<I16>(in[2 * half + t] + 16 * r), F16);
          store_as(sum, load_as<F16>(sum) + v * (scale * panel.scale[u][16 * half + r]));
        }
    }
  }
  template <int T> SCF_INLINE void some(const Panel& panel, const TokenTile* x, int units, TileSums* sums) {
    alignas(64) std::int32_t buffer[2][4][256];
    dot_256<T>(panel, x, 0, buffer[0]);
    for (int u = 0; u < units; ++u) {
      if (u + 1 < units) dot_256<T>(panel, x, u + 1, buffer[(u + 1) % 2]);
      add<T>(panel, x, u, buffer[u % 2], sums);
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
