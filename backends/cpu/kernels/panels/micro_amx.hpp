// 32 rows x 16 tokens with tile registers: weights are the A operand, activations the B operand. The integer sums of
// 256 elements go through memory to the vector unit. It scales and adds them between the next products, in the same
// stream of instructions: left to themselves the two would take turns, for a tile fills the processor's window.
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
  static void multiply(const Panel& panel, const TokenTile* tiles, int count, int units, TileSums* sums, bool first) {
    alignas(64) std::int32_t buffers[2][2][256];
    load<2>(panel.codes[0], tiles[0].codes);
    Scaling before{};
    int flip = 0;
    for (int u = 0; u < units; ++u)
      for (int t = 0; t < count; ++t) {
        const bool wraps = t + 1 == count, ends = wraps && u + 1 == units;
        const int next_u = wraps && !ends ? u + 1 : u; // at the end: anything
        const Operands now{panel.codes + 4 * u, tiles[t].codes + 64 * u};
        const Operands next{panel.codes + 4 * next_u, tiles[wraps ? 0 : t + 1].codes + 64 * next_u};
        const TileSums* coming = sums + (wraps ? 0 : t + 1);
        if (before.sums == nullptr) {
          dot_256(now, next, buffers[flip], [&](int part) { fetch(next, coming, part); });
        } else if (before.first) {
          dot_256(now, next, buffers[flip], [&](int part) {
            fetch(next, coming, part);
            scale<true>(before, part);
          });
        } else {
          dot_256(now, next, buffers[flip], [&](int part) {
            fetch(next, coming, part);
            scale<false>(before, part);
          });
        }
        before = {buffers[flip], panel.scale[u], tiles[t].scale[u], sums + t, first && u == 0};
        flip ^= 1;
      }
    for (int part = 0; part < 8; ++part) before.first ? scale<true>(before, part) : scale<false>(before, part);
  }

private:
  /// 64 elements of k: weights of 32 rows, activations.
  struct Operands {
    const std::uint8_t (*weights)[k_panel_rows][64];
    const std::int8_t (*tokens)[k_tile][4];
  };
  /// Integer sums of 256 elements that are still to be scaled and added.
  struct Scaling {
    const std::int32_t (*integers)[256]; // of 16 rows each
    const float *of_rows, *of_tokens;
    TileSums* sums; // nullptr: nothing
    bool first;
  };

  /// An eighth of the tokens and sums of the next products: a tile's lines come one by one if they are not at hand.
  SCF_INLINE void fetch(const Operands& next, const TileSums* sums, int part) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) __builtin_prefetch(next.tokens[8 * part + i]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) __builtin_prefetch(sums->sum[4 * part + i], 1);
  }

  /// Four rows of the 32.
  template <bool FIRST> SCF_INLINE void scale(const Scaling& s, int part) {
    const F16 tokens = load_as<F16>(s.of_tokens);
#pragma GCC unroll 4
    for (int r = 4 * part; r < 4 * part + 4; ++r) {
      const F16 v =
          __builtin_convertvector(load_as<I16>(s.integers[r / 16] + 16 * (r % 16)), F16) * (tokens * s.of_rows[r]);
      float* sum = s.sums->sum[r];
      store_as(sum, FIRST ? v : load_as<F16>(sum) + v);
    }
  }

  // Tiles 0, 1: sums of the two halves of the rows. 2, 3, 4: weights, weights, activations of even steps; 5, 6, 7: of
  // odd ones, each loaded one step ahead.
  template <int T> SCF_INLINE void load(const std::uint8_t (&weights)[k_panel_rows][64], const void* tokens) {
    tile_load<T>(weights[0], 64);
    tile_load<T + 1>(weights[16], 64);
    tile_load<T + 2>(tokens, 64);
  }
  template <int NOW, class Between>
  SCF_INLINE void step(const std::uint8_t (&weights)[k_panel_rows][64], const void* tokens, int part, Between between) {
    constexpr int next = 7 - NOW;
    tile_load<next + 2>(tokens, 64);
    tile_load<next>(weights[0], 64);
    tile_dot<0, NOW, NOW + 2>();
    between(part);
    tile_load<next + 1>(weights[16], 64);
    tile_dot<1, NOW + 1, NOW + 2>();
    between(part + 1);
  }
  /// 256 elements, of which the first 64 are loaded; loads the first 64 of `next`.
  template <class Between>
  SCF_INLINE void dot_256(const Operands& now, const Operands& next, std::int32_t (*out)[256], Between between) {
    tile_zero<0>();
    tile_zero<1>();
    step<2>(now.weights[1], now.tokens[16], 0, between);
    step<5>(now.weights[2], now.tokens[32], 2, between);
    step<2>(now.weights[3], now.tokens[48], 4, between);
    step<5>(next.weights[0], next.tokens[0], 6, between);
    tile_store<0>(out[0], 64);
    tile_store<1>(out[1], 64);
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
