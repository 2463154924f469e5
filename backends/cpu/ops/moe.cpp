// moe_experts: all experts of all tokens as one list of work.
//
// Pairs (token, slot) are sorted by expert, so that a weight row is read once for all tokens that want it. Rows of all
// experts lie on one line, as long as their cost, which is cut into pieces that the workers take one by one: whatever
// the routing, all have as much to do. The slots of a token are added in slot order.
#include "gemm.hpp"
#include "op_kernel.hpp"

namespace seacliff::cpu {
namespace {

constexpr std::int64_t k_few_pairs = 64;       // up to here every worker sorts for itself
constexpr std::int64_t k_few_rows = 256;       // of the down product that a worker then does at once
constexpr std::int64_t k_slab_bytes = 1 << 25; // of down products that all do at once when there are more pairs
constexpr std::int64_t k_own_tokens = 128;     // of an expert that a worker packs once for all of its rows, at most
constexpr std::int64_t k_brief_slots = 16;     // experts of a token whose products are rounded, at most
constexpr std::int64_t k_grain = 32;           // rows of an expert that stay together
constexpr std::int64_t k_part = 256;           // rows of gate and up that are quantised together
constexpr std::int64_t k_own_floats = 1 << 16; // of gate, and of up, that fit a second-level cache with what made them
constexpr std::int64_t k_pieces = 12, k_few_pieces = 8; // that the work is cut into, per worker

/// Pairs grouped by expert: those of expert e are pair[begin[e]] .. pair[begin[e+1]].
struct Sorted {
  std::int32_t *begin, *pair, *token;
};

class MoeExperts final : public OpKernel {
public:
  MoeExperts(const Isa& isa, const NodeView& node)
      : OpKernel(isa), gate_(isa, node.in(3), act8(node)), up_(isa, node.in(4), act8(node)),
        down_(isa, node.in(5), act8(node)), x_gate_(isa, gate_), x_up_(isa, up_), x_down_(isa, down_),
        clamp_(static_cast<float>(node.attr_float("clamp"))), experts_(node.in(3).dim(0)), slots_(node.in(1).dim(1)),
        max_tokens_(node.in(0).dim(0)) {}

  std::uint64_t scratch_bytes(std::uint32_t workers) const override {
    return parts(nullptr, max_tokens_, workers).bytes;
  }

  std::int64_t takes_after() const override { return 1; }
  std::uint32_t tickets() const override { // of the gate and up products, of each slab of the down product
    return 1 + static_cast<std::uint32_t>((down_.n() + slab_rows() - 1) / slab_rows());
  }
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const std::int64_t tokens = call.input(0).dim(0), pairs = tokens * slots_;
    const Parts p = parts(call.scratch.data(), max_tokens_, worker.count());
    const Sorted sorted = sort(call.input(1), pairs, p, worker);
    const float* x = call.input(0).f32();
    const Activations xg = x_gate_.prepare(x, tokens, tokens, p.x_gate, worker);
    const Activations xu = gate_.same_acts(up_) ? xg : x_up_.prepare(x, tokens, tokens, p.x_up, worker);
    const Inputs inputs{call, sorted, xg, xu, p};
    if (in_parts(tokens)) {
      const Activations rows = x_down_.empty(pairs, p.mid, worker);
      const bool packs = x_down_.packs();
      const Middle mid{rows, packs ? x_down_.tiles_at(p.mid_tiles, tiles(max_tokens_ * slots_), rows.scratch)
                                   : Activations{}};
      gate_and_up(inputs, worker, [&](Some now, Some) { expert_to_codes(inputs, now.expert, now.rows, mid, worker); });
      worker.barrier();
      down(call, sorted, mid, tokens, p, worker);
    } else {
      gate_and_up(inputs, worker, [&](Some now, Some next) { expert_to_floats(inputs, now, next); });
      worker.barrier();
      const Activations mid = x_down_.prepare(p.gate, pairs, tokens, p.mid, worker);
      down(call, sorted, {mid, {}}, tokens, p, worker);
    }
  }

private:
  struct Parts {
    std::int32_t* sort;
    float *gate, *up, *slots;
    std::byte *x_gate, *x_up, *x_tiles, *mid, *mid_tiles, *mid_own;
    std::uint64_t bytes;
  };

  /// What goes into the down product: of experts with few pairs by pair, of others in tiles, for each slab takes them
  /// anew.
  struct Middle {
    Activations rows, tiles; // tiles: none where the product does not want them
  };
  struct Inputs {
    const KernelCall& call;
    const Sorted& sorted;
    const Activations &gate, &up;
    const Parts& parts;
  };

  static bool act8(const NodeView& node) { return node.attr_int("act8") != 0; }
  std::uint64_t sort_ints(std::int64_t pairs) const { return static_cast<std::uint64_t>(experts_ + 1 + 2 * pairs); }
  static bool few(std::int64_t pairs) { return pairs <= k_few_pairs; }
  /// Whether what goes into the down product is quantised where it is computed, 256 columns at a time.
  bool in_parts(std::int64_t tokens) const { return !few(tokens * slots_) && x_down_.fills(tokens); }
  /// Whether down products wait as f16 to be summed. They are memory's traffic, and products of int8 round away more.
  bool rounds(std::int64_t tokens) const {
    return in_parts(tokens) && x_down_.packs() && isa_.brief_rows() != nullptr && slots_ <= k_brief_slots;
  }
  /// Whether what goes into the gate and up products of a few hundred rows each is packed once for all of them.
  bool packs_once() const { return x_gate_.packs() && gate_.pairs_with(up_); }
  std::uint64_t own_tiles_bytes() const { return x_gate_.tiles_bytes(k_own_tokens / k_packed_tokens); }
  /// Rows of the down product that all workers do at once when there are many pairs.
  std::int64_t slab_rows() const {
    const std::int64_t n = down_.n(), pair = max_tokens_ * slots_ * (rounds(max_tokens_) ? 2 : 4);
    const std::int64_t fit = std::max(k_grain, k_slab_bytes / pair), slabs = (n + fit - 1) / fit;
    return ((n + slabs - 1) / slabs + k_grain - 1) / k_grain * k_grain;
  }
  std::uint64_t slot_floats(std::uint32_t workers) const {
    const std::int64_t pairs = max_tokens_ * slots_, own = k_few_pairs * k_few_rows * workers;
    const std::int64_t plain = rounds(max_tokens_) ? std::min(max_tokens_, k_few_tokens) * slots_ : pairs;
    return static_cast<std::uint64_t>(few(pairs) ? own : std::max({own, pairs * slab_rows(), 2 * plain * slab_rows()}));
  }

  Parts parts(std::byte* base, std::int64_t tokens, std::uint32_t workers) const {
    const std::int64_t pairs = tokens * slots_;
    Carve carve(base);
    Parts p{};
    const std::uint64_t own = sort_ints(std::min(pairs, k_few_pairs)) * workers;
    p.sort = carve.take<std::int32_t>(std::max(own, sort_ints(pairs)));
    // All pairs at once where they are few, else of one expert for each worker.
    const std::int64_t floats = in_parts(tokens) ? std::max(std::max(k_few_pairs, k_few_tokens * slots_) * gate_.n(),
                                                            most_pairs(tokens) * k_part * workers)
                                                 : pairs * gate_.n();
    p.gate = carve.take<float>(static_cast<std::uint64_t>(floats));
    p.up = carve.take<float>(static_cast<std::uint64_t>(floats));
    p.slots = carve.take<float>(slot_floats(workers));
    p.x_gate = carve.take<std::byte>(x_gate_.bytes(tokens, workers));
    p.x_up = carve.take<std::byte>(x_up_.bytes(tokens, workers));
    p.x_tiles = carve.take<std::byte>(in_parts(tokens) && packs_once() ? own_tiles_bytes() * workers : 0);
    p.mid = carve.take<std::byte>(x_down_.bytes(pairs, workers));
    p.mid_tiles = carve.take<std::byte>(in_parts(tokens) && x_down_.packs() ? x_down_.tiles_bytes(tiles(pairs)) : 0);
    p.mid_own = carve.take<std::byte>(in_parts(tokens) && x_down_.packs() ? x_down_.own_rows_bytes() * workers : 0);
    p.bytes = carve.used();
    return p;
  }

  /// Tiles of 16 pairs of one expert: where those of an expert begin whose first pair is the so-manieth, and how many
  /// there can be.
  static std::int64_t first_tile(std::int64_t e, std::int64_t first_pair) { return first_pair / k_packed_tokens + e; }
  std::int64_t tiles(std::int64_t pairs) const { return first_tile(experts_, pairs); }

  Sorted sort(const Tensor& ids, std::int64_t pairs, const Parts& p, const Worker& worker) const {
    const bool alone = few(pairs);
    std::int32_t* base = p.sort + (alone ? sort_ints(pairs) * worker.index() : 0);
    const Sorted s{base, base + experts_ + 1, base + experts_ + 1 + pairs};
    if (alone || worker.index() == 0) count_and_place(ids.i32(), pairs, s);
    if (!alone) worker.barrier();
    return s;
  }
  void count_and_place(const std::int32_t* ids, std::int64_t pairs, const Sorted& s) const {
    std::fill_n(s.begin, experts_ + 1, 0);
    for (std::int64_t i = 0; i < pairs; ++i)
      if (valid(ids[i])) ++s.begin[ids[i]];
    std::int32_t total = 0;
    for (std::int64_t e = 0; e <= experts_; ++e) s.begin[e] = (total += s.begin[e]); // ends, for now
    for (std::int64_t i = pairs - 1; i >= 0; --i)
      if (valid(ids[i])) {
        const std::int32_t at = --s.begin[ids[i]];
        s.pair[at] = static_cast<std::int32_t>(i);
        s.token[at] = static_cast<std::int32_t>(i / slots_);
      }
  }

  /// Rows of each expert, in blocks that stay together.
  struct Rows {
    std::int64_t n, grain;
    std::int64_t blocks() const { return (n + grain - 1) / grain; }
  };
  /// What a block of an expert with so many tokens costs: few tokens are taken one by one, more by 16, after an
  /// unpacking that costs as much as two of these.
  std::int64_t cost_of(std::int64_t tokens) const {
    return tokens <= gate_.few_of_many() ? 9 + 3 * tokens : 24 + (tokens + 15) / 16 * 12;
  }

  /// Some rows of an expert.
  struct Some {
    std::int64_t expert;
    Range rows;
  };
  /// body(some, next) for the rows of every expert in use, in pieces taken by ticket; `next`: what the same worker goes
  /// on with, no rows at its end.
  template <class Body>
  void share_rows(const Sorted& s, Rows rows, const Worker& worker, sdk::Ticket& ticket, Body body) const {
    std::int64_t total = 0;
    for (std::int64_t e = 0; e < experts_; ++e)
      if (s.begin[e + 1] > s.begin[e]) total += rows.blocks() * cost_of(s.begin[e + 1] - s.begin[e]);
    const std::int64_t per_worker = few(s.begin[experts_]) ? k_few_pieces : k_pieces;
    const std::int64_t pieces = worker.count() == 1 ? 1 : worker.count() * per_worker;
    const auto begin_of = [&](std::int64_t i) {
      const std::int64_t begin = shrinking(total, i, pieces);
      return whole_experts(s, rows, begin, shrinking(total, i + 1, pieces) - begin);
    };
    Some now{0, {}};
    const auto one_behind = [&](std::int64_t e, Range rows_of_e) {
      const Some next{e, rows_of_e};
      if (now.rows.begin < now.rows.end) body(now, next);
      now = next;
    };
    sdk::take_pieces(ticket, pieces, [&](std::int64_t i) {
      rows_of(s, rows, {begin_of(i), begin_of(i + 1)}, one_behind);
    });
    if (now.rows.begin < now.rows.end) body(now, {0, {}});
  }
  /// Where a piece of `size` begins: with an expert if it is longer than that, so that fewer experts are shared by two
  /// workers, which both bring its tokens near.
  std::int64_t whole_experts(const Sorted& s, Rows rows, std::int64_t begin, std::int64_t size) const {
    std::int64_t start = 0;
    for (std::int64_t e = 0; e < experts_; ++e) {
      const std::int64_t count = s.begin[e + 1] - s.begin[e], cost = count > 0 ? rows.blocks() * cost_of(count) : 0;
      if (begin < start + cost) return size >= cost ? start : begin;
      start += cost;
    }
    return begin;
  }
  /// The part of the line within [piece.begin, piece.end).
  template <class Body> void rows_of(const Sorted& s, Rows all, Range piece, Body& body) const {
    const std::int64_t blocks = all.blocks();
    std::int64_t start = 0;
    for (std::int64_t e = 0; e < experts_ && start < piece.end; ++e) {
      const std::int64_t count = s.begin[e + 1] - s.begin[e], cost = cost_of(count);
      if (count == 0) continue;
      // Blocks whose first unit of cost lies in the piece.
      const auto first_from = [&](std::int64_t at) {
        return std::clamp<std::int64_t>((at - start + cost - 1) / cost, 0, blocks);
      };
      const std::int64_t begin = piece.begin > start ? first_from(piece.begin) : 0, end = first_from(piece.end);
      const Range rows{std::min(all.n, begin * all.grain), std::min(all.n, end * all.grain)};
      if (rows.begin < rows.end) body(e, rows);
      start += blocks * cost;
    }
  }

  template <class Body> void gate_and_up(const Inputs& in, const Worker& worker, Body body) const {
    const std::int64_t grain = in_parts(in.call.input(0).dim(0)) ? k_part : k_grain;
    share_rows(in.sorted, {gate_.n(), grain}, worker, in.call.tickets[0], body);
  }
  /// Pairs of an expert at once, whole tiles of them: that is what there is scratch for. A token may have an expert
  /// more than once.
  static std::int64_t most_pairs(std::int64_t tokens) {
    return (tokens + k_packed_tokens - 1) / k_packed_tokens * k_packed_tokens;
  }
  template <class Body> static void each_group(const Inputs& in, std::int64_t e, Body body) {
    const std::int64_t most = most_pairs(in.call.input(0).dim(0)), end = in.sorted.begin[e + 1];
    for (std::int64_t first = in.sorted.begin[e]; first < end; first += most)
      body(Range{first, std::min(end, first + most)});
  }
  /// nullptr where there is none.
  static const std::byte* first_of(const Tensor& w, std::int64_t n, Some some) {
    return some.rows.begin < some.rows.end ? w.row(some.expert * n + some.rows.begin) : nullptr;
  }
  /// Both products for rows of expert e: row i of y.gate and y.up, or row rows[i], is the i-th pair's.
  struct Products {
    float *gate, *up;
    std::int64_t stride;
    const std::int32_t* rows; // nullptr: in order
  };
  /// `tiles`: the pairs' tokens, if they have been packed.
  void multiply(const Inputs& in, std::int64_t e, Range rows, Range pairs, const Products& y, Some next = {},
                const Activations& tiles = {}) const {
    GemmArgs args{};
    args.rows = rows.end - rows.begin;
    args.tokens = pairs.end - pairs.begin;
    args.x_row = in.sorted.token + pairs.begin;
    args.y_row = y.rows;
    args.y_stride = y.stride;
    const std::byte* up = in.call.input(4).row(e * up_.n() + rows.begin);
    args.w = in.call.input(3).row(e * gate_.n() + rows.begin);
    args.next = first_of(in.call.input(3), gate_.n(), next);
    args.y = y.gate;
    if (gate_.pairs_with(up_)) {
      args.w2 = up;
      args.y2 = y.up;
      return gate_.run(args, tiles.packed ? tiles : in.gate);
    }
    gate_.run(args, in.gate);
    args.w = up;
    args.y = y.up;
    up_.run(args, in.up);
  }
  void expert_to_floats(const Inputs& in, Some now, Some next) const {
    const Range rows = now.rows;
    const std::int32_t* pair = in.sorted.pair;
    const float* weights = in.call.input(2).f32();
    const std::int64_t f = gate_.n();
    each_group(in, now.expert, [&](Range pairs) {
      multiply(in, now.expert, rows, pairs,
               {in.parts.gate + rows.begin, in.parts.up + rows.begin, f, pair + pairs.begin}, next);
      for (std::int64_t i = pairs.begin; i < pairs.end; ++i) {
        float* g = in.parts.gate + pair[i] * f + rows.begin;
        isa_.swiglu(g, in.parts.up + pair[i] * f + rows.begin, weights[pair[i]], clamp_, g, rows.end - rows.begin);
      }
    });
  }
  /// Tokens of some pairs in tiles, if that many are better packed once than for each product.
  Activations pack_own(const Inputs& in, Range pairs, const Worker& worker) const {
    const std::int64_t count = pairs.end - pairs.begin;
    if (!packs_once() || count <= gate_.few_of_many() || count > k_own_tokens) return {};
    const Activations tiles = x_gate_.tiles_at(in.parts.x_tiles + own_tiles_bytes() * worker.index(),
                                               (count + k_packed_tokens - 1) / k_packed_tokens, in.gate.scratch);
    x_gate_.pack(in.gate, in.sorted.token + pairs.begin, count, tiles, 0);
    return tiles;
  }
  void expert_to_codes(const Inputs& in, std::int64_t e, Range all, const Middle& mid, const Worker& worker) const {
    each_group(in, e, [&](Range pairs) {
      const Activations tiles = pack_own(in, pairs, worker);
      const std::int64_t own = most_pairs(max_tokens_) * k_part;
      const std::int64_t fit = std::min(k_own_floats, own) / (pairs.end - pairs.begin);
      const std::int64_t step = std::max(k_part, fit / k_part * k_part);
      float *gate = in.parts.gate + own * worker.index(), *up = in.parts.up + own * worker.index();
      for (std::int64_t row = all.begin; row < all.end; row += step) {
        const Range rows{row, std::min(row + step, all.end)};
        multiply(in, e, rows, pairs, {gate, up, step, nullptr}, {}, tiles);
        to_middle(in, e, rows, pairs, {gate, up, step, nullptr}, mid, worker);
      }
    });
  }
  void to_middle(const Inputs& in, std::int64_t e, Range rows, Range pairs, const Products& y, const Middle& mid,
                 const Worker& worker) const {
    const Sorted& s = in.sorted;
    const bool by_pair = !wants_tiles(s.begin[e + 1] - s.begin[e], mid);
    std::byte* own = in.parts.mid_own + (by_pair ? 0 : x_down_.own_rows_bytes() * worker.index());
    const std::int64_t together = by_pair ? 1 : k_packed_tokens;
    for (std::int64_t first = pairs.begin; first < pairs.end; first += together) {
      const std::int64_t count = std::min(together, pairs.end - first);
      float* out = y.gate + (first - pairs.begin) * y.stride;
      for (std::int64_t i = 0; i < count; ++i) {
        float *g = out + i * y.stride, *u = y.up + (g - y.gate);
        isa_.swiglu(g, u, in.call.input(2).f32()[s.pair[first + i]], clamp_, g, rows.end - rows.begin);
      }
      if (by_pair) {
        x_down_.fill(mid.rows, s.pair[first], rows, out);
        continue;
      }
      const std::int64_t tile = first_tile(e, s.begin[e]) + (first - s.begin[e]) / k_packed_tokens;
      x_down_.fill_tile(out, y.stride, count, rows, own, mid.tiles, tile);
    }
  }
  /// Whether the down products of so many pairs of an expert take tiles.
  bool wants_tiles(std::int64_t pairs, const Middle& mid) const {
    return mid.tiles.packed && pairs > down_.few_of_many();
  }

  /// Down products of all pairs, [pairs, stride] elements; column 0 is row `first`.
  struct Slots {
    float* base;
    std::int64_t first, stride;
    bool brief;
    float* at(std::int64_t pair, std::int64_t row) const {
      return base + (pair * stride + row - first) / (brief ? 2 : 1);
    }
    Brief* brief_at(std::int64_t pair, std::int64_t row) const { return reinterpret_cast<Brief*>(at(pair, row)); }
  };
  /// Rows of expert e's down product for all its pairs.
  void down_rows(const KernelCall& call, const Sorted& s, const Middle& mid, std::int64_t e, Range rows,
                 const Slots& slots, Some next = {}) const {
    GemmArgs args{};
    args.tokens = s.begin[e + 1] - s.begin[e];
    args.w = call.input(5).row(e * down_.n() + rows.begin);
    args.rows = rows.end - rows.begin;
    args.next = first_of(call.input(5), down_.n(), next);
    args.y_row = s.pair + s.begin[e];
    args.y = slots.at(0, rows.begin);
    args.y_stride = slots.stride;
    args.stream = true;
    args.brief = slots.brief;
    if (wants_tiles(args.tokens, mid)) {
      Activations x = mid.tiles;
      x.data += static_cast<std::uint64_t>(first_tile(e, s.begin[e])) * k_packed_bytes;
      return down_.run(args, x);
    }
    args.x_row = args.y_row;
    if (slots.brief) return few_brief(args, mid.rows, call.input(5).row_stride(), rows.begin, slots);
    down_.run(args, mid.rows);
  }
  /// The same by products that write f32.
  void few_brief(const GemmArgs& all, const Activations& x, std::uint64_t w_row, std::int64_t first,
                 const Slots& slots) const {
    float y[k_few_tokens * k_few_rows];
    GemmArgs args = all;
    args.brief = false;
    args.y = y;
    args.y_row = nullptr;
    args.y_stride = k_few_rows;
    for (std::int64_t row = 0; row < all.rows; row += k_few_rows) {
      const std::int64_t left = all.rows - row;
      args.w = all.w + static_cast<std::uint64_t>(row) * w_row;
      args.rows = std::min(left, k_few_rows);
      args.next = left > k_few_rows ? args.w + k_few_rows * w_row : all.next;
      down_.run(args, x);
      for (std::int64_t t = 0; t < all.tokens; ++t)
        isa_.brief_rows()->round(y + t * k_few_rows, args.rows, slots.brief_at(all.y_row[t], first + row));
    }
  }
  /// out[rows] of token t, handed on; pairs without an expert count as zero.
  void sum_slots(const KernelCall& call, std::int64_t t, Range rows, const Slots& slots) const {
    add_slots(call, t, rows, slots);
    call.run_after({t * down_.n() + rows.begin, t * down_.n() + rows.end});
  }
  void add_slots(const KernelCall& call, std::int64_t t, Range rows, const Slots& slots) const {
    const std::int32_t* ids = call.input(1).i32() + t * slots_;
    float* y = call.output(0).f32_row(t) + rows.begin;
    const std::int64_t n = rows.end - rows.begin;
    if (slots.brief) {
      const Brief* row[k_brief_slots];
      std::int64_t count = 0;
      for (std::int64_t k = 0; k < slots_; ++k)
        if (valid(ids[k])) row[count++] = slots.brief_at(t * slots_ + k, rows.begin);
      return isa_.brief_rows()->sum(row, count, slots_ * slots.stride / k_brief, y, n);
    }
    std::fill_n(y, n, 0.0f);
    for (std::int64_t k = 0; k < slots_; ++k)
      if (valid(ids[k])) isa_.add(y, slots.at(t * slots_ + k, rows.begin), y, n);
  }

  /// Each worker has rows of its own: no barrier.
  void down_few(const KernelCall& call, const Sorted& s, const Middle& mid, std::int64_t tokens, const Parts& p,
                const Worker& worker) const {
    const std::int64_t n = down_.n(), blocks = (n + k_row_grain - 1) / k_row_grain;
    float* slots = p.slots + k_few_pairs * k_few_rows * worker.index();
    const auto used_from = [&](std::int64_t e) {
      while (e < experts_ && s.begin[e + 1] == s.begin[e]) ++e;
      return e;
    };
    const std::int64_t first = used_from(0);
    const auto all_experts = [&](Range rows, Range next) {
      for (std::int64_t e = first; e < experts_;) {
        const std::int64_t after = used_from(e + 1);
        down_rows(call, s, mid, e, rows, {slots, rows.begin, k_few_rows, false},
                  after < experts_ ? Some{after, rows} : Some{first, next});
        e = after;
      }
      for (std::int64_t t = 0; t < tokens; ++t) sum_slots(call, t, rows, {slots, rows.begin, k_few_rows, false});
    };
    // The first and longest piece is twice the mean.
    const std::int64_t pieces = std::max((2 * n + k_few_rows - 1) / k_few_rows, worker.count() * k_few_pieces);
    Range now{0, 0};
    sdk::take_pieces(call.tickets[1], pieces, [&](std::int64_t i) {
      const Range next{shrinking(blocks, i, pieces) * k_row_grain,
                       std::min(n, shrinking(blocks, i + 1, pieces) * k_row_grain)};
      if (next.begin >= next.end) return;
      if (now.begin < now.end) all_experts(now, next);
      now = next;
    });
    if (now.begin < now.end) all_experts(now, {0, 0});
  }
  void down(const KernelCall& call, const Sorted& s, const Middle& mid, std::int64_t tokens, const Parts& p,
            const Worker& worker) const {
    const std::int64_t n = down_.n();
    if (few(tokens * slots_)) return down_few(call, s, mid, tokens, p, worker);
    // Slots of one slab are added while the next one is computed, some tokens after each piece: memory is not asked for
    // all of them at once.
    const std::int64_t step = slab_rows();
    const bool brief = rounds(tokens);
    const Range mine = worker.share(tokens);
    const std::int64_t some = (mine.end - mine.begin + k_pieces - 1) / k_pieces;
    const auto slots_of = [&](std::int64_t row) {
      return Slots{p.slots + row / step % 2 * tokens * slots_ * step / (brief ? 2 : 1), row, step, brief};
    };
    sdk::Ticket* ticket = call.tickets;
    for (std::int64_t row = 0; row < n + step; row += step) {
      std::int64_t t = row > 0 ? mine.begin : mine.end;
      const auto add_until = [&](std::int64_t end) {
        for (; t < end; ++t) sum_slots(call, t, {row - step, std::min(row, n)}, slots_of(row - step));
      };
      if (row < n)
        share_rows(s, {std::min(step, n - row), k_grain}, worker, *++ticket, [&](Some now, Some) {
          down_rows(call, s, mid, now.expert, {row + now.rows.begin, row + now.rows.end}, slots_of(row));
          add_until(std::min(mine.end, t + some));
        });
      add_until(mine.end);
      if (row < n) worker.barrier();
    }
  }

  bool valid(std::int32_t id) const { return id >= 0 && id < experts_; }

  Gemm gate_, up_, down_;
  Quantiser x_gate_, x_up_, x_down_;
  float clamp_;
  std::int64_t experts_, slots_, max_tokens_;
};

} // namespace

Claim claim_moe_experts(const NodeView& node) { return with_weights(node, {3, 4, 5}); }
std::unique_ptr<sdk::Kernel> make_moe_experts(const Isa& i, const NodeView& n) { return make_kernel<MoeExperts>(i, n); }

} // namespace seacliff::cpu
