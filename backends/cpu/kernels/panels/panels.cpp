// y = x . w of many quantised tokens. Up to 512 tokens are packed for k_chunk elements of k and meet one panel of 32
// weight rows after the other, each unpacked once for all of them; a block of panels keeps its sums until k ends.
#include "kernels/panels/products.hpp"

#include SCF_PANEL_SET

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// 32 rows x 16 tokens into y; what lies outside is left out.
SCF_INLINE void write(const TileSums& sums, const GemmArgs& a, std::int64_t row, std::int64_t token, std::int64_t end) {
  alignas(64) float by_token[2][k_tile][16];
  for (int half = 0; half < 2; ++half) transpose_words([&](int r) { return sums.sum[16 * half + r]; }, by_token[half]);
  const std::int64_t rows = lesser<std::int64_t>(k_panel_rows, a.rows - row);
  const std::int64_t tokens = lesser<std::int64_t>(k_tile, end - token);
  for (std::int64_t t = 0; t < tokens; ++t) {
    float* y = a.y + (a.y_row != nullptr ? a.y_row[token + t] : token + t) * a.y_stride + row;
    if (rows == k_panel_rows && a.stream && reinterpret_cast<std::uintptr_t>(y) % 64 == 0) {
      for (int half = 0; half < 2; ++half) stream(y + 16 * half, load_as<F16>(by_token[half][t]));
    } else if (rows == k_panel_rows) {
      for (int half = 0; half < 2; ++half) store_as(y + 16 * half, load_as<F16>(by_token[half][t]));
    } else {
      for (std::int64_t r = 0; r < rows; ++r) y[r] = by_token[r / 16][t][r % 16];
    }
  }
}

/// A chunk of k of the tokens from `first`, of those before `end`.
template <class Fmt>
void pack_chunk(TokenTile& out, const GemmArgs& a, std::int64_t first, std::int64_t end, std::int64_t begin) {
  const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin));
  const int count = static_cast<int>(lesser<std::int64_t>(k_tile, end - first));
  pack_tokens<typename OwnFill<Fmt>::Order>(out, a, first, count, begin, n);
  Micro::prepare(out, (n + 255) / 256);
}
/// Where the tiles of a chunk of k begin that have come packed.
SCF_INLINE const TokenTile* packed_tiles(const GemmArgs& a, std::int64_t token, std::int64_t begin) {
  const std::byte* chunk = a.x + static_cast<std::uint64_t>(begin / k_chunk) * a.x_stride;
  return reinterpret_cast<const TokenTile*>(chunk) + token / k_tile;
}

/// Bytes of so many elements of a row.
template <class Fmt> SCF_INLINE std::uint64_t bytes_of(std::int64_t elems) {
  return static_cast<std::uint64_t>(elems / (32 * Fmt::Out::vectors)) * sizeof(typename Fmt::Block);
}
/// A chunk of k of the panel from `row` of those before `until`; of the first panel's next chunk where there is none.
template <class Fmt>
SCF_INLINE Ahead next_panel(const GemmArgs& a, std::int64_t first, std::int64_t row, std::int64_t until,
                            std::int64_t begin) {
  if (row >= until) {
    row = first;
    begin += k_chunk;
    if (begin >= a.k) return {};
  }
  return {a.w + static_cast<std::uint64_t>(row) * a.w_stride + bytes_of<Fmt>(begin), a.w_stride,
          lesser<std::int64_t>(k_panel_rows, until - row),
          lines_of(bytes_of<Fmt>(lesser<std::int64_t>(k_chunk, a.k - begin)))};
}

/// Rows [row, until) for the tokens [token, end).
template <class Fmt>
void multiply_block(const GemmArgs& a, const PanelScratch& scratch, std::int64_t row, std::int64_t until,
                    std::int64_t token, std::int64_t end) {
  const int tiles = static_cast<int>((end - token + k_tile - 1) / k_tile);
  const bool one_chunk = a.k <= k_chunk; // then a panel's sums are written at once
  for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
    const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin)), units = (n + 255) / 256;
    const TokenTile* x = a.packed ? packed_tiles(a, token, begin) : scratch.tiles;
    for (int t = 0; t < tiles && !a.packed; ++t) pack_chunk<Fmt>(scratch.tiles[t], a, token + k_tile * t, end, begin);
    TileSums* sums = scratch.sums;
    for (std::int64_t r = row; r < until; r += k_panel_rows) {
      fill_panel<Fmt>(*scratch.panel, a, r, begin, n, Micro::biased);
      Micro::multiply(*scratch.panel, x, tiles, units, sums, begin == 0,
                      next_panel<Fmt>(a, row, r + k_panel_rows, until, begin));
      if (begin + n == a.k)
        for (int t = 0; t < tiles; ++t) write(sums[t], a, r, token + k_tile * t, end);
      if (!one_chunk) sums += tiles;
    }
  }
}

/// Of 32 rows, one behind the other, as large a part as [begin, end) is of k.
SCF_INLINE Ahead share_of_rows(const std::byte* rows, const GemmArgs& a, std::int64_t begin, std::int64_t end) {
  if (rows == nullptr) return {};
  const auto bytes = [&](std::int64_t k) {
    return k_panel_rows * a.w_stride * static_cast<std::uint64_t>(k) / static_cast<std::uint64_t>(a.k);
  };
  return {rows + bytes(begin), 0, 1, lines_of(bytes(end) - bytes(begin))};
}

/// All rows for tokens of which all of k fits a second-level cache: weights are read from one end to the other, and
/// then those at `after`, if any.
template <class Fmt>
void multiply_rows(const GemmArgs& a, const PanelScratch& scratch, const TokenTile* x, const std::byte* after) {
  const int tiles = static_cast<int>((a.tokens + k_tile - 1) / k_tile);
  for (std::int64_t r = 0; r < a.rows; r += k_panel_rows) {
    const std::int64_t coming = r + k_panel_rows;
    const std::byte* next = coming < a.rows ? a.w + static_cast<std::uint64_t>(coming) * a.w_stride : after;
    for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
      const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin));
      const TokenTile* of_chunk = a.packed ? packed_tiles(a, 0, begin) : x + begin / k_chunk * tiles;
      fill_panel<Fmt>(*scratch.panel, a, r, begin, n, Micro::biased);
      Micro::multiply(*scratch.panel, of_chunk, tiles, (n + 255) / 256, scratch.sums, begin == 0,
                      share_of_rows(next, a, begin, begin + n));
    }
    for (int t = 0; t < tiles; ++t) write(scratch.sums[t], a, r, k_tile * t, a.tokens);
  }
}

SCF_INLINE GemmArgs second_of(GemmArgs a) {
  a.w = a.w2;
  a.y = a.y2;
  return a;
}

template <class Fmt> void multiply_few(const GemmArgs& a, const PanelScratch& scratch) {
  TokenTile* tile = scratch.tiles;
  for (std::int64_t begin = 0; begin < a.k && !a.packed; begin += k_chunk)
    for (std::int64_t t = 0; t < a.tokens; t += k_tile) pack_chunk<Fmt>(*tile++, a, t, a.tokens, begin);
  multiply_rows<Fmt>(a, scratch, scratch.tiles, a.w2);
  if (a.w2 != nullptr) multiply_rows<Fmt>(second_of(a), scratch, scratch.tiles, nullptr);
}

template <class Fmt> void multiply_many(const GemmArgs& a, const PanelScratch& scratch) {
  const std::int64_t tiles = group_tiles(a.tokens), tokens = tiles * k_tile;
  const std::int64_t rows = a.k <= k_chunk ? a.rows : block_rows(tiles);
  for (std::int64_t token = 0; token < a.tokens; token += tokens)
    for (std::int64_t row = 0; row < a.rows; row += rows)
      multiply_block<Fmt>(a, scratch, row, lesser(a.rows, row + rows), token, lesser(a.tokens, token + tokens));
}

template <class Fmt> void multiply(const GemmArgs& a) {
  const PanelScratch scratch = panel_scratch(a.scratch, a.tokens);
  Micro::begin();
  if (few_tiles(a.tokens, a.k)) {
    multiply_few<Fmt>(a, scratch);
  } else {
    multiply_many<Fmt>(a, scratch);
    if (a.w2 != nullptr) multiply_many<Fmt>(second_of(a), scratch);
  }
  Micro::end();
  if (a.stream) settle_streams();
}

template <class Fmt> void pack(const PackArgs& a) {
  GemmArgs rows{};
  rows.x = a.x;
  rows.x_stride = a.x_stride;
  rows.x_row = a.x_row;
  rows.k = a.k;
  for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
    auto* tile = reinterpret_cast<TokenTile*>(a.out + static_cast<std::uint64_t>(begin / k_chunk) * a.out_stride);
    pack_chunk<Fmt>(*tile, rows, 0, a.tokens, begin);
  }
}

/// body(format) with the struct of a block format.
template <class Body> void with_format(DType dtype, Body body) {
  switch (dtype) {
  case DType::q8_0: return body(FormatQ8_0{});
  case DType::mxfp4: return body(FormatMXFP4{});
  case DType::q2_k: return body(FormatQ2_K{});
  case DType::q3_k: return body(FormatQ3_K{});
  case DType::q4_k: return body(FormatQ4_K{});
  case DType::q5_k: return body(FormatQ5_K{});
  case DType::q6_k: return body(FormatQ6_K{});
  case DType::iq2_xxs: return body(FormatIQ2_XXS{});
  default: __builtin_unreachable(); // no other format has blocks
  }
}

} // namespace

void gemm_panels(DType dtype, const GemmArgs& a) {
  with_format(dtype, [&](auto format) { multiply<decltype(format)>(a); });
}
void pack_panels(DType dtype, const PackArgs& a) {
  with_format(dtype, [&](auto format) { pack<decltype(format)>(a); });
}

std::uint64_t panels_scratch(std::int64_t tokens) { return panel_scratch(nullptr, tokens).bytes; }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
