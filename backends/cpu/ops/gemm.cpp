#include "gemm.hpp"

namespace seacliff::cpu {

Gemm::Gemm(const Isa& isa, const sdk::ValueView& weight, bool act8)
    : format_(isa.find(weight.dtype())), act_(act8 ? format_->act : Act::none), n_(weight.dim(weight.rank() - 2)),
      k_(weight.cols()), row_bytes_(seacliff::row_bytes(weight.dtype(), static_cast<std::uint64_t>(k_))) {}

void Gemm::run(GemmArgs args, const Activations& x) const {
  if (args.rows <= 0 || args.tokens <= 0) return;
  args.w_stride = row_bytes_;
  if (args.k == 0) args.k = k_;
  args.x = x.data;
  args.x_stride = x.stride;
  args.scratch = x.scratch;
  if (act_ == Act::none) return format_->gemm(args);
  (args.tokens > k_few_tokens || x.act != act_ ? format_->gemm_many : format_->gemm_act)(args);
}

void Gemm::run_squares(GemmArgs args) const {
  args.w_stride = row_bytes_;
  format_->gemm_squares(args);
}

void Gemm::multiply(const sdk::Tensor& w, std::int64_t first_row, const Activations& x, const Block2& part, float* y,
                    std::int64_t y_stride) const {
  GemmArgs args{};
  args.w = w.row(first_row + part.rows.begin);
  args.rows = part.rows.end - part.rows.begin;
  args.tokens = part.tokens.end - part.tokens.begin;
  args.y = y + part.tokens.begin * y_stride + part.rows.begin;
  args.y_stride = y_stride;
  Activations from = x;
  from.data += static_cast<std::uint64_t>(part.tokens.begin) * x.stride;
  run(args, from);
}

std::uint64_t Quantiser::bytes(std::int64_t max_rows, std::uint32_t workers) const {
  if (few_ == Act::none) return own_bytes(max_rows) * workers;
  const std::int64_t alone = std::min(max_rows, k_alone / k_);
  return row_ * static_cast<std::uint64_t>(std::max(max_rows, alone * workers)) + own_bytes(max_rows) * workers;
}

Activations Quantiser::prepare(const float* x, std::int64_t rows, std::int64_t tokens, std::byte* scratch,
                               const sdk::Worker& worker) const {
  if (few_ == Act::none)
    return {reinterpret_cast<const std::byte*>(x), static_cast<std::uint64_t>(k_) * 4, Act::none,
            own_bytes(rows) != 0 ? scratch + own_bytes(rows) * worker.index() : nullptr};
  const Act act = tokens <= k_few_tokens ? few_ : many_;
  const bool alone = rows * k_ <= k_alone || worker.count() == 1;
  const std::int64_t copies = alone ? worker.count() : 1;
  std::byte* own = scratch + row_ * static_cast<std::uint64_t>(rows * copies) + own_bytes(rows) * worker.index();
  if (alone) scratch += static_cast<std::uint64_t>(rows * worker.index()) * row_;
  const Range mine = alone ? Range{0, rows} : worker.share(rows);
  for (std::int64_t r = mine.begin; r < mine.end; ++r)
    isa_.quantise(act, x + r * k_, 0, k_, k_, scratch + static_cast<std::uint64_t>(r) * row_);
  if (!alone) worker.barrier();
  return {scratch, row_, act, own};
}

} // namespace seacliff::cpu
