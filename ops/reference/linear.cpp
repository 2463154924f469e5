// Products with weights, and table look-ups.
#include "ops/reference/families.hpp"
#include "ops/reference/rows.hpp"
#include "ops/reference/scratch.hpp"

namespace seacliff::reference {
namespace {

class GatherRows final : public Kernel {
public:
  explicit GatherRows(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &table = call.in[0], &out = call.out[0];
    const std::int32_t* ids = call.in[1].i32();
    const std::int64_t inner = out.rows() / out.dim(0); // an entry of the table may be several rows
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const std::int64_t id = ids[r / inner], from = id * inner + r % inner;
      if (id < 0 || id >= table.dim(0))
        std::memset(out.row(r), 0, out.row_stride());
      else if (table.dtype == DType::i32)
        std::memcpy(out.row(r), table.row(from), out.row_stride());
      else
        decode(table, from, out.f32_row(r));
    }
  }
};

class Matmul final : public Kernel {
public:
  explicit Matmul(const NodeView& node) : cols_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return scratch_for<float>(cols_) * workers; }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &w = call.in[1];
    float* row = Scratch(call.scratch).take_own<float>(cols_, worker.index(), worker.count());
    product(x.f32(), x.rows(), w, worker.share(w.rows()), row, call.out[0].f32(), w.rows());
  }

private:
  std::int64_t cols_;
};

/// y[t][g·N+j] = w[g·N+j]·x[t][g·K ..] for the rows of `rows`.
template <class Y>
void grouped_product(const float* x, std::int64_t tokens, const Tensor& w, std::int64_t groups, Range rows, float* row,
                     Y* y) {
  const std::int64_t k = w.cols(), per_group = w.rows() / groups;
  for (std::int64_t n = rows.begin; n < rows.end; ++n) {
    decode(w, n, row);
    const float* part = x + n / per_group * k;
    for (std::int64_t t = 0; t < tokens; ++t) y[t * w.rows() + n] = static_cast<Y>(dot(part + t * groups * k, row, k));
  }
}

class MatmulGrouped final : public Kernel {
public:
  explicit MatmulGrouped(const NodeView& node) : groups_(node.attr_int("groups")), cols_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return scratch_for<float>(cols_) * workers; }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &w = call.in[1];
    float* row = Scratch(call.scratch).take_own<float>(cols_, worker.index(), worker.count());
    grouped_product(x.f32(), x.dim(0), w, groups_, worker.share(w.rows()), row, call.out[0].f32());
  }

private:
  std::int64_t groups_, cols_;
};

class MatmulId final : public Kernel {
public:
  explicit MatmulId(const NodeView& node) : cols_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return scratch_for<float>(cols_) * workers; }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &w = call.in[1], &ids = call.in[2], &out = call.out[0];
    const std::int64_t experts = w.dim(0), n_rows = w.dim(1), slots = ids.dim(1), pairs = ids.elems();
    const bool per_slot = x.rank == 3;
    float* row = Scratch(call.scratch).take_own<float>(cols_, worker.index(), worker.count());
    const Range mine = worker.share(n_rows);
    for (std::int64_t expert = 0; expert < experts; ++expert) {
      if (std::find(ids.i32(), ids.i32() + pairs, expert) == ids.i32() + pairs) continue;
      for (std::int64_t n = mine.begin; n < mine.end; ++n) {
        decode(w, expert * n_rows + n, row);
        for (std::int64_t pair = 0; pair < pairs; ++pair)
          if (ids.i32()[pair] == expert)
            out.f32()[pair * n_rows + n] =
                static_cast<float>(dot(x.f32_row(per_slot ? pair : pair / slots), row, cols_));
      }
    }
    for (std::int64_t pair = 0; pair < pairs; ++pair) // an id that names no matrix gives zeros
      if (ids.i32()[pair] < 0 || ids.i32()[pair] >= experts)
        std::fill(out.f32_row(pair) + mine.begin, out.f32_row(pair) + mine.end, 0.0f);
  }

private:
  std::int64_t cols_;
};

/// b·(block-diagonal a·o)
class AttnOutGrouped final : public Kernel {
public:
  explicit AttnOutGrouped(const NodeView& node)
      : groups_(node.attr_int("groups")), tokens_(node.in(0).dim(0)), low_(node.in(1).rows()),
        cols_(std::max(node.in(1).cols(), node.in(2).cols())) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<float>(cols_) * workers + scratch_for<double>(tokens_ * low_);
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &o = call.in[0], &a = call.in[1], &b = call.in[2];
    Scratch scratch(call.scratch);
    float* row = scratch.take_own<float>(cols_, worker.index(), worker.count());
    double* low = scratch.take<double>(tokens_ * low_);
    grouped_product(o.f32(), o.dim(0), a, groups_, worker.share(a.rows()), row, low);
    worker.barrier();
    product(low, o.dim(0), b, worker.share(b.rows()), row, call.out[0].f32(), b.rows());
  }

private:
  std::int64_t groups_, tokens_, low_, cols_;
};

} // namespace

std::vector<sdk::KernelEntry> linear_kernels() {
  return {entry<GatherRows>("gather_rows"), entry<Matmul>("matmul"), entry<MatmulGrouped>("matmul_grouped"),
          entry<MatmulId>("matmul_id"), entry<AttnOutGrouped>("attn_out_grouped")};
}

} // namespace seacliff::reference
