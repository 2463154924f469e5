// y = x . w of many quantised tokens. Up to 512 tokens are packed for k_chunk elements of k and meet one panel of 32
// weight rows after the other, each unpacked once for all of them; a block of panels keeps its sums until k ends.
#include "kernels/brief.hpp"
#include "kernels/panels/products.hpp"

#include SCF_PANEL_SET

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// The same as f16; rows that lie outside are written too.
SCF_INLINE void write_brief(const float (&by_token)[2][k_tile][16], const GemmArgs& a, std::int64_t row,
                            std::int64_t token, std::int64_t tokens) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t at = (a.y_row != nullptr ? a.y_row[token + t] : token + t) * a.y_stride + row;
    const U16 words = brief_of(load_as<F16>(by_token[0][t]), load_as<F16>(by_token[1][t]));
    stream(a.y + at / 2, reinterpret_cast<F16>(words));
  }
}

/// 32 rows x 16 tokens into y; what lies outside is left out.
SCF_INLINE void write(const TileSums& sums, const GemmArgs& a, std::int64_t row, std::int64_t token, std::int64_t end) {
  alignas(64) float by_token[2][k_tile][16];
  for (int half = 0; half < 2; ++half) transpose_words([&](int r) { return sums.sum[16 * half + r]; }, by_token[half]);
  const std::int64_t rows = lesser<std::int64_t>(k_panel_rows, a.rows - row);
  const std::int64_t tokens = lesser<std::int64_t>(k_tile, end - token);
  if (a.brief) return write_brief(by_token, a, row, token, tokens);
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

/// Elements [begin, until) of a chunk of k of the tokens from `first`, of those before `end`.
template <class Fmt>
void pack_chunk(TokenTile& out, const GemmArgs& a, std::int64_t first, std::int64_t end, std::int64_t begin,
                std::int64_t until) {
  const int n = static_cast<int>(until - begin);
  const int count = static_cast<int>(lesser<std::int64_t>(k_tile, end - first));
  pack_tokens<typename OwnFill<Fmt>::Order>(out, a, first, count, begin, n);
  Micro::prepare(out, static_cast<int>(begin % k_chunk / 256), (n + 255) / 256);
}
/// Where the chunk ends that `begin` lies in.
SCF_INLINE std::int64_t chunk_end(std::int64_t begin, std::int64_t k) {
  return lesser((begin / k_chunk + 1) * k_chunk, k);
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

/// The panels of rows [row, until) in the order in which products take them: all rows of a chunk of k before the next
/// one, or all of k of 32 rows. In the latter case, where tokens are few and unpacking takes half as long as the
/// products, the next is unpacked while products are made with one, if the tile unit makes them. What comes behind is
/// brought near.
template <class Fmt> class PanelLine {
public:
  /// `after`: weights that are read next, of as many rows, or nullptr.
  PanelLine(const GemmArgs& a, const PanelScratch& scratch, std::int64_t row, std::int64_t until, bool rows_first,
            const std::byte* after)
      : a_(a), panels_(scratch.panels), row_(row), after_(after),
        stacks_((until - row + k_panel_rows - 1) / k_panel_rows), chunks_((a.k + k_chunk - 1) / k_chunk),
        rows_first_(rows_first), beside_(Micro::unpacks_beside && rows_first) {}

  /// The next one, ready. What it was made from is near from the call before.
  const Panel& take() {
    if (at_ == 0 || !beside_) {
      begin_fill();
      fill_.all();
    }
    const Panel& panel = buffer(at_++);
    if (beside_ && at_ < count()) begin_fill();
    return panel;
  }
  /// What to do while products are made with what was taken.
  Beside beside() {
    Beside work;
    if (beside_ && at_ < count()) {
      work.unpack = [](void* line, int row) { static_cast<PanelLine*>(line)->fill_.unpack(row); };
      work.panel = this;
    }
    rows_first_ ? fetch_rows(work) : fetch_chunk(work);
    return work;
  }

private:
  std::int64_t count() const { return stacks_ * chunks_; }
  Panel& buffer(std::int64_t i) const { return panels_[beside_ ? i % 2 : 0]; }
  std::int64_t row_of(std::int64_t i) const { return row_ + k_panel_rows * (rows_first_ ? i / chunks_ : i % stacks_); }
  std::int64_t begin_of(std::int64_t i) const { return k_chunk * (rows_first_ ? i % chunks_ : i / stacks_); }
  std::int64_t elems_of(std::int64_t i) const { return lesser<std::int64_t>(k_chunk, a_.k - begin_of(i)); }
  void begin_fill() { fill_.begin(buffer(at_), a_, row_of(at_), begin_of(at_), static_cast<int>(elems_of(at_))); }

  /// What the next panel is made from.
  void fetch_chunk(Beside& work) const {
    if (at_ == count()) return;
    work.near = a_.w + static_cast<std::uint64_t>(row_of(at_)) * a_.w_stride + bytes_of<Fmt>(begin_of(at_));
    work.stride = a_.w_stride;
    work.step = 64;
    work.run = k_panel_rows;
    work.lines = work.run * lines_of(bytes_of<Fmt>(elems_of(at_)));
  }
  /// A part of the next 32 rows, from one end to the other: as large as the chunk is of k.
  void fetch_rows(Beside& work) const {
    const std::int64_t i = at_ - (beside_ ? 0 : 1), stack = i / chunks_ + 1;
    const std::byte* rows =
        stack < stacks_ ? a_.w + static_cast<std::uint64_t>(row_of(stack * chunks_)) * a_.w_stride : after_;
    if (rows == nullptr) return;
    const auto bytes = [&](std::int64_t k) {
      return k_panel_rows * a_.w_stride * static_cast<std::uint64_t>(k) / static_cast<std::uint64_t>(a_.k);
    };
    const std::uint64_t from = bytes(begin_of(i)), to = bytes(begin_of(i) + elems_of(i));
    work.near = rows + from;
    work.stride = 64;
    work.run = work.lines = lines_of(to - from);
  }

  const GemmArgs& a_;
  Panel* panels_;
  std::int64_t row_;
  const std::byte* after_;
  std::int64_t stacks_, chunks_;
  bool rows_first_, beside_;
  std::int64_t at_ = 0; // of the panel that comes next
  PanelFill<Fmt, Micro::biased> fill_;
};

/// Rows [row, until) for the tokens [token, end).
template <class Fmt>
void multiply_block(const GemmArgs& a, const PanelScratch& scratch, std::int64_t row, std::int64_t until,
                    std::int64_t token, std::int64_t end) {
  const int tiles = static_cast<int>((end - token + k_tile - 1) / k_tile);
  const bool one_chunk = a.k <= k_chunk; // then a panel's sums are written at once
  PanelLine<Fmt> panels(a, scratch, row, until, false, nullptr);
  for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
    const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin)), units = (n + 255) / 256;
    const TokenTile* x = a.packed ? packed_tiles(a, token, begin) : scratch.tiles;
    for (int t = 0; t < tiles && !a.packed; ++t)
      pack_chunk<Fmt>(scratch.tiles[t], a, token + k_tile * t, end, begin, begin + n);
    TileSums* sums = scratch.sums;
    for (std::int64_t r = row; r < until; r += k_panel_rows) {
      const Panel& panel = panels.take();
      Micro::multiply(panel, x, tiles, units, sums, begin == 0, panels.beside());
      if (begin + n == a.k)
        for (int t = 0; t < tiles; ++t) write(sums[t], a, r, token + k_tile * t, end);
      if (!one_chunk) sums += tiles;
    }
  }
}

/// All rows for tokens of which all of k fits a second-level cache: weights are read from one end to the other, and
/// then those at `after`, if any.
template <class Fmt>
void multiply_rows(const GemmArgs& a, const PanelScratch& scratch, const TokenTile* x, const std::byte* after) {
  const int tiles = static_cast<int>((a.tokens + k_tile - 1) / k_tile);
  PanelLine<Fmt> panels(a, scratch, 0, a.rows, true, after);
  for (std::int64_t r = 0; r < a.rows; r += k_panel_rows) {
    for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
      const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin));
      const TokenTile* of_chunk = a.packed ? packed_tiles(a, 0, begin) : x + begin / k_chunk * tiles;
      const Panel& panel = panels.take();
      Micro::multiply(panel, of_chunk, tiles, (n + 255) / 256, scratch.sums, begin == 0, panels.beside());
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
    for (std::int64_t t = 0; t < a.tokens; t += k_tile)
      pack_chunk<Fmt>(*tile++, a, t, a.tokens, begin, chunk_end(begin, a.k));
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
  const std::int64_t end = a.n == 0 ? a.k : a.begin + a.n;
  for (std::int64_t begin = a.begin; begin < end; begin = chunk_end(begin, end)) {
    auto* tile = reinterpret_cast<TokenTile*>(a.out + static_cast<std::uint64_t>(begin / k_chunk) * a.out_stride);
    pack_chunk<Fmt>(*tile, rows, 0, a.tokens, begin, chunk_end(begin, end));
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
