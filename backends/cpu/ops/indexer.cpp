// index_score, top_k_rows, index_select.
#include "gemm.hpp"
#include "op_kernel.hpp"
#include "rotary.hpp"
#include "state.hpp"

#include <bit>
#include <cmath>
#include <limits>

namespace seacliff::cpu {
namespace {

constexpr std::uint32_t k_sign = 1u << 31;

/// Scores as integers of the same order, larger is better; 0 for what is never taken: -inf and NaN. No branches, for
/// signs are as good as random, and no comparison of floats, which GCC would not vectorise.
std::uint32_t order_of(float score) {
  constexpr std::uint32_t lowest = 1u << 23, infinity = 0xff800000u; // orders of the lowest number and of infinity
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);      // -0 and 0 are equal
  const std::uint32_t order = bits ^ (static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 31) | k_sign);
  return order - lowest <= infinity - lowest ? order : 0;
}
float score_of(std::uint32_t order) { return std::bit_cast<float>((order & k_sign) != 0 ? order ^ k_sign : ~order); }

/// The k-th largest of n orders, 0 < k <= n, how many are equal to it, and how many of those are among the k largest. A
/// digit at a time, the highest first; what does not share the digits found so far is thrown away. The first digit is
/// sign, exponent and two more bits: of scores, most of which are of a size, it leaves few.
struct Threshold {
  std::uint32_t order;
  std::int64_t equal, ties;
};
Threshold find_threshold(std::uint32_t* order, std::int64_t n, std::int64_t k) {
  constexpr int bits = 11;
  constexpr std::uint32_t digits = 1u << bits;
  std::uint32_t found = 0;
  for (int top = 32; top > 0; top -= bits) {
    const int shift = std::max(0, top - bits);
    const std::uint32_t mask = (1u << (top - shift)) - 1;
    const auto digit_of = [&](std::int64_t i) { return order[i] >> shift & mask; };
    std::uint32_t counts[2][digits] = {}; // two of them, for neighbours often share a digit
    for (std::int64_t i = 0; i < n; ++i) ++counts[i & 1][digit_of(i)];
    std::uint32_t digit = mask;
    const auto count_of = [&](std::uint32_t d) { return std::int64_t{counts[0][d]} + counts[1][d]; };
    for (; digit > 0 && count_of(digit) < k; --digit) k -= count_of(digit);
    found |= digit << shift;
    std::int64_t left = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const bool shares = digit_of(i) == digit;
      order[left] = order[i];
      left += shares;
    }
    n = left;
  }
  return {found, n, k};
}

/// The k best of n scores (ties to the lower row) in ascending order of row, padded with -1. `orders` holds n.
void select_rows(const float* score, std::int64_t n, std::int64_t k, std::uint32_t* orders, std::int32_t* out) {
  float least = std::numeric_limits<float>::lowest(); // from here on all are taken,
  float tie = least;                                  // and the first few of these
  std::int64_t ties = 0;
  if (n > k) {
    for (std::int64_t i = 0; i < n; ++i) orders[i] = order_of(score[i]);
    if (const Threshold kth = find_threshold(orders, n, k); kth.order != 0) {
      const bool all = kth.ties == kth.equal;
      least = score_of(all ? kth.order : kth.order + 1);
      tie = score_of(kth.order);
      ties = all ? 0 : kth.ties;
    }
  }
  std::int64_t taken = 0;
  for (std::int64_t i = 0; i < n && taken < k; ++i) {
    out[taken] = static_cast<std::int32_t>(i);
    const bool equal = ties > 0 && score[i] == tie;
    ties -= equal;
    taken += score[i] >= least || equal;
  }
  std::fill(out + taken, out + k, -1);
}

Segment cache_rows(const State& cache, std::int64_t slot, Range rows) {
  return {cache.row(slot, rows.begin), cache.stride(), rows.end - rows.begin, nullptr, cache.half()};
}

class IndexScore final : public OpKernel {
public:
  IndexScore(const Isa& isa, const NodeView& node)
      : OpKernel(isa), ratio_(node.attr_int("ratio", 1)), scale_(static_cast<float>(node.attr_float("scale", 1.0))) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &iq = call.input(0), &w = call.input(1), &out = call.output(0);
    const State cache(call.input(2));
    const Batch batch(call.input(3), call.input(4));
    const std::int64_t heads = iq.dim(1), dim = iq.dim(2), n = out.cols();
    each_cell(worker, batch.tokens, n, 64, [&](std::int64_t t, Range rows) {
      const std::int64_t visible = std::min(rows.end, visible_rows(batch.pos[t], ratio_, cache.rows()));
      float* s = out.f32_row(t);
      if (rows.begin < visible)
        isa_.index_score({iq.f32() + t * heads * dim, w.f32_row(t), heads, dim, scale_,
                          cache_rows(cache, batch.slot(t), {rows.begin, visible}), s + rows.begin});
      std::fill(s + std::max(rows.begin, visible), s + rows.end, -INFINITY);
    });
  }

private:
  std::int64_t ratio_;
  float scale_;
};

class TopKRows final : public OpKernel {
public:
  TopKRows(const Isa& isa, const NodeView& node) : OpKernel(isa), max_cols_(node.in(0).cols()) {}
  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return order_bytes() * workers; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &s = call.input(0), &out = call.output(0);
    auto* orders = reinterpret_cast<std::uint32_t*>(call.scratch.data() + order_bytes() * worker.index());
    const Range mine = worker.share(s.rows());
    for (std::int64_t t = mine.begin; t < mine.end; ++t)
      select_rows(s.f32_row(t), s.cols(), out.cols(), orders, out.i32() + t * out.cols());
  }

private:
  std::uint64_t order_bytes() const { return up_to_line(static_cast<std::uint64_t>(max_cols_) * 4); }
  std::int64_t max_cols_;
};

/// Tokens that see no more rows than may be chosen take them all. Of few others each one's rows are divided among the
/// workers, as many tokens at a time as there are workers, and then each worker chooses for one token; of many, each
/// worker has whole tokens.
class IndexSelect final : public OpKernel {
public:
  IndexSelect(const Isa& isa, const NodeView& node)
      : OpKernel(isa), query_(isa, node.in(2), false), head_weights_(isa, node.in(3), false), low_(isa, query_),
        x_(isa, head_weights_), rotary_(node), round_(isa, node, RoundTrip::Kind::index),
        heads_(node.attr_int("heads", 1)), dim_(query_.n() / heads_), ratio_(node.attr_int("ratio", 4)),
        max_tokens_(node.in(0).dim(0)), max_rows_(node.in(4).dim(1)),
        scale_(static_cast<float>(1.0 / std::sqrt(static_cast<double>(heads_ * dim_)))) {}

  std::uint64_t scratch_bytes(std::uint32_t workers) const override { return parts(nullptr, workers).bytes; }

  std::uint32_t tickets() const override { return 3; }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Batch batch(call.input(5), call.input(6));
    const State cache(call.input(4));
    const std::int64_t k = call.output(0).cols();
    std::int64_t needy = 0;
    for (std::int64_t t = 0; t < batch.tokens; ++t) needy += visible_rows(batch.pos[t], ratio_, cache.rows()) > k;
    take_all(call, batch, cache, k, worker);
    if (needy == 0) return;
    const Parts p = parts(call.scratch.data(), worker.count());
    project(call, batch, p, worker);
    const std::int64_t at_once = worker.count(), place = worker.index();
    if (needy >= k_many * at_once) {
      sdk::take_pieces(call.tickets[2], batch.tokens, [&](std::int64_t i) {
        const std::int64_t t = batch.tokens - 1 - i; // late tokens see more rows
        score(batch, cache, k, t, {0, cache.rows()}, p, place);
        choose(call, batch, cache, k, t, p, place);
      });
      return;
    }
    for (std::int64_t first = 0; first < batch.tokens; first += at_once) {
      const Range tokens{first, std::min(batch.tokens, first + at_once)};
      each_cell(worker, tokens.end - tokens.begin, cache.rows(), 64,
                [&](std::int64_t i, Range rows) { score(batch, cache, k, tokens.begin + i, rows, p, i); });
      worker.barrier();
      const Range mine = worker.share(tokens.end - tokens.begin);
      for (std::int64_t i = mine.begin; i < mine.end; ++i) choose(call, batch, cache, k, tokens.begin + i, p, i);
      if (tokens.end < batch.tokens) worker.barrier(); // behind the last ones nobody waits for who chooses
    }
  }

private:
  static constexpr std::int64_t k_many = 4; // tokens per worker that make dividing rows needless

  struct Parts {
    float *query, *weights, *scores;
    std::uint32_t* orders;
    std::byte* own; // of the products
    std::uint64_t bytes;
  };
  Parts parts(std::byte* base, std::uint32_t workers) const {
    Carve carve(base);
    Parts p{};
    p.query = carve.take<float>(static_cast<std::uint64_t>(max_tokens_ * heads_ * dim_));
    p.weights = carve.take<float>(static_cast<std::uint64_t>(max_tokens_ * heads_));
    const auto at_once = static_cast<std::uint64_t>(std::min<std::int64_t>(workers, max_tokens_));
    p.scores = carve.take<float>(at_once * static_cast<std::uint64_t>(max_rows_));
    p.orders = carve.take<std::uint32_t>(at_once * static_cast<std::uint64_t>(max_rows_));
    p.own = carve.take<std::byte>(low_.bytes(max_tokens_, workers));
    p.bytes = carve.used();
    return p;
  }

  void take_all(const KernelCall& call, const Batch& batch, const State& cache, std::int64_t k,
                const Worker& worker) const {
    const Range mine = worker.share(batch.tokens);
    for (std::int64_t t = mine.begin; t < mine.end; ++t) {
      const std::int64_t visible = visible_rows(batch.pos[t], ratio_, cache.rows());
      if (visible > k) continue;
      std::int32_t* out = call.output(0).i32() + t * k;
      for (std::int64_t i = 0; i < k; ++i) out[i] = i < visible ? static_cast<std::int32_t>(i) : -1;
    }
  }

  void project(const KernelCall& call, const Batch& batch, const Parts& p, const Worker& worker) const {
    const std::int64_t tokens = batch.tokens, n = heads_ * dim_;
    const Activations low = low_.prepare(call.input(0).f32(), tokens, tokens, p.own, worker);
    const Activations x = x_.prepare(call.input(1).f32(), tokens, tokens, p.own, worker); // one product after the other
    query_.each_part(worker, tokens, call.tickets[0],
                     [&](const Block2& part) { query_.multiply(call.input(2), 0, low, part, p.query, n); });
    head_weights_.each_part(worker, tokens, call.tickets[1], [&](const Block2& part) {
      head_weights_.multiply(call.input(3), 0, x, part, p.weights, heads_);
    });
    worker.barrier();
    const Range mine = worker.share(batch.tokens * heads_);
    Rotary::Turn turn;
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      if (r == mine.begin || r % heads_ == 0) rotary_.angles(batch.pos[r / heads_], turn);
      rotary_.rotate(p.query + r * dim_, dim_, turn);
      round_.apply(p.query + r * dim_, dim_);
    }
    worker.barrier();
  }

  void score(const Batch& batch, const State& cache, std::int64_t k, std::int64_t t, Range rows, const Parts& p,
             std::int64_t place) const {
    const std::int64_t visible = visible_rows(batch.pos[t], ratio_, cache.rows());
    rows.end = std::min(rows.end, visible);
    if (visible <= k || rows.begin >= rows.end) return;
    isa_.index_score({p.query + t * heads_ * dim_, p.weights + t * heads_, heads_, dim_, scale_,
                      cache_rows(cache, batch.slot(t), rows), p.scores + place * max_rows_ + rows.begin});
  }

  void choose(const KernelCall& call, const Batch& batch, const State& cache, std::int64_t k, std::int64_t t,
              const Parts& p, std::int64_t place) const {
    const std::int64_t visible = visible_rows(batch.pos[t], ratio_, cache.rows());
    if (visible <= k) return;
    select_rows(p.scores + place * max_rows_, visible, k, p.orders + place * max_rows_, call.output(0).i32() + t * k);
  }

  Gemm query_, head_weights_;
  Quantiser low_, x_;
  Rotary rotary_;
  RoundTrip round_;
  std::int64_t heads_, dim_, ratio_, max_tokens_, max_rows_;
  float scale_;
};

Claim can_score(std::int64_t heads, std::int64_t dim) {
  if (heads < 1 || heads > k_attend_heads || dim > k_index_dim)
    return Claim::no(std::to_string(heads) + " heads of " + std::to_string(dim) + " are too many");
  return Claim::ok();
}

} // namespace

Claim claim_index_score(const NodeView& node) {
  return all_of({with_states(node, {2}), can_score(node.in(0).dim(1), node.in(0).dim(2))});
}
Claim claim_top_k_rows(const NodeView&) { return Claim::ok(); }
Claim claim_index_select(const NodeView& node) {
  const std::int64_t heads = node.attr_int("heads", 1), rows = node.in(2).dim(0);
  if (heads < 1 || rows % heads != 0) return Claim::no(std::to_string(rows) + " rows are no whole heads");
  return all_of({with_weights(node, {2, 3}), with_states(node, {4}), can_rotate(node), can_score(heads, rows / heads),
                 can_round(node, RoundTrip::Kind::index, rows / heads)});
}

std::unique_ptr<sdk::Kernel> make_index_score(const Isa& i, const NodeView& n) { return make_kernel<IndexScore>(i, n); }
std::unique_ptr<sdk::Kernel> make_top_k_rows(const Isa& i, const NodeView& n) { return make_kernel<TopKRows>(i, n); }
std::unique_ptr<sdk::Kernel> make_index_select(const Isa& i, const NodeView& n) {
  return make_kernel<IndexSelect>(i, n);
}

} // namespace seacliff::cpu
