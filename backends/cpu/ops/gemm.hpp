// One weight operand as the operations use it.
#pragma once

#include "split.hpp"

namespace seacliff::cpu {

/// Rows of activations, f32 or quantised.
struct Activations {
  const std::byte* data = nullptr;
  std::uint64_t stride = 0; // bytes
  Act act = Act::none;
  std::byte* scratch = nullptr; // this worker's, for Gemm
  std::uint64_t group = 0;      // packed: bytes from one group of a token's rows to the next
  bool many = false;            // of a step of more than k_few_tokens tokens
  bool packed = false;          // tiles as Format::pack makes them; `stride` from chunk to chunk
};

/// A matrix [n, k], or several of them one behind the other.
class Gemm {
public:
  /// `act8`: int8 activations where the format has a kernel for them; others may round them to 8 bits.
  Gemm(const Isa& isa, const sdk::ValueView& weight, bool act8);

  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  /// How activations of so many tokens are wanted.
  Act act(std::int64_t tokens) const { return act_ == Act::none || tokens <= k_few_tokens ? act_ : format_->act_many; }
  /// body(block) for this worker's part of the product of all rows with so many tokens, in pieces by ticket: stretches
  /// of rows for few tokens, which memory bounds, else near-squares.
  template <class Body>
  void each_part(const sdk::Worker& worker, std::int64_t tokens, sdk::Ticket& ticket, Body body) const {
    if (tokens < k_many_tokens) return each_stretch(worker, tokens, ticket, body);
    const std::int64_t workers = worker.count(), fit = n_ * tokens / (k_piece * workers);
    const Pieces pieces = squares(workers * std::clamp<std::int64_t>(fit, 1, k_pieces), n_, tokens);
    const std::int64_t last = std::min(workers, pieces.count()), whole = pieces.count() - last;
    // Rows of floats would be prepared for each part of a piece.
    const std::int64_t most = act_ == Act::none && pack() == nullptr ? 1 : k_parts;
    const std::int64_t parts = std::clamp<std::int64_t>(n_ / pieces.row_parts / Pieces::grain, 1, most);
    sdk::take_pieces(ticket, whole + last * parts, [&](std::int64_t i) {
      if (i < whole) return body(pieces.piece(i));
      body(pieces.slice(pieces.piece(whole + (i - whole) % last), (i - whole) / last, parts));
    });
  }
  bool same_acts(const Gemm& other) const {
    return act(1) == other.act(1) && act(k_few_tokens + 1) == other.act(k_few_tokens + 1) && pack() == other.pack();
  }
  /// Whether another matrix can be w2 of this one's products.
  bool pairs_with(const Gemm& other) const { return format_ == other.format_ && act_ == other.act_ && k_ == other.k_; }
  /// Products of a step of many tokens with so many of them, or fewer, take rows of activations, not tiles.
  std::int64_t few_of_many() const { return format_->few_of_many; }
  /// nullptr where many tokens are not wanted in tiles.
  void (*pack() const)(const PackArgs&) { return act8_ ? format_->pack : nullptr; }

  /// y[token][row] for a rectangle; y is [tokens, y_stride] with column 0 = row 0. `first_row` is that of the matrix in
  /// the weight. `stream`: y is not read soon. `next`: weights read afterwards, if not row part.next.
  void multiply(const sdk::Tensor& w, std::int64_t first_row, const Activations& x, const Block2& part, float* y,
                std::int64_t y_stride, bool stream = true, const std::byte* next = nullptr) const;
  /// The same with f32 activations, and their squares: as Format::gemm_squares.
  void run_squares(GemmArgs args) const;
  /// Everything said by the caller but the weight's format and what `x` says.
  void run(GemmArgs args, const Activations& x) const;

private:
  /// Each stretch is taken before the one in front of it is read, so that it is known what to bring nearer.
  template <class Body>
  void each_stretch(const sdk::Worker& worker, std::int64_t tokens, sdk::Ticket& ticket, Body body) const {
    const std::int64_t bytes = static_cast<std::int64_t>(row_bytes_) * n_, workers = worker.count();
    const std::int64_t pieces = std::min({n_ / k_row_grain, bytes / k_stretch, k_stretches * workers});
    if (workers == 1 || pieces < k_few_stretches * workers) return body(rectangle(worker, n_, tokens));
    Block2 now{{n_, n_}, {0, tokens}};
    sdk::take_pieces(ticket, pieces, [&](std::int64_t i) {
      const std::int64_t blocks = (n_ + k_row_grain - 1) / k_row_grain;
      const Range rows{shrinking(blocks, i, pieces) * k_row_grain,
                       std::min(n_, shrinking(blocks, i + 1, pieces) * k_row_grain)};
      if (rows.begin >= rows.end) return;
      now.next = rows.begin;
      if (now.rows.begin < now.rows.end) body(now);
      now.rows = rows;
    });
    now.next = -1;
    if (now.rows.begin < now.rows.end) body(now);
  }

  static constexpr std::int64_t k_many_tokens = 64;
  static constexpr std::int64_t k_stretches = 8;        // per worker, where they do not get
  static constexpr std::int64_t k_stretch = 128 * 1024; // shorter than this, in bytes, on average;
  static constexpr std::int64_t k_few_stretches = 3;    // fewer per worker are not worth it
  static constexpr std::int64_t k_pieces = 4;           // per worker, where they do not get
  static constexpr std::int64_t k_piece = 128 * 128;    // smaller than this;
  static constexpr std::int64_t k_parts = 4;            // of the last one of each worker
  const Format* format_;
  bool act8_;
  Act act_;
  std::int64_t n_, k_;
  std::uint64_t row_bytes_;
};

/// Activations in the form that `act` asks for. Few elements: every worker quantises all of them for itself, which is
/// quicker than to wait for each other; many: together, with a barrier behind. The scratch also holds what products
/// with them need.
class Quantiser {
public:
  Quantiser(const Isa& isa, const Gemm& gemm)
      : isa_(isa), few_(gemm.act(1)), many_(gemm.act(k_few_tokens + 1)), pack_(gemm.pack()), k_(gemm.k()),
        row_(std::max(act_layout(few_, k_).bytes, act_layout(many_, k_).bytes)) {}

  std::uint64_t bytes(std::int64_t max_rows, std::uint32_t workers) const;
  /// `scratch` as `bytes` says. `x`: rows of k f32, one behind the other; of so many tokens.
  Activations prepare(const float* x, std::int64_t rows, std::int64_t tokens, std::byte* scratch,
                      const sdk::Worker& worker) const;

  /// The same for products of all tokens with one matrix, or with `groups` of them that take a row each of a token's:
  /// many tokens are packed once for all workers.
  std::uint64_t packed_bytes(std::int64_t max_tokens, std::int64_t groups, std::uint32_t workers) const;
  Activations prepare_packed(const float* x, std::int64_t tokens, std::int64_t groups, std::byte* scratch,
                             const sdk::Worker& worker, sdk::Ticket& ticket) const;
  /// The same for the rows of input 0 and one matrix; products that read the same rows share what is packed. Scratch
  /// of unpacked_bytes().
  sdk::Kernel::Form form(std::int64_t max_tokens) const {
    if (!packs(max_tokens)) return {};
    return {reinterpret_cast<const void*>(pack_), tile_bytes(max_tokens, 1)};
  }
  std::uint64_t unpacked_bytes(std::int64_t max_tokens, std::uint32_t workers) const;
  Activations prepare_form(const sdk::KernelCall& call, const sdk::Worker& worker, sdk::Ticket& ticket) const;
  /// The same in two steps where so many tokens are packed: elements [range) of all of x, of parts that begin and end
  /// with multiples of 256 of a row, into `rows` of `taken_bytes`, by any worker; and behind a barrier the packing.
  bool packs(std::int64_t tokens) const {
    return pack_ != nullptr && tokens > (few_ == Act::none ? k_few_plain : k_few_tokens);
  }
  std::uint64_t taken_bytes(std::int64_t max_tokens, std::int64_t groups) const;
  void take(const float* x, Range range, std::byte* rows) const;
  Activations pack_taken(const std::byte* rows, std::int64_t tokens, std::int64_t groups, std::byte* scratch,
                         const sdk::Worker& worker, sdk::Ticket& ticket) const;

  /// Tiles of quantised rows: chosen ones, from tile `first` of as many as there is memory for.
  bool packs() const { return pack_ != nullptr && few_ != Act::none; }
  std::uint64_t tiles_bytes(std::int64_t tiles) const { return tile_bytes(tiles * k_packed_tokens, 1); }
  Activations tiles_at(std::byte* scratch, std::int64_t tiles, std::byte* own) const {
    return {scratch, static_cast<std::uint64_t>(tiles) * k_packed_bytes, many_, own, 0, true, true};
  }
  void pack(const Activations& rows, const std::int32_t* pick, std::int64_t count, const Activations& tiles,
            std::int64_t first) const;
  /// The same of rows that are not filled before: elements `part`, multiples of 256 but at the end of k, of the `count`
  /// rows of one tile, the first of them at x, `stride` elements apart. `own` of own_rows_bytes().
  std::uint64_t own_rows_bytes() const { return static_cast<std::uint64_t>(k_packed_tokens) * bare_row(); }
  void fill_tile(const float* x, std::int64_t stride, std::int64_t count, Range part, std::byte* own,
                 const Activations& tiles, std::int64_t tile) const;

  /// Whether rows of so many tokens are quantised, so that they can be filled part by part instead: into what `empty`
  /// gives, by any worker, parts of k that begin at multiples of 256. The caller sees to the barrier behind.
  bool fills(std::int64_t tokens) const { return few_ != Act::none && tokens > k_few_tokens; }
  Activations empty(std::int64_t rows, std::byte* scratch, const sdk::Worker& worker) const {
    const std::uint64_t all = row_ * static_cast<std::uint64_t>(rows);
    return {scratch, row_, many_, scratch + all + own_bytes(rows) * worker.index(), 0, true};
  }
  void fill(const Activations& to, std::int64_t row, Range part, const float* x) const {
    isa_.quantise(to.act, x, part.begin, part.end - part.begin, k_,
                  const_cast<std::byte*>(to.data) + static_cast<std::uint64_t>(row) * to.stride, true);
  }

private:
  static constexpr std::int64_t k_alone = 16384; // elements
  PackedShape tile() const { return few_ == Act::none ? k_packed_plain : k_packed_codes; }
  std::uint64_t own_bytes(std::int64_t rows) const { // of a worker, for its products
    return few_ == Act::none ? isa_.gemm_scratch(rows) : isa_.many_scratch(rows);
  }
  /// Of a worker: the rows of a tile, and scratch for products with so many rows.
  std::uint64_t own_packed_bytes(std::int64_t rows) const { return own_rows_bytes() + own_bytes(rows); }
  Activations packed_at(std::byte* tiles, std::int64_t tokens, std::byte* own) const;
  /// All tiles of all groups, by all workers, and a barrier: of x, with memory for the rows of a tile.
  void pack_rows(const float* x, std::int64_t tokens, std::int64_t groups, const Activations& tiles, std::byte* rows,
                 const sdk::Worker& worker, sdk::Ticket& ticket) const;
  /// The same from what rows_of(first token, count, group) says.
  template <class Rows>
  void pack_all(const Activations& tiles, std::int64_t tokens, std::int64_t groups, const sdk::Worker& worker,
                sdk::Ticket& ticket, Rows rows_of) const;
  /// Bytes of a quantised row without its sums.
  std::uint64_t bare_row() const { return few_ == Act::none ? 0 : act_layout(many_, k_).sums16; }
  std::uint64_t tile_bytes(std::int64_t tokens, std::int64_t groups) const {
    const PackedShape of = tile();
    const std::int64_t tiles = (tokens + of.tokens - 1) / of.tokens, chunks = (k_ + of.k - 1) / of.k;
    return static_cast<std::uint64_t>(tiles * groups * chunks) * k_packed_bytes;
  }
  const Isa& isa_;
  Act few_, many_;
  void (*pack_)(const PackArgs&);
  std::int64_t k_;
  std::uint64_t row_;
};

} // namespace seacliff::cpu
