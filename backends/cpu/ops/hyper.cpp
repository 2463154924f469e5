// Hyper-connections: hc_split, hc_gate, stream_mix, stream_add, hc_pre, hc_post, hc_head.
#include "gemm.hpp"
#include "op_kernel.hpp"

#include <cmath>
#include <cstring>

namespace seacliff::cpu {
namespace {

constexpr std::int64_t k_streams = 8;  // most streams
constexpr std::int64_t k_cell = 512;   // columns of one piece of work
constexpr std::int64_t k_batch = 18;   // tokens whose gates a worker computes together,
constexpr std::int64_t k_together = 6; // in groups of so many

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

/// Gates and mixing matrix of one token from its 2n+n² products.
struct Split {
  std::int64_t n;
  std::int64_t iterations;
  float eps;

  void operator()(const float* m, const float* base, const float* scale, float* pre, float* post, float* comb) const {
    for (std::int64_t i = 0; i < n; ++i) {
      pre[i] = sigmoid(m[i] * scale[0] + base[i]) + eps;
      post[i] = 2.0f * sigmoid(m[n + i] * scale[1] + base[n + i]);
    }
    for (std::int64_t r = 0; r < n; ++r) softmax_row(m + 2 * n + r * n, base + 2 * n + r * n, scale[2], comb + r * n);
    normalise_columns(comb);
    for (std::int64_t i = 1; i < iterations; ++i) {
      normalise_rows(comb);
      normalise_columns(comb);
    }
  }

private:
  void softmax_row(const float* m, const float* base, float scale, float* out) const {
    float top = -INFINITY, total = 0;
    for (std::int64_t c = 0; c < n; ++c) top = std::max(top, out[c] = m[c] * scale + base[c]);
    for (std::int64_t c = 0; c < n; ++c) total += out[c] = std::exp(out[c] - top);
    for (std::int64_t c = 0; c < n; ++c) out[c] = out[c] / total + eps;
  }
  void normalise_rows(float* a) const {
    for (std::int64_t r = 0; r < n; ++r) {
      float total = eps;
      for (std::int64_t c = 0; c < n; ++c) total += a[r * n + c];
      for (std::int64_t c = 0; c < n; ++c) a[r * n + c] /= total;
    }
  }
  void normalise_columns(float* a) const {
    float total[k_streams];
    for (std::int64_t c = 0; c < n; ++c) total[c] = eps;
    for (std::int64_t r = 0; r < n; ++r)
      for (std::int64_t c = 0; c < n; ++c) total[c] += a[r * n + c];
    for (std::int64_t r = 0; r < n; ++r)
      for (std::int64_t c = 0; c < n; ++c) a[r * n + c] /= total[c];
  }
};

class HcSplit final : public OpKernel {
public:
  HcSplit(const Isa& isa, const NodeView& node)
      : OpKernel(isa), split_{node.out(0).cols(), node.attr_int("iters"), static_cast<float>(node.attr_float("eps"))} {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t n = split_.n;
    const Range mine = worker.share(call.input(0).rows());
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      split_(call.input(0).f32_row(t), call.input(1).f32(), call.input(2).f32(), call.output(0).f32() + t * n,
             call.output(1).f32() + t * n, call.output(2).f32() + t * n * n);
  }

private:
  Split split_;
};

class HcGate final : public OpKernel {
public:
  HcGate(const Isa& isa, const NodeView& node) : OpKernel(isa), eps_(static_cast<float>(node.attr_float("eps"))) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t n = call.output(0).cols();
    const float scale = call.input(2).f32()[0];
    const Range mine = worker.share(call.output(0).elems());
    for (std::int64_t i = mine.begin; i < mine.end; ++i)
      call.output(0).f32()[i] = sigmoid(call.input(0).f32()[i] * scale + call.input(1).f32()[i % n]) + eps_;
  }

private:
  float eps_;
};

/// Streams [n, E] of a token into `to` streams, with or without another vector on top.
struct Streams {
  std::int64_t n, to, width;
  /// `next`: elements to the y of the token that is mixed next, see MixArgs.
  void mix(const Isa& isa, const float* s, const float* a, const float* y, const float* post, float* out, Range cols,
           std::int64_t next = 0) const {
    isa.mix({s + cols.begin, out + cols.begin, width, cols.end - cols.begin, n, to, a,
             y != nullptr ? y + cols.begin : nullptr, post, next});
  }
};

class StreamMix final : public OpKernel {
public:
  StreamMix(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.input(0), &a = call.input(1);
    const Streams streams{s.dim(1), a.rank == 3 ? a.dim(2) : 1, s.dim(2)};
    each_cell(worker, s.dim(0), streams.width, k_cell, [&](std::int64_t t, Range cols) {
      streams.mix(isa_, s.f32() + t * streams.n * streams.width, a.f32() + t * streams.n * streams.to, nullptr, nullptr,
                  call.output(0).f32() + t * streams.to * streams.width, cols);
    });
  }
};

class StreamAdd final : public OpKernel {
public:
  StreamAdd(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.input(0), &y = call.input(1), &post = call.input(2), &out = call.output(0);
    const std::int64_t n = s.dim(1);
    const float one = 1.0f;
    each_cell(worker, s.rows(), s.cols(), k_cell, [&](std::int64_t row, Range cols) {
      const Streams single{1, 1, s.cols()};
      single.mix(isa_, s.f32_row(row), &one, y.f32_row(row / n), post.f32() + row, out.f32_row(row), cols);
    });
  }
};

class HcPost final : public OpKernel {
public:
  HcPost(const Isa& isa, const NodeView& node)
      : OpKernel(isa), few_(node.in(0).dim(1) <= k_streams), token_(node.in(0).dim(1) * node.in(0).dim(2)) {}
  bool in_place() const override { return few_; }
  std::int64_t part() const override { return token_; }
  void run_part(const KernelCall& call, Range range) const noexcept override {
    const std::int64_t width = call.input(0).dim(2);
    for (std::int64_t t = range.begin / token_; t < range.end / token_; ++t) mix(call, t, {0, width}, width);
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& s = call.input(0);
    each_cell(worker, s.dim(0), s.dim(2), k_cell, [&](std::int64_t t, Range cols) { mix(call, t, cols); });
  }

private:
  void mix(const KernelCall& call, std::int64_t t, Range cols, std::int64_t next = 0) const {
    const Tensor &s = call.input(0), &y = call.input(1), &post = call.input(2), &comb = call.input(3);
    const Streams streams{s.dim(1), s.dim(1), s.dim(2)};
    streams.mix(isa_, s.f32() + t * token_, comb.f32() + t * streams.n * streams.n, y.f32_row(t),
                post.f32() + t * streams.n, call.output(0).f32() + t * token_, cols, next);
  }
  bool few_;
  std::int64_t token_; // elements
};

/// fn . s * rms(s) for all tokens, the part that hc_pre and hc_head share. Few tokens: the length n·E is split over the
/// workers and the partial sums are added in their order; many: each worker takes whole tokens.
class GateProduct {
public:
  GateProduct(const Isa& isa, const ValueView& fn, float rms_eps)
      : isa_(isa), gemm_(isa, fn, false), eps_(rms_eps),
        grain_(std::max<std::int64_t>(64, dtype_info(fn.dtype()).block_elems)) {}

  std::int64_t rows() const { return gemm_.n(); }
  static bool by_length(std::int64_t tokens, const Worker& worker) { return tokens < worker.count(); }
  std::uint64_t scratch_bytes(std::int64_t max_tokens, std::uint32_t workers) const {
    const auto tokens = static_cast<std::uint64_t>(std::min<std::int64_t>(max_tokens, workers));
    return up_to_line(tokens * (workers + 1) * static_cast<std::uint64_t>(rows() + 1) * sizeof(float));
  }

  /// This worker's share of the length, into `partial` [workers, tokens, rows + 1]; the last is the sum of squares.
  void accumulate(const Tensor& s, const Tensor& fn, float* partial, const Worker& worker) const {
    const std::int64_t tokens = s.dim(0), columns = rows() + 1;
    float* mine = partial + worker.index() * tokens * columns;
    product(s.f32(), tokens, worker.share(gemm_.k(), grain_), fn, mine);
  }
  /// The products of token t from all partial sums.
  void collect(const float* partial, std::int64_t t, std::int64_t tokens, std::uint32_t workers, float* m) const {
    const std::int64_t columns = rows() + 1;
    float squares = 0;
    std::fill_n(m, rows(), 0.0f);
    for (std::uint32_t w = 0; w < workers; ++w) {
      const float* p = partial + (w * tokens + t) * columns;
      for (std::int64_t i = 0; i < rows(); ++i) m[i] += p[i];
      squares += p[rows()];
    }
    normalise(m, squares);
  }
  /// All of tokens [t, t + count) by one worker, which reads `fn` once for them; m is [count, rows() + 1].
  void whole(const Tensor& s, std::int64_t t, std::int64_t count, const Tensor& fn, float* m) const {
    product(s.f32() + t * gemm_.k(), count, {0, gemm_.k()}, fn, m);
    for (std::int64_t i = 0; i < count; ++i, m += rows() + 1) normalise(m, m[rows()]);
  }

private:
  void product(const float* s, std::int64_t tokens, Range length, const Tensor& fn, float* out) const {
    const std::int64_t n = length.end - length.begin;
    if (n == 0) {
      std::fill_n(out, tokens * (rows() + 1), 0.0f);
      return;
    }
    GemmArgs args{};
    args.w = fn.row(0) + row_bytes(fn.dtype, static_cast<std::uint64_t>(length.begin));
    args.rows = rows();
    args.k = n;
    args.x = reinterpret_cast<const std::byte*>(s + length.begin);
    args.x_stride = static_cast<std::uint64_t>(gemm_.k()) * sizeof(float);
    args.tokens = tokens;
    args.y = out;
    args.y_stride = rows() + 1;
    if (tokens > 1) return gemm_.run_squares(args);
    gemm_.run(args, {args.x, args.x_stride}); // reads the weights at once into registers
    out[rows()] = isa_.sum_squares(s + length.begin, n);
  }
  void normalise(float* m, float squares) const {
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(gemm_.k()) + eps_);
    for (std::int64_t i = 0; i < rows(); ++i) m[i] *= scale;
  }

  const Isa& isa_;
  Gemm gemm_;
  float eps_;
  std::int64_t grain_;
};

/// hc_pre and hc_head: product, gates, mix. GATES turns the products of a token into gates and writes what else the op
/// gives (`lead` is set for one worker per token).
template <class Gates> class GatedMix : public OpKernel {
public:
  GatedMix(const Isa& isa, const NodeView& node, Gates gates)
      : OpKernel(isa), product_(isa, node.in(1), static_cast<float>(node.attr_float("rms_eps", 1e-6))), gates_(gates),
        max_tokens_(node.in(0).dim(0)), token_(node.in(0).dim(1) * node.in(0).dim(2)), width_(node.in(0).dim(2)) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return product_.scratch_bytes(max_tokens_, workers);
  }
  std::int64_t takes_before() const override { return token_; }
  std::int64_t takes_after() const override { return width_; }
  std::uint32_t tickets() const override { return 1; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.input(0), &fn = call.input(1);
    const std::int64_t tokens = s.dim(0), n = s.dim(1), width = s.dim(2);
    float m[k_batch * (2 * k_streams + k_streams * k_streams + 1)], gate[k_streams];
    const auto mix = [&](const float* products, std::int64_t t, Range cols, bool lead) {
      gates_(products, call, t, gate, lead);
      const Streams streams{n, 1, width};
      streams.mix(isa_, s.f32() + t * n * width, gate, nullptr, nullptr, call.output(0).f32_row(t), cols);
    };
    if (GateProduct::by_length(tokens, worker)) {
      call.run_all_before(worker);
      auto* partial = reinterpret_cast<float*>(call.scratch.data());
      product_.accumulate(s, fn, partial, worker);
      worker.barrier();
      const Range cols = worker.share(width, k_row_grain);
      for (std::int64_t t = 0; t < tokens; ++t) {
        product_.collect(partial, t, tokens, worker.count(), m);
        mix(m, t, cols, worker.index() == 0);
      }
      call.run_all_after(worker);
      return;
    }
    // Batches for a turn of all workers more than needed, taken by whoever is free.
    const std::int64_t workers = worker.count(), least = (tokens + k_batch * workers - 1) / (k_batch * workers);
    const std::int64_t share = (workers > 1 ? least + 1 : least) * workers, fair = (tokens + share - 1) / share;
    const std::int64_t batch = fair > k_together ? (fair + k_together - 1) / k_together * k_together : fair;
    sdk::take_pieces(call.tickets[0], (tokens + batch - 1) / batch, [&](std::int64_t piece) {
      const std::int64_t t = piece * batch, count = std::min(batch, tokens - t);
      call.run_before({t * token_, (t + count) * token_});
      product_.whole(s, t, count, fn, m);
      for (std::int64_t i = 0; i < count; ++i) mix(m + i * (product_.rows() + 1), t + i, {0, width}, true);
      call.run_after({t * width_, (t + count) * width_});
    });
  }

private:
  GateProduct product_;
  Gates gates_;
  std::int64_t max_tokens_, token_, width_; // the others: elements of the streams of a token, of one stream
};

struct PreGates {
  Split split;
  void operator()(const float* m, const KernelCall& call, std::int64_t t, float* gate, bool lead) const {
    const std::int64_t n = split.n;
    float post[k_streams], comb[k_streams * k_streams];
    split(m, call.input(2).f32(), call.input(3).f32(), gate, post, comb);
    if (!lead) return;
    std::copy_n(post, n, call.output(1).f32() + t * n);
    std::copy_n(comb, n * n, call.output(2).f32() + t * n * n);
  }
};
struct HeadGates {
  float eps;
  std::int64_t n;
  void operator()(const float* m, const KernelCall& call, std::int64_t, float* gate, bool) const {
    const float scale = call.input(3).f32()[0];
    for (std::int64_t i = 0; i < n; ++i) gate[i] = sigmoid(m[i] * scale + call.input(2).f32()[i]) + eps;
  }
};

Claim few_streams(std::int64_t n) {
  return n >= 1 && n <= k_streams ? Claim::ok() : Claim::no("at most 8 streams, not " + std::to_string(n));
}

} // namespace

Claim claim_hc_split(const NodeView& node) { return few_streams(node.out(0).cols()); }
Claim claim_hc_gate(const NodeView&) { return Claim::ok(); }
Claim claim_stream_mix(const NodeView&) { return Claim::ok(); }
Claim claim_stream_add(const NodeView&) { return Claim::ok(); }
Claim claim_hc_pre(const NodeView& node) { return all_of({few_streams(node.in(0).dim(1)), with_weights(node, {1})}); }
Claim claim_hc_post(const NodeView&) { return Claim::ok(); }
Claim claim_hc_head(const NodeView& node) { return claim_hc_pre(node); }

std::unique_ptr<sdk::Kernel> make_hc_split(const Isa& i, const NodeView& n) { return make_kernel<HcSplit>(i, n); }
std::unique_ptr<sdk::Kernel> make_hc_gate(const Isa& i, const NodeView& n) { return make_kernel<HcGate>(i, n); }
std::unique_ptr<sdk::Kernel> make_stream_mix(const Isa& i, const NodeView& n) { return make_kernel<StreamMix>(i, n); }
std::unique_ptr<sdk::Kernel> make_stream_add(const Isa& i, const NodeView& n) { return make_kernel<StreamAdd>(i, n); }
std::unique_ptr<sdk::Kernel> make_hc_post(const Isa& i, const NodeView& n) { return make_kernel<HcPost>(i, n); }
std::unique_ptr<sdk::Kernel> make_hc_pre(const Isa& isa, const NodeView& node) {
  const PreGates gates{{node.in(0).dim(1), node.attr_int("iters"), static_cast<float>(node.attr_float("eps"))}};
  return std::make_unique<GatedMix<PreGates>>(isa, node, gates);
}
std::unique_ptr<sdk::Kernel> make_hc_head(const Isa& isa, const NodeView& node) {
  const HeadGates gates{static_cast<float>(node.attr_float("eps")), node.in(0).dim(1)};
  return std::make_unique<GatedMix<HeadGates>>(isa, node, gates);
}

} // namespace seacliff::cpu
