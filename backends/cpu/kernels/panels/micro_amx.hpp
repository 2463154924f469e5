// 32 rows x 32 or 16 tokens with tile registers: weights are the A operand, activations the B operand. The integer sums
// of 256 elements go through memory to the vector unit. It scales and adds them between the next products, and unpacks
// the next panel, in the same stream of instructions: left to themselves the two would take turns, for a tile fills the
// processor's window. What fills it first are loads, 16 for each tile: two by two tiles need one for each product.
#pragma once

#include "kernels/panels/panels.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct Micro {
  static constexpr bool biased = false, unpacks_beside = true;

  SCF_INLINE void begin() {
    TileShapes all;
    for (int t = 0; t < 8; ++t) {
      all.rows[t] = 16;
      all.row_bytes[t] = 64;
    }
    tiles_begin(all);
  }
  SCF_INLINE void end() { tiles_end(); }
  SCF_INLINE void prepare(TokenTile&, int, int) {}

  /// sums[t] += panel x tiles[t], of `units` blocks of 256; `first`: sums begin with this. Block by block, so that the
  /// weights stay in the first-level cache while all tiles meet them.
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int units, TileSums* sums, bool first,
                       const Beside& beside) {
    alignas(64) std::int32_t integers[k_integers];
    const int all = units * count;
    const auto part = [&](int of, int blocks) { return of * blocks / all; }; // done beside so many of a tile
    LineWalk walk(beside);
    Block before{};
    int done = 0, rows = 0;
    for (int u = 0; u < units; ++u)
      for (int t = 0; t < count; t += 2) {
        const int width = lesser(2, count - t);
        const TokenTile &a = tiles[t], &b = tiles[t + width - 1];
        const Block now{panel.codes[4 * u][0], {a.codes[64 * u][0], b.codes[64 * u][0]},
                        panel.scale[u],        {a.scale[u], b.scale[u]},
                        sums[t].sum[0],        width,
                        first && u == 0};
        done += width;
        for (const int end = part(k_panel_rows, done); beside.unpack != nullptr && rows + k_rows_beside <= end;
             rows += k_rows_beside)
          beside.unpack(beside.panel, rows);
        const Lines near = walk.next(part(beside.lines, done));
        width == 2 ? after<2>(now, before, integers, near) : after<1>(now, before, integers, near);
        before = now;
      }
    after<0>({}, before, integers, {});
  }

private:
  static constexpr int k_integers =
      4 * 256; // of 16 rows and 16 tokens each: upper and lower rows, then the second tile
  static constexpr int k_tile_integers = 2 * 256, k_tile_sums = k_panel_rows * k_tile;
  static constexpr int k_pieces = 4; // of a block, 64 elements each

  /// 256 elements of k: weights of 32 rows, activations of one tile or two, and where the products go.
  struct Block {
    const std::uint8_t* weights;
    const std::int8_t* tokens[2];
    const float *of_rows, *of_tokens[2];
    float* sums;
    int width; // tiles; 0: none
    bool first;
  };
  /// Products of a block of WIDTH tiles, or none, among them the scaling of the block before.
  template <int WIDTH>
  SCF_INLINE void after(const Block& now, const Block& before, std::int32_t* integers, const Lines& near) {
    if (before.width == 2)
      return before.first ? near_or_not<WIDTH, 2, true>(now, before, integers, near)
                          : near_or_not<WIDTH, 2, false>(now, before, integers, near);
    if (before.width == 1)
      return before.first ? near_or_not<WIDTH, 1, true>(now, before, integers, near)
                          : near_or_not<WIDTH, 1, false>(now, before, integers, near);
    near_or_not<WIDTH, 0, false>(now, before, integers, near);
  }
  template <int WIDTH, int BEFORE, bool FIRST>
  SCF_INLINE void near_or_not(const Block& now, const Block& before, std::int32_t* integers, const Lines& near) {
    near.count > 0 ? products<WIDTH, BEFORE, FIRST, true>(now, before, integers, near)
                   : products<WIDTH, BEFORE, FIRST, false>(now, before, integers, near);
  }

  SCF_INLINE F16 everywhere(float v) { return F16{v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}; }

  // What it reads again and again it has in locals: the tiles' instructions might change anything else.
  // Tiles 0 to 3: sums of the two halves of the rows, then with the second tile of tokens. 4, 5: weights. 6, 7: tokens.
  template <int WIDTH, int BEFORE, bool FIRST, bool NEAR>
  [[gnu::noinline]] static void products(const Block& now, const Block& before, std::int32_t* integers,
                                         const Lines& near) {
    constexpr int pauses = 2 * WIDTH * k_pieces, rows = k_panel_rows / (WIDTH == 0 ? 1 : pauses);
    const float* of_rows = before.of_rows;
    float* sums = before.sums;
    const F16 of_first = BEFORE > 0 ? load_as<F16>(before.of_tokens[0]) : F16{};
    const F16 of_second = BEFORE > 1 ? load_as<F16>(before.of_tokens[1]) : F16{};
    const auto scale_tile = [=](int r, int t, F16 of_token, F16 of_row) __attribute__((always_inline)) {
      const I16 whole = load_as<I16>(integers + k_tile_integers * t + k_tile * r);
      const F16 v = __builtin_convertvector(whole, F16) * (of_token * of_row);
      float* sum = sums + k_tile_sums * t + k_tile * r;
      store_as(sum, FIRST ? v : load_as<F16>(sum) + v);
    };
    const auto scale = [=](int r) __attribute__((always_inline)) {
      if (BEFORE == 0) return;
      const F16 of_row = everywhere(of_rows[r]);
      scale_tile(r, 0, of_first, of_row);
      if (BEFORE == 2) scale_tile(r, 1, of_second, of_row);
    };
    if constexpr (WIDTH == 0) {
      for (int r = 0; r < k_panel_rows; ++r) scale(r);
    } else {
      const std::uint8_t* weights = now.weights;
      const std::int8_t *tokens = now.tokens[0], *others = now.tokens[1];
      const std::byte* line = near.first;
      const std::uint64_t stride = near.stride;
      const int each = near.count / pauses, rest = near.count % pauses;
      const auto pause = [&](int at) __attribute__((always_inline)) {
        if constexpr (NEAR) {
#pragma GCC unroll 1
          for (int i = each + (at < rest ? 1 : 0); i > 0; --i, line += stride) Lines::fetch(line);
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) scale(rows * at + r);
      };
      tile_zero<0>();
      tile_zero<1>();
      if constexpr (WIDTH == 2) {
        tile_zero<2>();
        tile_zero<3>();
      }
#pragma GCC unroll 4
      for (int i = 0; i < k_pieces; ++i) {
        int at = 2 * WIDTH * i;
        tile_load<4>(weights + 64 * k_panel_rows * i, 64);
        tile_load_passing<6>(tokens + 64 * k_tile * i, 64);
        tile_dot<0, 4, 6>();
        pause(at++);
        tile_load<5>(weights + 64 * (k_panel_rows * i + 16), 64);
        tile_dot<1, 5, 6>();
        pause(at++);
        if constexpr (WIDTH == 2) {
          tile_load_passing<7>(others + 64 * k_tile * i, 64);
          tile_dot<2, 4, 7>();
          pause(at++);
          tile_dot<3, 5, 7>();
          pause(at++);
        }
      }
      tile_store<0>(integers, 64);
      tile_store<1>(integers + 256, 64);
      if constexpr (WIDTH == 2) {
        tile_store<2>(integers + k_tile_integers, 64);
        tile_store<3>(integers + k_tile_integers + 256, 64);
      }
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
