// 32 rows x 32 or 16 tokens with tile registers: weights are the A operand, activations the B operand. The integer sums
// of 256 elements go through memory to the vector unit. It scales and adds them between the next products, in the same
// stream of instructions: left to themselves the two would take turns, for a tile fills the processor's window. What
// fills it first are loads, 16 for each tile: two by two tiles need one for each product.
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

  /// sums[t] += panel x tiles[t], of `units` blocks of 256; `first`: sums begin with this. Block by block, so that the
  /// weights stay in the first-level cache while all tiles meet them.
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int units, TileSums* sums, bool first,
                       Ahead ahead) {
    alignas(64) std::int32_t buffers[2][4][256];
    Scaling before{};
    int flip = 0;
    const std::int64_t lines = ahead.each(8 * units * count); // in each of the pauses
    for (int u = 0; u < units; ++u)
      for (int t = 0; t < count; t += 2) {
        const int width = lesser(2, count - t);
        const Operands now{panel.codes + 4 * u, {tiles[t].codes + 64 * u, tiles[t + width - 1].codes + 64 * u}};
        width == 2 ? dot_after<2>(now, buffers[flip], before, ahead, lines)
                   : dot_after<1>(now, buffers[flip], before, ahead, lines);
        before = {buffers[flip], panel.scale[u], {tiles[t].scale[u], tiles[t + width - 1].scale[u]},
                  sums + t,      width,          first && u == 0};
        flip ^= 1;
      }
    with_width(before, [&](auto width, auto begins) {
      for (int row = 0; row < k_panel_rows; row += 4) scale<width.n, begins.n != 0, 4>(before, row);
    });
  }

private:
  /// 256 elements of k: weights of 32 rows, activations of one tile or two.
  struct Operands {
    const std::uint8_t (*weights)[k_panel_rows][64];
    const std::int8_t (*tokens[2])[k_tile][4];
  };
  /// Integer sums of 256 elements that are still to be scaled and added.
  struct Scaling {
    const std::int32_t (*integers)[256]; // of 16 rows each, then of the second tile
    const float *of_rows, *of_tokens[2];
    TileSums* sums; // nullptr: nothing
    int width;      // tiles
    bool first;
  };
  template <int N> struct Number { static constexpr int n = N; };

  template <class Body> SCF_INLINE void with_width(const Scaling& s, Body body) {
    if (s.width == 2) return s.first ? body(Number<2>{}, Number<1>{}) : body(Number<2>{}, Number<0>{});
    s.first ? body(Number<1>{}, Number<1>{}) : body(Number<1>{}, Number<0>{});
  }
  /// Products of WIDTH tiles, among them the scaling of what was there before.
  template <int WIDTH>
  static void dot_after(const Operands& now, std::int32_t (*out)[256], const Scaling& before, Ahead& ahead,
                        std::int64_t lines) {
    if (before.sums == nullptr) return dot_256<WIDTH>(now, out, [&](int) { ahead.fetch(lines); });
    with_width(before, [&](auto width, auto begins) {
      constexpr int rows = k_panel_rows / (8 * WIDTH); // in each of the pauses
      dot_256<WIDTH>(now, out, [&](int pause) {
        ahead.fetch(lines);
        scale<width.n, begins.n != 0, rows>(before, rows * pause);
      });
    });
  }

  /// ROWS rows of the 32.
  template <int WIDTH, bool FIRST, int ROWS> SCF_INLINE void scale(const Scaling& s, int row) {
    F16 tokens[WIDTH];
    for (int t = 0; t < WIDTH; ++t) tokens[t] = load_as<F16>(s.of_tokens[t]);
#pragma GCC unroll 4
    for (int r = row; r < row + ROWS; ++r) {
      const F16 of_row = F16{} + s.of_rows[r];
#pragma GCC unroll 2
      for (int t = 0; t < WIDTH; ++t) {
        const std::int32_t* from = s.integers[2 * t + r / 16] + 16 * (r % 16);
        const F16 v = __builtin_convertvector(load_as<I16>(from), F16) * (tokens[t] * of_row);
        float* sum = s.sums[t].sum[r];
        store_as(sum, FIRST ? v : load_as<F16>(sum) + v);
      }
    }
  }

  // Tiles 0 to 3: sums of the two halves of the rows, then with the second tile of tokens. 4, 5: weights. 6, 7: tokens.
  template <int WIDTH, class Pause>
  SCF_INLINE void dot_256(const Operands& now, std::int32_t (*out)[256], Pause pause) {
    tile_zero<0>();
    tile_zero<1>();
    if constexpr (WIDTH == 2) {
      tile_zero<2>();
      tile_zero<3>();
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      int at = 2 * WIDTH * i;
      tile_load<4>(now.weights[i][0], 64);
      tile_load<6>(now.tokens[0][16 * i], 64);
      tile_dot<0, 4, 6>();
      pause(at++);
      tile_load<5>(now.weights[i][16], 64);
      tile_dot<1, 5, 6>();
      pause(at++);
      if constexpr (WIDTH == 2) {
        tile_load<7>(now.tokens[1][16 * i], 64);
        tile_dot<2, 4, 7>();
        pause(at++);
        tile_dot<3, 5, 7>();
        pause(at++);
      }
    }
    tile_store<0>(out[0], 64);
    tile_store<1>(out[1], 64);
    if constexpr (WIDTH == 2) {
      tile_store<2>(out[2], 64);
      tile_store<3>(out[3], 64);
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
