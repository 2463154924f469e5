// Ops on single rows: norm, rotary positions, round trips through narrow formats.
#include "ops/reference/families.hpp"
#include "ops/reference/row_math.hpp"
#include "ops/reference/rows.hpp"

namespace seacliff::reference {
namespace {

/// Copies row `r` of `width` elements to the output and returns it.
std::span<float> copy_row(const KernelCall& call, std::int64_t r, std::int64_t width) {
  const std::span<float> row(call.out[0].f32() + r * width, static_cast<std::size_t>(width));
  std::copy_n(call.in[0].f32() + r * width, width, row.begin());
  return row;
}

class RmsNorm final : public Kernel {
public:
  explicit RmsNorm(const NodeView& node) : eps_(node.attr_float("eps")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& out = call.out[0]; // its rows are what one norm is over, whether split into heads or flattened
    const float* weight = call.in[1] ? call.in[1].f32() : nullptr;
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) rms_norm(copy_row(call, r, out.cols()), weight, eps_);
  }

private:
  double eps_;
};

class RopeTail final : public Kernel {
public:
  explicit RopeTail(const NodeView& node) : rope_(node) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& out = call.out[0];
    const std::int64_t per_token = out.rows() / out.dim(0);
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r)
      rope_.apply(copy_row(call, r, out.cols()), call.in[1].i32()[r / per_token]);
  }

private:
  Rope rope_;
};

template <class Round> class RoundRows final : public Kernel {
public:
  explicit RoundRows(const NodeView& node) : round_(node) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Range mine = worker.share(call.out[0].rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) round_.apply(copy_row(call, r, call.out[0].cols()));
  }

private:
  Round round_;
};

} // namespace

std::vector<sdk::KernelEntry> norm_rope_kernels() {
  return {entry<RmsNorm>("rms_norm"), entry<RopeTail>("rope_tail"), entry<RoundRows<KvRound>>("kv_round"),
          entry<RoundRows<IndexRound>>("index_round")};
}

} // namespace seacliff::reference
