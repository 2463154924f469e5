// Operands of the products of many tokens, as both the integer dot products (micro_vnni.hpp) and the tile registers
// (micro_amx.hpp) read them.
//
// Weights of every format become bytes with one scale per 256 elements of a row, whatever scales and minima their own
// sub-blocks have, so that sums stay integers for 256 elements: what that rounds away is about 1/250 of the largest of
// 256 weights, far below what the formats themselves round away. Activations: int8 with one scale per 256 (Act::q8_k),
// in tiles of 16 tokens in which the token is the lane and a lane holds four of the panel's neighbours. A result is 32
// rows x some tiles, and nothing is moved across lanes before the end of k.
//
// Within a block of 256 k may stand in another order, the same in panel and tile: as unpacking leaves it (Order). To
// bring activations into it costs little, for a tile meets many panels.
#pragma once

#include "kernels/tile_vectors.hpp"
#include "kernels/units.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

inline constexpr int k_panel_rows = 32, k_tile = 16; // rows of weights, tokens
inline constexpr int k_chunk = 1024;                 // elements of k at once: a panel fits a first-level cache
inline constexpr int k_units = k_chunk / 256;
inline constexpr int k_group_tiles = 32; // tiles packed at once, at most: with their sums they fit a second-level cache
inline constexpr int k_block_sums = 256; // panels that meet them before the next chunk of k, times tiles, at most,
inline constexpr int k_block_panels = 64; // and panels alone

/// 32 rows x k_chunk weights: value = scale * code, or code - 128 where the product wants unsigned bytes.
struct Panel {
  alignas(64) std::uint8_t codes[k_chunk / 64][k_panel_rows][64];
  alignas(64) float scale[k_units][k_panel_rows];
};

/// k_chunk elements of 16 tokens.
struct TokenTile {
  alignas(64) std::int8_t codes[k_chunk / 4][k_tile][4];
  alignas(64) float scale[k_units][k_tile];
  alignas(64) std::int32_t start[k_units][k_tile]; // what sums of biased codes begin with
};

static_assert(sizeof(TokenTile) == k_packed_bytes && k_tile == k_packed_tokens && k_chunk == k_packed_k);

/// Sums of a panel and a tile.
struct TileSums {
  alignas(64) float sum[k_panel_rows][k_tile];
};

/// Tiles packed at once for products of so many tokens: as many for each group.
SCF_INLINE std::int64_t group_tiles(std::int64_t tokens) {
  const std::int64_t tiles = (tokens + k_tile - 1) / k_tile, groups = (tiles + k_group_tiles - 1) / k_group_tiles;
  return (tiles + groups - 1) / groups;
}
/// Tiles of all of k that are packed at once where tokens are few.
inline constexpr std::int64_t k_few_tiles = 32;
SCF_INLINE bool few_tiles(std::int64_t tokens, std::int64_t k) {
  return (tokens + k_tile - 1) / k_tile * ((k + k_chunk - 1) / k_chunk) <= k_few_tiles;
}
/// A worker's scratch for products of so many tokens or fewer.
struct PanelScratch {
  Panel* panels;    // two: products with one, the next one being unpacked
  TokenTile* tiles; // k_group_tiles or, of all of k, k_few_tiles
  TileSums* sums;   // [panels of a block][tiles]
  std::uint64_t bytes;
};
SCF_INLINE PanelScratch panel_scratch(std::byte* base, std::int64_t tokens) {
  const auto tiles = lesser<std::int64_t>((tokens + k_tile - 1) / k_tile, k_group_tiles);
  const auto sums = static_cast<std::uint64_t>(lesser<std::int64_t>(k_block_sums, tiles * k_block_panels));
  const std::uint64_t at_sums = 2 * sizeof(Panel) + std::uint64_t{k_few_tiles} * sizeof(TokenTile);
  static_assert(k_few_tiles >= k_group_tiles);
  return {reinterpret_cast<Panel*>(base), reinterpret_cast<TokenTile*>(base + 2 * sizeof(Panel)),
          reinterpret_cast<TileSums*>(base + at_sums), at_sums + sums * sizeof(TileSums)};
}
/// Rows of weights that meet the packed tiles before the next chunk of k.
SCF_INLINE std::int64_t block_rows(std::int64_t tiles) {
  return lesser<std::int64_t>(k_block_panels, k_block_sums / tiles) * k_panel_rows;
}

/// What is done between products: the tile unit and the vector unit work side by side only if what they do stands side
/// by side. Nothing, if all is empty.
struct Beside {
  /// Unpacks rows [row, row + k_rows_beside) of the next panel; rows come in order.
  void (*unpack)(void* panel, int row) = nullptr;
  void* panel = nullptr;
  /// Lines of weights to bring near, for a core waits for too few at once to do it only when it unpacks them. They come
  /// in runs of `run` lines, `stride` bytes apart; from run to run it is `step` bytes.
  const std::byte* near = nullptr;
  std::uint64_t stride = 0, step = 0;
  int lines = 0, run = 0;
};
inline constexpr int k_rows_together = 8, k_rows_beside = 4; // prepared, then unpacked together

/// Lines of a run.
struct Lines {
  const std::byte* first;
  std::uint64_t stride;
  int count;

  SCF_INLINE void fetch(const std::byte* line) { __builtin_prefetch(line, 0, 2); }
};
/// Goes through the lines that are brought near.
class LineWalk {
public:
  explicit LineWalk(const Beside& beside) : of_(beside), run_(beside.near) {}
  /// Those before line `until` that are left, as far as their run goes: later calls make up for the others.
  [[gnu::always_inline]] Lines next(int until) {
    const Lines lines{run_ + of_.stride * static_cast<unsigned>(at_), of_.stride, lesser(until - done_, of_.run - at_)};
    done_ += lines.count;
    at_ += lines.count;
    if (at_ == of_.run) {
      at_ = 0;
      run_ += of_.step;
    }
    return lines;
  }

private:
  const Beside& of_;
  const std::byte* run_;
  int at_ = 0, done_ = 0; // in the run; of all lines
};
SCF_INLINE int lines_of(std::uint64_t bytes) { return static_cast<int>((bytes + 63) / 64); }

// ---- weights --------------------------------------------------------------------------------------------------------

typedef std::int16_t W16 __attribute__((vector_size(32)));
typedef std::int16_t W32 __attribute__((vector_size(64))); // 64 codes, two to a word
typedef std::uint16_t UW32 __attribute__((vector_size(64)));

SCF_INLINE W32 join_codes(B a, B b) {
  return (W32)__builtin_shufflevector((W16)a, (W16)b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
                                      19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}

/// 256 weights as (code * factor + offset) / 256 in units of `scale`, per sub-block.
template <class Out> struct Recipe {
  static constexpr int subs = Unit<Out>::subs;
  alignas(32) std::int16_t factor[subs], offset[subs];
  float scale;
};

/// The largest |scale * code - min| becomes 127. `top`: the largest code.
template <class Out> SCF_INLINE Recipe<Out> recipe_for(const float* scale, const float* min, float top) {
  constexpr int subs = Recipe<Out>::subs;
  const Extent extent = extent_of<Out>(scale, min, top);
  Recipe<Out> recipe;
  recipe.scale = extent.largest * (1 / 127.0f) + extent.poison;
  const F8 inverse = set8(extent.largest > 0 ? 127.0f * 256.0f / extent.largest : 0.0f);
  typedef std::int16_t Shorts __attribute__((vector_size(16)));
  for (int i = 0; i < subs; i += 8) {
    store_as(recipe.factor + i, __builtin_convertvector(round8(load8(scale + i) * inverse), Shorts));
    const F8 m = Out::has_min ? load8(min + i) : F8{};
    store_as(recipe.offset + i, __builtin_convertvector(round8(set8(128.0f) - m * inverse), Shorts));
  }
  return recipe;
}

/// A word per two codes of 64, from one per sub-block.
template <int SUB> SCF_INLINE W32 spread(const std::int16_t* v) {
  const auto half = [&](int i) {
    if constexpr (SUB == 32) return W16{} + v[i];
    const W16 a = W16{} + v[2 * i], b = W16{} + v[2 * i + 1];
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31);
  };
  return join_codes((B)half(0), (B)half(1));
}

/// Codes 64 i ... of the 256. Words may wrap on the way, the results fit.
template <class Out> SCF_INLINE U16 requantise(B first, B second, const Recipe<Out>& recipe, int i) {
  constexpr int per_64 = 64 / Out::sub;
  const auto factor = (UW32)spread<Out::sub>(recipe.factor + i * per_64);
  const auto offset = (UW32)spread<Out::sub>(recipe.offset + i * per_64);
  const auto codes = (UW32)join_codes(first, second);
  const UW32 even = Out::is_signed ? (UW32)((W32)(codes << 8) >> 8) : codes & 255;
  const UW32 odd = Out::is_signed ? (UW32)((W32)codes >> 8) : codes >> 8;
  return (U16)((even * factor + offset) >> 8 | ((odd * factor + offset) & 0xff00));
}

/// n elements (256 at most) at `block` into 64-byte pieces `out[i][...]`.
template <class Fmt>
SCF_INLINE float fill_unit(const typename Fmt::Block* block, int n, std::uint8_t* out, std::uint32_t flip) {
  using Out = typename Fmt::Out;
  Unit<Out> unit;
  unpack_unit<Fmt>(block, n, unit);
  const Recipe<Out> recipe = recipe_for<Out>(unit.scale, unit.min, static_cast<float>(Fmt::top));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    store_as(out + i * k_panel_rows * 64, requantise(unit.codes[2 * i], unit.codes[2 * i + 1], recipe, i) ^ flip);
  return recipe.scale;
}

/// Orders say how the 256 codes of a block become the four pieces of 64 in which panels have them. This one: 32 from
/// AT[2i] and 32 from AT[2i+1] are piece i.
template <int... AT> struct Halves {
  /// The first `used` pieces of token t.
  SCF_INLINE void arrange(const std::byte* codes, int used, U16 (&pieces)[4][k_tile], int t) {
    constexpr int at[8] = {AT...};
    for (int i = 0; i < used; ++i)
      pieces[i][t] = (U16)join_codes(load_b(codes + at[2 * i]), load_b(codes + at[2 * i + 1]));
  }
};
using PlainOrder = Halves<0, 32, 64, 96, 128, 160, 192, 224>;

/// Specialised where a set fills a panel from whole blocks of a format in a way, and an order, of its own: n elements,
/// a multiple of 256. First comes, for several rows, what all weights of a row wait for, the scales too: alone that
/// takes long, and the processor does not look far enough ahead to begin the next row.
template <class Fmt> struct OwnFill {
  static constexpr bool exists = false;
  using Order = PlainOrder;
  struct Prepared {};
  /// Rows [r, r + k_rows_together).
  static void prepare(Panel&, int, const typename Fmt::Block* const*, int, Prepared*) {}
  static void row(Panel&, int, const typename Fmt::Block*, int, const Prepared&, std::uint32_t) {}
};

/// Unpacks n elements from `begin` of 32 rows from `row`; rows from a.rows on are the last one again, and
/// not written later.
template <class Fmt, bool BIASED> class PanelFill {
public:
  void begin(Panel& panel, const GemmArgs& a, std::int64_t row, std::int64_t begin, int n) {
    source_ = {&panel,
               a.w + static_cast<std::uint64_t>(begin / k_elems) * sizeof(Block),
               a.w_stride,
               row,
               a.rows - 1,
               n,
               OwnFill<Fmt>::exists && n % 256 == 0};
  }
  void all() {
    for (int r = 0; r < k_panel_rows; r += k_rows_together) rows<k_rows_together>(r);
  }
  /// Rows [r, r + k_rows_beside). Rows come in order.
  void unpack(int r) { rows<k_rows_beside>(r); }

private:
  using Block = typename Fmt::Block;
  static constexpr int k_elems = 32 * Fmt::Out::vectors;
  static constexpr std::uint32_t flip = BIASED ? 0x80808080u : 0u;

  /// As many as are prepared together.
  struct Rows {
    const Block* block[k_rows_together];
    typename OwnFill<Fmt>::Prepared prepared[k_rows_together];
  };
  struct Source {
    Panel* panel;
    const std::byte* w; // `begin` of row 0
    std::uint64_t stride;
    std::int64_t row, last;
    int n;
    bool own;

    [[gnu::always_inline]] void unpack_any(int r, const Block* block) const {
      for (int u = 0; u < (n + 255) / 256; ++u)
        panel->scale[u][r] =
            fill_unit<Fmt>(block + u * (256 / k_elems), lesser(256, n - 256 * u), panel->codes[4 * u][r], flip);
    }
    [[gnu::always_inline]] void prepare(int r, Rows& rows) const {
      for (int i = 0; i < k_rows_together; ++i)
        rows.block[i] =
            reinterpret_cast<const Block*>(w + static_cast<std::uint64_t>(lesser(row + r + i, last)) * stride);
      if (own) OwnFill<Fmt>::prepare(*panel, r, rows.block, n, rows.prepared);
    }
  };

  template <int COUNT> void rows(int r) {
    const Source from = source_; // in registers: what is written might change anything else
    const int at = r % k_rows_together;
    if (at == 0) from.prepare(r, rows_);
    if (from.own) {
      for (int i = 0; i < COUNT; ++i)
        OwnFill<Fmt>::row(*from.panel, r + i, rows_.block[at + i], from.n, rows_.prepared[at + i], flip);
    } else {
      for (int i = 0; i < COUNT; ++i) from.unpack_any(r + i, rows_.block[at + i]);
    }
  }

  Source source_{};
  Rows rows_;
};

// ---- activations ----------------------------------------------------------------------------------------------------

/// n elements from `begin`, a multiple of 256, of tokens [first, first + count) into their place in the chunk; the
/// tokens that a tile lacks are the first one again, and their results are not written. Beyond n, up to whole blocks of
/// 256, all is zero.
template <class Order>
SCF_INLINE void pack_tokens(TokenTile& out, const GemmArgs& a, std::int64_t first, int count, std::int64_t begin,
                            int n) {
  const auto unit = static_cast<int>(begin % k_chunk / 256);
  const std::byte* row[k_tile];
  for (int t = 0; t < k_tile; ++t) {
    const std::int64_t token = first + (t < count ? t : 0);
    row[t] = a.x + static_cast<std::uint64_t>(a.x_row != nullptr ? a.x_row[token] : token) * a.x_stride + begin;
  }
  const int units = (n + 255) / 256;
  for (int u = 0; u < units; ++u) {
    U16 pieces[4][k_tile];
    const int used = lesser(4, (n - 256 * u + 63) / 64); // a row's codes are padded to whole lines
    for (int t = 0; t < k_tile; ++t) Order::arrange(row[t] + 256 * u, used, pieces, t);
    for (int i = 0; i < used; ++i) transpose_vectors(pieces[i], out.codes[64 * (unit + u) + 16 * i]);
  }
  __builtin_memset(out.codes[64 * unit + n / 4], 0, static_cast<std::size_t>(64 * units - n / 4) * sizeof out.codes[0]);
  const std::uint64_t scales = act_layout(Act::q8_k, a.k).scales + static_cast<std::uint64_t>(begin) / 256 * 4;
  for (int u = 0; u < units; ++u)
    for (int t = 0; t < k_tile; ++t)
      __builtin_memcpy(&out.scale[unit + u][t], row[t] - begin + scales + 4 * static_cast<std::uint64_t>(u), 4);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
