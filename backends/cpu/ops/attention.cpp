// ring_write, gather_kv, attn_scores, softmax_sink, attn_mix, attention_mixed.
#include "op_kernel.hpp"
#include "state.hpp"

#include <cmath>

namespace seacliff::cpu {
namespace {

/// What a token sees: raw rows old to new (from the ring before the run began, from the batch since), then compressed
/// ones.
class View {
public:
  View(const NodeView& node) : window_(node.attr_int("window", 1)), ratio_(node.attr_int("ratio")) {}

  struct Rows {
    Segment segment[4];
    std::int64_t n = 0;
    std::int64_t count() const {
      std::int64_t sum = 0;
      for (std::int64_t s = 0; s < n; ++s) sum += segment[s].count;
      return sum;
    }
    Rows part(const Range& range) const {
      Rows some;
      std::int64_t at = 0;
      for (std::int64_t s = 0; s < n; at += segment[s++].count) {
        const Segment& of = segment[s];
        const std::int64_t from = std::max(range.begin, at) - at, count = std::min(range.end - at, of.count) - from;
        if (count <= 0) continue;
        if (of.pick != nullptr)
          some.add(of.base, of.stride, count, of.half, of.pick + from);
        else
          some.add(of.base + static_cast<std::uint64_t>(from) * of.stride, of.stride, count, of.half);
      }
      return some;
    }
    void add(const std::byte* base, std::uint64_t stride, std::int64_t count, bool half,
             const std::int32_t* pick = nullptr) {
      if (count > 0) segment[n++] = {base, stride, count, pick, half};
    }
  };

  /// Of tokens [t, t + tokens) of one run together.
  Rows of(std::int64_t t, const Batch& batch, const Tensor& k, const State& ring, const Tensor* cache,
          const Tensor* sel, std::int64_t tokens = 1) const {
    Rows rows;
    const std::int64_t p = batch.pos[t] + tokens - 1, start = batch.start(t), slot = batch.slot(t);
    const std::int64_t oldest = oldest_of(batch.pos[t]);
    if (oldest < start) {
      const std::int64_t at = oldest % ring.rows(), count = start - oldest;
      const std::int64_t until_wrap = std::min(count, ring.rows() - at);
      rows.add(ring.row(slot, at), ring.stride(), until_wrap, ring.half());
      rows.add(ring.row(slot, 0), ring.stride(), count - until_wrap, ring.half());
    }
    const std::int64_t from = std::max(oldest, start);
    rows.add(reinterpret_cast<const std::byte*>(k.f32_row(batch.first(t) + from - start)), k.row_stride(), p - from + 1,
             false);
    if (cache == nullptr) return rows;
    const State compressed(*cache);
    const std::int64_t visible = visible_rows(p, ratio_, compressed.rows());
    if (sel == nullptr) {
      rows.add(compressed.row(slot, 0), compressed.stride(), visible, compressed.half());
      return rows;
    }
    const std::int32_t* pick = sel->i32() + (t + tokens - 1) * sel->cols();
    rows.add(compressed.row(slot, 0), compressed.stride(), picked(pick, sel->cols(), compressed.rows()),
             compressed.half(), pick);
    return rows;
  }

  /// Tokens from t, `most` at most, of which each sees the compressed rows of the one before, in their order.
  std::int64_t alike(std::int64_t t, std::int64_t most, const Batch& batch, const Tensor* cache,
                     const Tensor* sel) const {
    most = std::min(most, batch.last(t) + 1 - t);
    if (cache == nullptr || sel == nullptr) return most;
    std::int64_t n = 1;
    while (n < most && continues(sel->i32() + (t + n) * sel->cols(), sel->cols(), State(*cache).rows())) ++n;
    return n;
  }
  /// What token t of those from `first` sees of their rows together.
  Seen seen(std::int64_t t, std::int64_t first, std::int64_t count, const Batch& batch, const Tensor* cache,
            const Tensor* sel) const {
    const std::int64_t p = batch.pos[t], oldest = oldest_of(batch.pos[first]);
    const std::int64_t window = batch.pos[first] + count - oldest;
    std::int64_t visible = 0;
    if (cache != nullptr) {
      const std::int64_t rows = State(*cache).rows();
      visible =
          sel != nullptr ? picked(sel->i32() + t * sel->cols(), sel->cols(), rows) : visible_rows(p, ratio_, rows);
    }
    return {{oldest_of(p) - oldest, window}, {p + 1 - oldest, window + visible}};
  }

  std::int64_t window() const { return window_; }

private:
  std::int64_t oldest_of(std::int64_t p) const { return std::max<std::int64_t>(0, p - window_ + 1); }
  /// Whether a list of picks begins with that of the token before it, which lies in front of it.
  static bool continues(const std::int32_t* pick, std::int64_t most, std::int64_t rows) {
    const std::int64_t before = picked(pick - most, most, rows);
    return before <= picked(pick, most, rows) && std::equal(pick - most, pick - most + before, pick);
  }
  /// The list of token t ends with its columns or with the first -1.
  static std::int64_t picked(const std::int32_t* pick, std::int64_t most, std::int64_t rows) {
    std::int64_t count = 0;
    while (count < most && pick[count] >= 0 && pick[count] < rows) ++count;
    return count;
  }
  std::int64_t window_, ratio_;
};

const Tensor* optional(const KernelCall& call, std::size_t i) {
  return call.in.size() > i && call.input(i) ? &call.input(i) : nullptr;
}

/// The last rows of each run into the ring.
void write_ring(const Isa& isa, const Tensor& k, const State& ring, const Batch& batch, const Worker& worker) {
  const Range mine = worker.share(batch.tokens);
  for (std::int64_t t = mine.begin; t < mine.end; ++t)
    if (batch.last(t) - t < ring.rows()) ring.write(isa, batch.slot(t), batch.pos[t] % ring.rows(), k.f32_row(t));
}

class RingWrite final : public OpKernel {
public:
  RingWrite(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    write_ring(isa_, call.input(0), State(call.input(1)), Batch(call.input(2), call.input(3)), worker);
  }
};

class GatherKv final : public OpKernel {
public:
  GatherKv(const Isa& isa, const NodeView& node) : OpKernel(isa), view_(node) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Batch batch(call.input(4), call.input(5));
    const State ring(call.input(1));
    const Tensor& out = call.output(0);
    const std::int64_t most = out.dim(1), dim = out.dim(2);
    const Range mine = worker.share(batch.tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const View::Rows rows = view_.of(t, batch, call.input(0), ring, optional(call, 2), optional(call, 3));
      float* to = out.f32() + t * most * dim;
      std::int64_t count = 0;
      for (std::int64_t s = 0; s < rows.n; ++s)
        for (std::int64_t i = 0; i < rows.segment[s].count && count < most; ++i, ++count)
          copy_row(rows.segment[s], i, to + count * dim, dim);
      std::fill_n(to + count * dim, (most - count) * dim, 0.0f);
      call.output(1).i32()[t] = static_cast<std::int32_t>(count);
    }
  }

private:
  void copy_row(const Segment& s, std::int64_t i, float* to, std::int64_t dim) const {
    const std::byte* from = s.base + static_cast<std::uint64_t>(s.pick != nullptr ? s.pick[i] : i) * s.stride;
    if (s.half) {
      isa_.from_half(from, to, dim);
    } else {
      std::memcpy(to, from, static_cast<std::size_t>(dim) * 4);
    }
  }
  View view_;
};

class AttnScores final : public OpKernel {
public:
  AttnScores(const Isa& isa, const NodeView& node)
      : OpKernel(isa), multiply_(isa.find(DType::f32)->gemm),
        scale_(static_cast<float>(node.attr_float("scale", 1.0))) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &q = call.input(0), &rows = call.input(1), &out = call.output(0);
    const std::int64_t heads = q.dim(1), dim = q.dim(2), n = rows.dim(1);
    const Range mine = worker.share(q.dim(0));
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const std::int64_t count = std::clamp<std::int64_t>(call.input(2).i32()[t], 0, n);
      float* s = out.f32() + t * heads * n;
      const auto stride = static_cast<std::uint64_t>(dim) * 4;
      if (count > 0)
        multiply_({reinterpret_cast<const std::byte*>(rows.f32() + t * n * dim), stride, count, dim,
                   reinterpret_cast<const std::byte*>(q.f32() + t * heads * dim), stride, heads, s, n});
      for (std::int64_t h = 0; h < heads; ++h) {
        isa_.scale_by(s + h * n, scale_, nullptr, s + h * n, count);
        std::fill(s + h * n + count, s + (h + 1) * n, -INFINITY);
      }
    }
  }

private:
  void (*multiply_)(const GemmArgs&);
  float scale_;
};

class SoftmaxSink final : public OpKernel {
public:
  SoftmaxSink(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.input(0), &out = call.output(0);
    const std::int64_t heads = s.dim(1), n = s.dim(2);
    const Range mine = worker.share(s.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const std::int64_t count = std::clamp<std::int64_t>(call.input(2).i32()[r / heads], 0, n);
      const float* x = s.f32_row(r);
      float* p = out.f32_row(r);
      const float sink = call.input(1).f32()[r % heads];
      float top = sink, total = 0;
      for (std::int64_t i = 0; i < count; ++i) top = std::max(top, x[i]);
      for (std::int64_t i = 0; i < count; ++i) total += p[i] = std::exp(x[i] - top);
      isa_.scale_by(p, 1.0f / (std::exp(sink - top) + total), nullptr, p, count);
      std::fill(p + count, p + n, 0.0f);
    }
  }
};

class AttnMix final : public OpKernel {
public:
  AttnMix(const Isa& isa, const NodeView&) : OpKernel(isa) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &p = call.input(0), &rows = call.input(1), &out = call.output(0);
    const std::int64_t heads = p.dim(1), n = p.dim(2), dim = rows.dim(2);
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const std::int64_t t = r / heads, count = std::clamp<std::int64_t>(call.input(2).i32()[t], 0, n);
      isa_.mix({rows.f32() + t * n * dim, out.f32_row(r), dim, dim, count, 1, p.f32_row(r), nullptr, nullptr});
    }
  }
};

/// Tokens in pieces of work: some of them together, or some heads of one, or where tokens are few and tile registers
/// multiply, which want many heads, some rows of one for many heads, put together afterwards.
class AttentionMixed final : public OpKernel {
public:
  AttentionMixed(const Isa& isa, const NodeView& node)
      : OpKernel(isa), view_(node), scale_(static_cast<float>(node.attr_float("scale", 1.0))), dim_(node.in(0).cols()),
        act8_(node.attr_int("act8") != 0),
        scratch_(isa.attend_scratch(std::min(k_attend_heads, node.in(0).dim(1)), dim_, act8_)) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return (scratch_ + static_cast<std::uint64_t>(k_split_heads * (dim_ + 2)) * sizeof(float)) * workers;
  }
  bool in_place() const override { return true; }
  std::int64_t takes_before() const override { return dim_; } // heads of a token
  std::int64_t takes_after() const override { return dim_; }
  std::uint32_t tickets() const override { return 1; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Batch batch(call.input(6), call.input(7));
    const State ring(call.input(2));
    const std::int64_t parts = row_parts(call, batch, ring, worker);
    parts > 1 ? attend_parts(call, batch, ring, parts, worker) : attend_whole(call, batch, ring, worker);
    worker.barrier(); // the ring is read until here
    write_ring(isa_, call.input(1), ring, batch, worker);
  }

private:
  static constexpr std::int64_t k_pieces = 4;       // per worker, at least
  static constexpr std::int64_t k_split_heads = 32; // of a piece that has some rows of a token,
  static constexpr std::int64_t k_split_rows = 32;  // so many on average, or more,
  static constexpr std::int64_t k_most_parts = 32;  // in so many parts at most

  /// Whether a row may be multiplied as if f16 held it.
  bool rounded(const State& ring) const { return act8_ || ring.half(); }

  void attend_whole(const KernelCall& call, const Batch& batch, const State& ring, const Worker& worker) const {
    const std::int64_t heads = call.input(0).dim(1);
    const std::int64_t wanted = (worker.count() + batch.tokens - 1) / std::max<std::int64_t>(1, batch.tokens);
    const std::int64_t groups = std::clamp<std::int64_t>(wanted, (heads + k_attend_heads - 1) / k_attend_heads, heads);
    const std::int64_t most = groups > 1 ? 1 : isa_.attend_together(heads, dim_, rounded(ring));
    const std::int64_t together = std::clamp<std::int64_t>(batch.tokens / (k_pieces * worker.count()), 1, most);
    sdk::take_pieces(call.tickets[0], (batch.tokens + together - 1) / together * groups, [&](std::int64_t i) {
      const std::int64_t end = batch.tokens - i / groups * together; // late tokens see more rows
      const Range h = part_of(heads, 1, i % groups, groups);
      for (std::int64_t t = std::max<std::int64_t>(0, end - together); t < end;) {
        const std::int64_t n = view_.alike(t, end - t, batch, optional(call, 3), optional(call, 4));
        attend(call, batch, ring, {t, t + n}, h, call.scratch.data() + scratch_ * worker.index());
        t += n;
      }
    });
  }

  struct Hooks {
    const KernelCall& call;
    std::int64_t first, stride, width; // elements: where the first token's heads begin, from token to token, of a token
    Range of(std::int64_t t) const { return {first + t * stride, first + t * stride + width}; }
    static void before(const void* hooks, std::int64_t t) {
      const Hooks& self = *static_cast<const Hooks*>(hooks);
      self.call.run_before(self.of(t));
    }
    static void after(const void* hooks, std::int64_t t) {
      const Hooks& self = *static_cast<const Hooks*>(hooks);
      self.call.run_after(self.of(t));
    }
  };
  /// Heads `h` of the tokens; of one only if these are not all heads.
  void attend(const KernelCall& call, const Batch& batch, const State& ring, Range tokens, Range h,
              std::byte* scratch) const {
    const Tensor *cache = optional(call, 3), *sel = optional(call, 4);
    const std::int64_t heads = call.input(0).dim(1), count = tokens.end - tokens.begin;
    const View::Rows rows = view_.of(tokens.begin, batch, call.input(1), ring, cache, sel, count);
    Seen seen[k_attend_tokens];
    for (std::int64_t t = 0; t < count; ++t)
      seen[t] = view_.seen(tokens.begin + t, tokens.begin, count, batch, cache, sel);
    const std::int64_t at = (tokens.begin * heads + h.begin) * dim_, width = (h.end - h.begin) * dim_;
    const Hooks hooks{call, at, heads * dim_, width};
    AttendArgs args = args_of(call, ring, rows, scratch);
    args.q += at;
    args.sinks = call.input(5).f32() + h.begin;
    args.o = call.output(0).f32() + at;
    args.heads = h.end - h.begin;
    args.tokens = count;
    args.seen = count > 1 ? seen : nullptr;
    args.before = Hooks::before;
    args.after = Hooks::after;
    args.context = &hooks;
    isa_.attend(args);
  }
  AttendArgs args_of(const KernelCall& call, const State& ring, const View::Rows& rows, std::byte* scratch) const {
    AttendArgs args{};
    args.q = call.input(0).f32();
    args.dim = dim_;
    args.scale = scale_;
    args.segments = rows.segment;
    args.n_segments = rows.n;
    args.scratch = scratch;
    args.rounded = rounded(ring);
    args.act8 = act8_;
    return args;
  }

  /// Into how many parts the rows of each token are divided, 1: not at all.
  std::int64_t row_parts(const KernelCall& call, const Batch& batch, const State& ring, const Worker& worker) const {
    const std::int64_t heads = call.input(0).dim(1);
    if (batch.tokens == 0 || heads % k_split_heads != 0) return 1;
    const std::int64_t workers = worker.count() / (batch.tokens * heads / k_split_heads);
    if (workers < 2 || isa_.attend_together(k_split_heads, dim_, rounded(ring)) == 1) return 1;
    std::int64_t least = std::min(workers, k_most_parts) * k_split_rows;
    for (std::int64_t t = 0; t < batch.tokens; ++t) least = std::min(least, rows_of(call, batch, ring, t).count());
    return least / k_split_rows;
  }
  View::Rows rows_of(const KernelCall& call, const Batch& batch, const State& ring, std::int64_t t) const {
    return view_.of(t, batch, call.input(1), ring, optional(call, 3), optional(call, 4));
  }

  /// Results of parts: [token, group of heads, part].
  struct Parts {
    float *o, *top, *weights; // [.., k_split_heads, dim], [.., k_split_heads]
  };
  Parts parts_in(std::byte* scratch, std::int64_t count, const Worker& worker) const {
    auto* o = reinterpret_cast<float*>(scratch + scratch_ * worker.count());
    float* top = o + count * k_split_heads * dim_;
    return {o, top, top + count * k_split_heads};
  }
  void attend_parts(const KernelCall& call, const Batch& batch, const State& ring, std::int64_t parts,
                    const Worker& worker) const {
    const std::int64_t heads = call.input(0).dim(1), groups = heads / k_split_heads;
    const Range mine = worker.share(batch.tokens * heads);
    if (!call.before.empty()) { // whose rows several workers read
      call.run_before({mine.begin * dim_, mine.end * dim_});
      worker.barrier();
    }
    const Parts results = parts_in(call.scratch.data(), batch.tokens * groups * parts, worker);
    sdk::take_pieces(call.tickets[0], batch.tokens * groups * parts, [&](std::int64_t i) {
      const View::Rows all = rows_of(call, batch, ring, i / parts / groups);
      const View::Rows rows = all.part(part_of(all.count(), 1, i % parts, parts));
      const AttendArgs::Partial partial{results.top + i * k_split_heads, results.weights + i * k_split_heads};
      AttendArgs args = args_of(call, ring, rows, call.scratch.data() + scratch_ * worker.index());
      args.q += i / parts * k_split_heads * dim_;
      args.o = results.o + i * k_split_heads * dim_;
      args.heads = k_split_heads;
      args.tokens = 1;
      args.partial = &partial;
      isa_.attend(args);
    });
    worker.barrier();
    for (std::int64_t h = mine.begin; h < mine.end; ++h)
      put_together(results, h, parts, call.input(5).f32()[h % heads], call.output(0).f32() + h * dim_);
    call.run_after({mine.begin * dim_, mine.end * dim_});
  }
  /// Head h of all tokens' heads.
  void put_together(const Parts& of, std::int64_t h, std::int64_t parts, float sink, float* out) const {
    const std::int64_t first = h / k_split_heads * parts * k_split_heads + h % k_split_heads;
    float top = sink, total = 0, share[k_most_parts];
    for (std::int64_t p = 0; p < parts; ++p) top = std::max(top, of.top[first + p * k_split_heads]);
    for (std::int64_t p = 0; p < parts; ++p) {
      const std::int64_t at = first + p * k_split_heads;
      total += share[p] = of.weights[at] * std::exp(of.top[at] - top);
    }
    total += std::exp(sink - top);
    for (std::int64_t p = 0; p < parts; ++p) share[p] /= total;
    isa_.mix({of.o + first * dim_, out, k_split_heads * dim_, dim_, parts, 1, share, nullptr, nullptr});
  }

  View view_;
  float scale_;
  std::int64_t dim_;
  bool act8_;
  std::uint64_t scratch_; // bytes of a worker
};

} // namespace

Claim claim_ring_write(const NodeView& node) { return with_states(node, {1}); }
Claim claim_gather_kv(const NodeView& node) { return with_states(node, {1, 2}); }
Claim claim_attn_scores(const NodeView&) { return Claim::ok(); }
Claim claim_softmax_sink(const NodeView&) { return Claim::ok(); }
Claim claim_attn_mix(const NodeView&) { return Claim::ok(); }
Claim claim_attention_mixed(const NodeView& node) {
  const std::int64_t dim = node.in(0).cols();
  if (dim > k_attend_dim) return Claim::no("head dimension " + std::to_string(dim) + " is too large");
  return with_states(node, {2, 3});
}

std::unique_ptr<sdk::Kernel> make_ring_write(const Isa& i, const NodeView& n) { return make_kernel<RingWrite>(i, n); }
std::unique_ptr<sdk::Kernel> make_gather_kv(const Isa& i, const NodeView& n) { return make_kernel<GatherKv>(i, n); }
std::unique_ptr<sdk::Kernel> make_attn_scores(const Isa& i, const NodeView& n) { return make_kernel<AttnScores>(i, n); }
std::unique_ptr<sdk::Kernel> make_softmax_sink(const Isa& i, const NodeView& n) {
  return make_kernel<SoftmaxSink>(i, n);
}
std::unique_ptr<sdk::Kernel> make_attn_mix(const Isa& i, const NodeView& n) { return make_kernel<AttnMix>(i, n); }
std::unique_ptr<sdk::Kernel> make_attention_mixed(const Isa& i, const NodeView& n) {
  return make_kernel<AttentionMixed>(i, n);
}

} // namespace seacliff::cpu
