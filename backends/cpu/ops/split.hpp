// How work and scratch are divided.
#pragma once

#include "isa.hpp"

#include <seacliff/sdk/kernel.hpp>

namespace seacliff::cpu {

using sdk::Range;

inline constexpr std::int64_t k_row_grain = 16; // outputs of a worker fill whole cache lines

/// Part `i` of `parts` of [0, n) in multiples of `grain`; empty for i >= parts.
inline Range part_of(std::int64_t n, std::int64_t grain, std::int64_t i, std::int64_t parts) {
  if (i >= parts) return {n, n};
  const std::int64_t blocks = (n + grain - 1) / grain;
  return {std::min(n, blocks * i / parts * grain), std::min(n, blocks * (i + 1) / parts * grain)};
}

struct Block2 {
  Range rows, tokens;
  std::int64_t next = -1; // the row that the same worker goes on with; -1: not known
};

/// Where piece `i` of `pieces` of `total` begins, each a little shorter than the one before: the last ones end
/// together.
inline std::int64_t shrinking(std::int64_t total, std::int64_t i, std::int64_t pieces) {
  return total - total * (pieces - i) / pieces * (pieces - i) / pieces;
}

/// One worker's rectangle of an [n rows] x [tokens] product: rows are split first, so that a weight is read by one
/// worker only; tokens too when there are more workers than blocks of rows.
inline Block2 rectangle(const sdk::Worker& worker, std::int64_t n, std::int64_t tokens) {
  constexpr std::int64_t k_grain = k_packed_plain.tokens; // the larger tile
  const std::int64_t count = worker.count(), i = worker.index();
  const std::int64_t row_parts = std::clamp<std::int64_t>((n + k_row_grain - 1) / k_row_grain, 1, count);
  const std::int64_t token_parts = std::clamp<std::int64_t>(tokens / k_grain, 1, count / row_parts);
  if (i >= row_parts * token_parts) return {{n, n}, {tokens, tokens}};
  return {part_of(n, k_row_grain, i % row_parts, row_parts), part_of(tokens, k_grain, i / row_parts, token_parts)};
}

/// An [n rows] x [tokens] product in pieces of blocks of 32 rows and of 32 tokens, for products that prepare both
/// operands anew for each piece.
struct Pieces {
  static constexpr std::int64_t grain = 32;
  std::int64_t n, tokens, row_parts, token_parts;

  std::int64_t count() const { return row_parts * token_parts; }
  Block2 piece(std::int64_t i) const {
    return {part_of(n, grain, i % row_parts, row_parts), part_of(tokens, grain, i / row_parts, token_parts)};
  }
  /// Part `i` of `parts` of a piece, by rows; may be empty.
  static Block2 slice(const Block2& piece, std::int64_t i, std::int64_t parts) {
    const Range rows = part_of(piece.rows.end - piece.rows.begin, grain, i, parts);
    return {{piece.rows.begin + rows.begin, piece.rows.begin + rows.end}, piece.tokens};
  }
};

/// As near to squares as `most` pieces allow. What a row or a token costs beside the product itself, in elements of it,
/// is the tile registers'; others ask for less.
inline Pieces squares(std::int64_t most, std::int64_t n, std::int64_t tokens) {
  constexpr std::int64_t per_row = 75, per_token = 34;
  const auto largest = [](std::int64_t of, std::int64_t parts) {
    return ((of + Pieces::grain - 1) / Pieces::grain + parts - 1) / parts * Pieces::grain;
  };
  std::int64_t best = 0, row_parts = 1;
  for (std::int64_t p = 1; p <= most; ++p) {
    const std::int64_t rows = largest(n, p), some = largest(tokens, most / p);
    const std::int64_t cost = rows * some + per_row * rows + per_token * some;
    if (p > 1 && cost >= best) continue;
    best = cost;
    row_parts = p;
  }
  return {n, tokens, row_parts, most / row_parts};
}

/// body(row, columns) over this worker's share of a [rows, cols] matrix cut into cells of `grain` columns.
template <class Body>
void each_cell(const sdk::Worker& worker, std::int64_t rows, std::int64_t cols, std::int64_t grain, Body body) {
  const std::int64_t per_row = (cols + grain - 1) / grain;
  const Range cells = worker.share(rows * per_row);
  for (std::int64_t i = cells.begin; i < cells.end;) {
    const std::int64_t row = i / per_row, first = i % per_row;
    const std::int64_t end = std::min(per_row, first + (cells.end - i));
    body(row, Range{first * grain, std::min(cols, end * grain)});
    i += end - first;
  }
}

/// Cuts a kernel's scratch into parts of whole cache lines. From nullptr it only counts.
class Carve {
public:
  explicit Carve(std::byte* base) : base_(base) {}
  template <class T> T* take(std::uint64_t count) {
    auto* part = reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(base_) + used_);
    used_ += up_to_line(count * sizeof(T));
    return part;
  }
  std::uint64_t used() const { return used_; }

private:
  std::byte* base_;
  std::uint64_t used_ = 0;
};

} // namespace seacliff::cpu
