// Hyper-connections: n residual streams, mixed by gates that depend on the token.
#include "ops/reference/families.hpp"
#include "ops/reference/row_math.hpp"
#include "ops/reference/rows.hpp"
#include "ops/reference/scratch.hpp"

namespace seacliff::reference {
namespace {

/// Makes the n·n weights `a` (source-major) of one token doubly stochastic, from their logits. The last pass is over
/// sources: what flows into one destination sums to 1.
void sinkhorn(double* a, std::int64_t n, std::int64_t iters, double eps) {
  const auto scale_columns = [&] {
    for (std::int64_t c = 0; c < n; ++c) {
      double sum = eps;
      for (std::int64_t r = 0; r < n; ++r) sum += a[r * n + c];
      for (std::int64_t r = 0; r < n; ++r) a[r * n + c] /= sum;
    }
  };
  for (std::int64_t r = 0; r < n; ++r) { // softmax over destinations
    double* row = a + r * n;
    const double largest = *std::max_element(row, row + n);
    double sum = 0;
    for (std::int64_t c = 0; c < n; ++c) sum += row[c] = std::exp(row[c] - largest);
    for (std::int64_t c = 0; c < n; ++c) row[c] = row[c] / sum + eps;
  }
  scale_columns();
  for (std::int64_t i = 1; i < iters; ++i) {
    for (std::int64_t r = 0; r < n; ++r) {
      double sum = eps;
      for (std::int64_t c = 0; c < n; ++c) sum += a[r * n + c];
      for (std::int64_t c = 0; c < n; ++c) a[r * n + c] /= sum;
    }
    scale_columns();
  }
}

struct Split {
  std::int64_t n, iters;
  double eps;

  /// m and comb hold 2n+n² and n² numbers of one token; `comb` is worked on in place of the tail of `m`.
  template <class M>
  void apply(const M* m, const float* base, const float* scale, double* work, float* pre, float* post,
             float* comb) const {
    for (std::int64_t i = 0; i < n; ++i) {
      pre[i] = static_cast<float>(sigmoid(static_cast<double>(m[i]) * scale[0] + base[i]) + eps);
      post[i] = static_cast<float>(2.0 * sigmoid(static_cast<double>(m[n + i]) * scale[1] + base[n + i]));
    }
    for (std::int64_t i = 0; i < n * n; ++i) work[i] = static_cast<double>(m[2 * n + i]) * scale[2] + base[2 * n + i];
    sinkhorn(work, n, iters, eps);
    for (std::int64_t i = 0; i < n * n; ++i) comb[i] = static_cast<float>(work[i]);
  }
};

/// out[c] = sum over r of a[r][c]·s[r] for one token: s[n][E], a[n][m], out[m][E].
void mix(const float* s, const float* a, std::int64_t n, std::int64_t m, std::int64_t width, float* out) {
  for (std::int64_t c = 0; c < m; ++c)
    for (std::int64_t d = 0; d < width; ++d) {
      double sum = 0;
      for (std::int64_t r = 0; r < n; ++r) sum += static_cast<double>(a[r * m + c]) * s[r * width + d];
      out[c * width + d] = static_cast<float>(sum);
    }
}

class RepeatStreams final : public Kernel {
public:
  explicit RepeatStreams(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& out = call.out[0];
    const std::int64_t n = out.dim(1);
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r)
      std::memcpy(out.row(r), call.in[0].row(r / n), out.row_stride());
  }
};

class HcSplit final : public Kernel {
public:
  explicit HcSplit(const NodeView& node) : split_{node.out(0).cols(), node.attr_int("iters"), node.attr_float("eps")} {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return scratch_for<double>(split_.n * split_.n) * workers;
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t n = split_.n;
    double* work = Scratch(call.scratch).take_own<double>(n * n, worker.index(), worker.count());
    const Range mine = worker.share(call.in[0].dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      split_.apply(call.in[0].f32_row(t), call.in[1].f32(), call.in[2].f32(), work, call.out[0].f32_row(t),
                   call.out[1].f32_row(t), call.out[2].f32() + t * n * n);
  }

private:
  Split split_;
};

class HcGate final : public Kernel {
public:
  explicit HcGate(const NodeView& node) : eps_(node.attr_float("eps")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& m = call.in[0];
    const double scale = call.in[2].f32()[0];
    const Range mine = worker.share(m.elems());
    for (std::int64_t i = mine.begin; i < mine.end; ++i)
      call.out[0].f32()[i] = static_cast<float>(sigmoid(m.f32()[i] * scale + call.in[1].f32()[i % m.cols()]) + eps_);
  }

private:
  double eps_;
};

class StreamMix final : public Kernel {
public:
  explicit StreamMix(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.in[0], &a = call.in[1];
    const std::int64_t n = s.dim(1), m = a.rank == 3 ? a.dim(2) : 1, width = s.cols();
    const Range mine = worker.share(s.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      mix(s.f32() + t * n * width, a.f32() + t * n * m, n, m, width, call.out[0].f32() + t * m * width);
  }
};

class StreamAdd final : public Kernel {
public:
  explicit StreamAdd(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& s = call.in[0];
    const std::int64_t n = s.dim(1);
    const Range mine = worker.share(s.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const double post = call.in[2].f32()[r];
      const float* y = call.in[1].f32_row(r / n);
      for (std::int64_t d = 0; d < s.cols(); ++d)
        call.out[0].f32_row(r)[d] = static_cast<float>(s.f32_row(r)[d] + post * y[d]);
    }
  }
};

/// m[t] = fn·(flat streams of t, normalised), shared over the rows of fn.
void mixing_numbers(const Tensor& s, const Tensor& fn, double eps, const Worker& worker, float* row, double* scale,
                    double* m) {
  const std::int64_t tokens = s.dim(0), width = s.dim(1) * s.dim(2);
  const Range mine = worker.share(tokens);
  for (std::int64_t t = mine.begin; t < mine.end; ++t)
    scale[t] = rms_scale({s.f32() + t * width, static_cast<std::size_t>(width)}, eps);
  worker.barrier();
  const Range rows = worker.share(fn.rows());
  product(s.f32(), tokens, fn, rows, row, m, fn.rows());
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t r = rows.begin; r < rows.end; ++r) m[t * fn.rows() + r] *= scale[t];
  worker.barrier();
}

class HcPre final : public Kernel {
public:
  explicit HcPre(const NodeView& node)
      : split_{node.in(0).dim(1), node.attr_int("iters"), node.attr_float("eps")}, rms_eps_(node.attr_float("rms_eps")),
        tokens_(node.in(0).dim(0)), rows_(node.in(1).rows()), cols_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return (scratch_for<float>(cols_) + scratch_for<float>(split_.n) + scratch_for<double>(split_.n * split_.n)) *
               workers +
           scratch_for<double>(tokens_) + scratch_for<double>(tokens_ * rows_);
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& s = call.in[0];
    const std::int64_t n = split_.n, width = s.cols();
    Scratch scratch(call.scratch);
    float* row = scratch.take_own<float>(cols_, worker.index(), worker.count());
    float* pre = scratch.take_own<float>(n, worker.index(), worker.count());
    double* work = scratch.take_own<double>(n * n, worker.index(), worker.count());
    double* scale = scratch.take<double>(tokens_);
    double* m = scratch.take<double>(tokens_ * rows_);
    mixing_numbers(s, call.in[1], rms_eps_, worker, row, scale, m);
    const Range mine = worker.share(s.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      split_.apply(m + t * rows_, call.in[2].f32(), call.in[3].f32(), work, pre, call.out[1].f32_row(t),
                   call.out[2].f32() + t * n * n);
      mix(s.f32() + t * n * width, pre, n, 1, width, call.out[0].f32_row(t));
    }
  }

private:
  Split split_;
  double rms_eps_;
  std::int64_t tokens_, rows_, cols_;
};

/// out[c] = post[c]·y + sum over r of comb[r][c]·s[r]
class HcPost final : public Kernel {
public:
  explicit HcPost(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& s = call.in[0];
    const std::int64_t n = s.dim(1), width = s.cols();
    const Range mine = worker.share(s.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const float* streams = s.f32() + t * n * width;
      const float *y = call.in[1].f32_row(t), *post = call.in[2].f32_row(t), *comb = call.in[3].f32() + t * n * n;
      for (std::int64_t c = 0; c < n; ++c)
        for (std::int64_t d = 0; d < width; ++d) {
          double sum = static_cast<double>(post[c]) * y[d];
          for (std::int64_t r = 0; r < n; ++r) sum += static_cast<double>(comb[r * n + c]) * streams[r * width + d];
          call.out[0].f32()[(t * n + c) * width + d] = static_cast<float>(sum);
        }
    }
  }
};

class HcHead final : public Kernel {
public:
  explicit HcHead(const NodeView& node)
      : eps_(node.attr_float("eps")), rms_eps_(node.attr_float("rms_eps")), tokens_(node.in(0).dim(0)),
        n_(node.in(1).rows()), cols_(node.in(1).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return (scratch_for<float>(cols_) + scratch_for<float>(n_)) * workers + scratch_for<double>(tokens_) +
           scratch_for<double>(tokens_ * n_);
  }

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& s = call.in[0];
    const double gain = call.in[3].f32()[0];
    Scratch scratch(call.scratch);
    float* row = scratch.take_own<float>(cols_, worker.index(), worker.count());
    float* gate = scratch.take_own<float>(n_, worker.index(), worker.count());
    double* scale = scratch.take<double>(tokens_);
    double* m = scratch.take<double>(tokens_ * n_);
    mixing_numbers(s, call.in[1], rms_eps_, worker, row, scale, m);
    const Range mine = worker.share(s.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      for (std::int64_t i = 0; i < n_; ++i)
        gate[i] = static_cast<float>(sigmoid(m[t * n_ + i] * gain + call.in[2].f32()[i]) + eps_);
      mix(s.f32() + t * cols_, gate, n_, 1, s.cols(), call.out[0].f32_row(t));
    }
  }

private:
  double eps_, rms_eps_;
  std::int64_t tokens_, n_, cols_;
};

} // namespace

std::vector<sdk::KernelEntry> hyper_kernels() {
  return {entry<RepeatStreams>("repeat_streams"),
          entry<HcSplit>("hc_split"),
          entry<HcGate>("hc_gate"),
          entry<StreamMix>("stream_mix"),
          entry<StreamAdd>("stream_add"),
          entry<HcPre>("hc_pre"),
          entry<HcPost>("hc_post"),
          entry<HcHead>("hc_head")};
}

} // namespace seacliff::reference
