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
};

/// A matrix [n, k], or several of them one behind the other.
class Gemm {
public:
  /// `act8`: int8 activations where the format has a kernel for them.
  Gemm(const Isa& isa, const sdk::ValueView& weight, bool act8);

  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  /// How activations of so many tokens are wanted.
  Act act(std::int64_t tokens) const { return act_ == Act::none || tokens <= k_few_tokens ? act_ : format_->act_many; }
  /// body(block) for this worker's part of the product of all rows with so many tokens: fixed for few tokens, which
  /// memory bounds, else pieces by ticket.
  template <class Body>
  void each_part(const sdk::Worker& worker, std::int64_t tokens, sdk::Ticket& ticket, Body body) const {
    if (tokens < k_many_tokens) return body(rectangle(worker, n_, tokens));
    const std::int64_t workers = worker.count(), fit = n_ * tokens / (k_piece * workers);
    const Pieces pieces = squares(workers * std::clamp<std::int64_t>(fit, 1, k_pieces), n_, tokens);
    sdk::take_pieces(ticket, pieces.count(), [&](std::int64_t i) { body(pieces.piece(i)); });
  }
  bool same_acts(const Gemm& other) const {
    return act(1) == other.act(1) && act(k_few_tokens + 1) == other.act(k_few_tokens + 1);
  }

  /// y[token][row] for a rectangle; y is [tokens, y_stride] with column 0 = row 0. `first_row` is that of the matrix in
  /// the weight.
  void multiply(const sdk::Tensor& w, std::int64_t first_row, const Activations& x, const Block2& part, float* y,
                std::int64_t y_stride) const;
  /// The same with f32 activations, and their squares: as Format::gemm_squares.
  void run_squares(GemmArgs args) const;
  /// Everything said by the caller but the weight's format and what `x` says.
  void run(GemmArgs args, const Activations& x) const;

private:
  static constexpr std::int64_t k_many_tokens = 64;
  static constexpr std::int64_t k_pieces = 4;        // per worker, where they do not get
  static constexpr std::int64_t k_piece = 128 * 128; // smaller than this
  const Format* format_;
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
      : isa_(isa), few_(gemm.act(1)), many_(gemm.act(k_few_tokens + 1)), k_(gemm.k()),
        row_(std::max(act_layout(few_, k_).bytes, act_layout(many_, k_).bytes)) {}

  std::uint64_t bytes(std::int64_t max_rows, std::uint32_t workers) const;
  /// `scratch` as `bytes` says. `x`: rows of k f32, one behind the other; of so many tokens.
  Activations prepare(const float* x, std::int64_t rows, std::int64_t tokens, std::byte* scratch,
                      const sdk::Worker& worker) const;

  /// Whether rows of so many tokens are quantised, so that they can be filled part by part instead: into what `empty`
  /// gives, by any worker, parts of k that begin at multiples of 256. The caller sees to the barrier behind.
  bool fills(std::int64_t tokens) const { return few_ != Act::none && tokens > k_few_tokens; }
  Activations empty(std::int64_t rows, std::byte* scratch, const sdk::Worker& worker) const {
    const std::uint64_t all = row_ * static_cast<std::uint64_t>(rows);
    return {scratch, row_, many_, scratch + all + own_bytes(rows) * worker.index()};
  }
  void fill(const Activations& to, std::int64_t row, Range part, const float* x) const {
    isa_.quantise(to.act, x, part.begin, part.end - part.begin, k_,
                  const_cast<std::byte*>(to.data) + static_cast<std::uint64_t>(row) * to.stride);
  }

private:
  static constexpr std::int64_t k_alone = 16384;     // elements
  std::uint64_t own_bytes(std::int64_t rows) const { // of a worker, for its products
    return few_ == Act::none ? isa_.gemm_scratch(rows) : isa_.many_scratch(rows);
  }
  const Isa& isa_;
  Act few_, many_;
  std::int64_t k_;
  std::uint64_t row_;
};

} // namespace seacliff::cpu
