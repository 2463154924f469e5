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
    if (rows == k_panel_rows) {
      for (int half = 0; half < 2; ++half) store_as(y + 16 * half, load_as<F16>(by_token[half][t]));
    } else {
      for (std::int64_t r = 0; r < rows; ++r) y[r] = by_token[r / 16][t][r % 16];
    }
  }
}

/// Rows [row, until) for the tokens [token, end).
template <class Fmt>
void multiply_block(const GemmArgs& a, const PanelScratch& scratch, std::int64_t row, std::int64_t until,
                    std::int64_t token, std::int64_t end) {
  const int tiles = static_cast<int>((end - token + k_tile - 1) / k_tile);
  const bool one_chunk = a.k <= k_chunk; // then a panel's sums are written at once
  for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
    const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin)), units = (n + 255) / 256;
    for (int t = 0; t < tiles; ++t) {
      const std::int64_t first = token + k_tile * t;
      const int count = static_cast<int>(lesser<std::int64_t>(k_tile, end - first));
      pack_tokens<typename OwnFill<Fmt>::Order>(scratch.tiles[t], a, first, count, begin, n);
      Micro::prepare(scratch.tiles[t], units);
    }
    TileSums* sums = scratch.sums;
    for (std::int64_t r = row; r < until; r += k_panel_rows) {
      fill_panel<Fmt>(*scratch.panel, a, r, begin, n, Micro::biased);
      Micro::multiply(*scratch.panel, scratch.tiles, tiles, units, sums, begin == 0);
      if (begin + n == a.k)
        for (int t = 0; t < tiles; ++t) write(sums[t], a, r, token + k_tile * t, end);
      if (!one_chunk) sums += tiles;
    }
  }
}

template <class Fmt> void multiply(const GemmArgs& a) {
  const std::int64_t tiles = group_tiles(a.tokens), tokens = tiles * k_tile;
  const std::int64_t rows = a.k <= k_chunk ? a.rows : block_rows(tiles);
  const PanelScratch scratch = panel_scratch(a.scratch, a.tokens);
  Micro::begin();
  for (std::int64_t token = 0; token < a.tokens; token += tokens)
    for (std::int64_t row = 0; row < a.rows; row += rows)
      multiply_block<Fmt>(a, scratch, row, lesser(a.rows, row + rows), token, lesser(a.tokens, token + tokens));
  Micro::end();
}

} // namespace

void gemm_panels(DType dtype, const GemmArgs& a) {
  switch (dtype) {
  case DType::q8_0: return multiply<FormatQ8_0>(a);
  case DType::mxfp4: return multiply<FormatMXFP4>(a);
  case DType::q2_k: return multiply<FormatQ2_K>(a);
  case DType::q3_k: return multiply<FormatQ3_K>(a);
  case DType::q4_k: return multiply<FormatQ4_K>(a);
  case DType::q5_k: return multiply<FormatQ5_K>(a);
  case DType::q6_k: return multiply<FormatQ6_K>(a);
  case DType::iq2_xxs: return multiply<FormatIQ2_XXS>(a);
  default: __builtin_unreachable(); // no other format has blocks
  }
}

std::uint64_t panels_scratch(std::int64_t tokens) { return panel_scratch(nullptr, tokens).bytes; }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
