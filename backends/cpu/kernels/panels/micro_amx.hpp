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
    const int steps = units * ((count + 1) / 2);
    Block before{};
    int step = 0;
    for (int u = 0; u < units; ++u)
      for (int t = 0; t < count; t += 2, ++step) {
        const int width = lesser(2, count - t);
        const TokenTile &a = tiles[t], &b = tiles[t + width - 1];
        const Block now{panel.codes[4 * u][0], {a.codes[64 * u][0], b.codes[64 * u][0]},
                        panel.scale[u],        {a.scale[u], b.scale[u]},
                        sums[t].sum[0],        width,
                        first && u == 0};
        const Share share = share_of(beside, step, steps);
        width == 2 ? after<2>(now, before, integers, share) : after<1>(now, before, integers, share);
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
  /// Of what is done beside, with one block.
  struct Share {
    void (*unpack)(void*, int) = nullptr;
    void* panel = nullptr;
    int row = 0, rows = 0;
    const std::byte* near = nullptr; // a column of lines
    std::int64_t stride = 0;
    bool any() const { return rows > 0 || near != nullptr; }
  };
  SCF_INLINE Share share_of(const Beside& beside, int step, int steps) {
    Share share{beside.unpack, beside.panel};
    if (beside.unpack != nullptr) {
      share.row = k_panel_rows * step / steps;
      share.rows = k_panel_rows * (step + 1) / steps - share.row;
    }
    int column = beside.columns * step / steps;
    const int end = beside.columns * (step + 1) / steps;
    for (; column + 1 < end; ++column) beside.fetch_column(column);
    if (column < end) {
      share.near = beside.near + beside.step * static_cast<unsigned>(column);
      share.stride = static_cast<std::int64_t>(beside.stride);
    }
    return share;
  }

  /// Products of a block of WIDTH tiles, or none, among them the scaling of the block before.
  template <int WIDTH>
  SCF_INLINE void after(const Block& now, const Block& before, std::int32_t* integers, const Share& share) {
    if (before.width == 2)
      return before.first ? beside<WIDTH, 2, true>(now, before, integers, share)
                          : beside<WIDTH, 2, false>(now, before, integers, share);
    if (before.width == 1)
      return before.first ? beside<WIDTH, 1, true>(now, before, integers, share)
                          : beside<WIDTH, 1, false>(now, before, integers, share);
    beside<WIDTH, 0, false>(now, before, integers, share);
  }
  template <int WIDTH, int BEFORE, bool FIRST>
  SCF_INLINE void beside(const Block& now, const Block& before, std::int32_t* integers, const Share& share) {
    share.any() ? products<WIDTH, BEFORE, FIRST, true>(now, before, integers, share)
                : products<WIDTH, BEFORE, FIRST, false>(now, before, integers, share);
  }

  SCF_INLINE F16 everywhere(float v) { return F16{v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}; }

  // What it reads again and again it has in locals: the tiles' instructions might change anything else.
  // Tiles 0 to 3: sums of the two halves of the rows, then with the second tile of tokens. 4, 5: weights. 6, 7: tokens.
  template <int WIDTH, int BEFORE, bool FIRST, bool BESIDE>
  [[gnu::noinline]] static void products(const Block& now, const Block& before, std::int32_t* integers,
                                         const Share& share) {
    constexpr int pauses = 2 * WIDTH * k_pieces, rows = k_panel_rows / (WIDTH == 0 ? 1 : pauses);
    const float* of_rows = before.of_rows;
    float* sums = before.sums;
    F16 of_tokens[2] = {};
    for (int t = 0; t < BEFORE; ++t) of_tokens[t] = load_as<F16>(before.of_tokens[t]);
    const auto scale = [&](int r) __attribute__((always_inline)) {
      if (BEFORE == 0) return;
      const F16 of_row = everywhere(of_rows[r]);
#pragma GCC unroll 2
      for (int t = 0; t < BEFORE; ++t) {
        const I16 whole = load_as<I16>(integers + k_tile_integers * t + k_tile * r);
        const F16 v = __builtin_convertvector(whole, F16) * (of_tokens[t] * of_row);
        float* sum = sums + k_tile_sums * t + k_tile * r;
        store_as(sum, FIRST ? v : load_as<F16>(sum) + v);
      }
    };
    if constexpr (WIDTH == 0) {
      for (int r = 0; r < k_panel_rows; ++r) scale(r);
    } else {
      const std::uint8_t* weights = now.weights;
      const std::int8_t *tokens = now.tokens[0], *others = now.tokens[1];
      const std::byte* near = share.near != nullptr ? share.near : reinterpret_cast<const std::byte*>(weights);
      const std::int64_t stride = share.stride;
      int row = share.row;
      const auto pause = [&](int at) __attribute__((always_inline)) {
        if constexpr (BESIDE) {
#pragma GCC unroll 4
          for (int i = 0; i < k_panel_rows / pauses; ++i, near += stride) Beside::fetch(near);
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
        tile_load<6>(tokens + 64 * k_tile * i, 64);
        tile_dot<0, 4, 6>();
        pause(at++);
        tile_load<5>(weights + 64 * (k_panel_rows * i + 16), 64);
        tile_dot<1, 5, 6>();
        pause(at++);
        if constexpr (WIDTH == 2) {
          tile_load<7>(others + 64 * k_tile * i, 64);
          tile_dot<2, 4, 7>();
          pause(at++);
          tile_dot<3, 5, 7>();
          pause(at++);
        }
        if constexpr (BESIDE)
          for (const int end = share.row + share.rows * (i + 1) / k_pieces; row < end; ++row)
            share.unpack(share.panel, row);
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
