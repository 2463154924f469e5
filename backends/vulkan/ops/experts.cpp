// Experts: the routed ones and the shared one.
#include "catalogue.hpp"
#include "elementwise.hpp"
#include "products.hpp"
#include "stream.hpp"
#include "tiles.hpp"

namespace seacliff::vulkan {
namespace {

/// Where the operands of an expert op are; the shared expert is one expert in one slot, without ids and weights.
struct Experts {
  Place x, y, ids, weights;
  std::uint32_t gate = 0, up = 0, down = 0; // inputs of the node
  std::uint32_t width = 0, hidden = 0, slots = 1, count = 1;
  Count tokens;
  Norm norm; // of x

  Count pairs() const { return tokens * slots; }
};

Experts experts_of(const Emitter& e, bool shared) {
  const sdk::NodeView& node = e.node();
  Experts x;
  x.x = e.in(0);
  x.y = e.out(0);
  x.norm = e.norm_of(0);
  x.gate = shared ? 1 : 3;
  x.up = x.gate + 1;
  x.down = x.gate + 2;
  x.tokens = tokens_of(node.in(0));
  const sdk::ValueView gate = node.in(x.gate);
  x.width = u32(gate.cols());
  x.hidden = u32(gate.dim(shared ? 0 : 1));
  if (shared) return x;
  x.ids = e.in(1);
  x.weights = e.in(2);
  x.slots = u32(node.in(1).cols());
  x.count = u32(gate.dim(0));
  return x;
}

/// Two launches: gate, up and what they become; down and the sum over the slots.
void emit_fused(Emitter& e, const Experts& x) {
  const WeightFormat in_format = format_of(e.node().in(x.gate)), down_format = format_of(e.node().in(x.down));
  const Place mid = e.floats(x.pairs() * x.hidden);
  const std::uint32_t threads = k_row_groups * e.subgroup();
  const std::uint32_t up_rows = 1, down_rows = rows_each(x.width);
  Dispatch up;
  up.shader = "expert_up";
  up.constants = {threads, format_word(in_format), up_rows, is_aligned(x.width), x.norm.wanted};
  up.at = {reads(x.x),   reads(e.in(x.gate)), reads(e.in(x.up)),           writes(mid),
           reads(x.ids), reads(x.weights),    reads(grid_of(e, in_format))};
  up.n = {x.width, x.hidden, x.slots, x.count, Emitter::word(static_cast<float>(e.node().attr_float("clamp")))};
  up.at.push_back(reads(x.norm.gain));
  up.n.push_back(Emitter::word(x.norm.eps));
  up.groups[0] = {fixed(x.hidden), up_rows * k_row_groups};
  up.groups[1] = {x.pairs()};
  e.add(std::move(up));

  Dispatch down;
  down.shader = "expert_down";
  down.constants = {threads, format_word(down_format), down_rows, is_aligned(x.hidden)};
  down.at = {reads(mid), reads(e.in(x.down)), writes(x.y), reads(x.ids), reads(grid_of(e, down_format))};
  down.n = {x.hidden, x.width, x.slots, x.count};
  down.groups[0] = {fixed(x.width), down_rows * k_row_groups};
  down.groups[1] = {x.tokens};
  e.add(std::move(down));
}

/// The same with weights that stream past activations in bytes; false: it cannot be done.
bool emit_streamed(Emitter& e, const Experts& x) {
  const WeightFormat in_format = format_of(e.node().in(x.gate)), down_format = format_of(e.node().in(x.down));
  if (!in_format.planes || !down_format.planes) return false;
  constexpr std::uint32_t chunk = 16; // hidden units that share a scale
  const std::uint32_t digits = digits_for(e, in_format);
  const std::uint64_t at_once = x.ids ? 1 : x.tokens.most, pairs = x.ids ? x.pairs().most : 1;
  const StreamWork in{.format = in_format,
                      .k = x.width,
                      .digits = digits,
                      .tokens = at_once,
                      .rows = pairs * x.hidden * 2,
                      .in_pairs = 2,
                      .multiple = 2 * chunk};
  const StreamWork out{.format = down_format,
                       .k = x.hidden,
                       .digits = digits,
                       .tokens = at_once,
                       .slots = x.slots,
                       .rows = x.ids ? x.tokens.most * x.width : x.width};
  const std::optional<StreamPlan> up_plan = plan_stream(e.shape(), in), down_plan = plan_stream(e.shape(), out);
  if (!up_plan || !down_plan) return false;
  const Place mid = e.block(x.pairs().most * x.hidden * digits);
  const Place scales = e.floats(x.pairs() * (x.hidden / chunk));

  Dispatch up;
  up.shader = "few_up";
  up.constants = stream_constants(e.shape(), in, *up_plan);
  up.constants.insert(up.constants.end(), {x.norm.wanted, up_plan->tiles, up_plan->group_rows() / 2});
  up.at = {reads(x.x),       reads(e.in(x.gate)),          reads(e.in(x.up)), writes(mid), writes(scales), reads(x.ids),
           reads(x.weights), reads(grid_of(e, in_format)), reads(x.norm.gain)};
  up.n = {x.hidden,
          x.slots,
          x.count,
          e.word(x.pairs()),
          Emitter::word(static_cast<float>(e.node().attr_float("clamp"))),
          Emitter::word(x.norm.eps)};
  up.groups[0] = {x.pairs(), up_plan->tokens}; // pairs of one expert run side by side
  up.groups[1] = {fixed(x.hidden), up_plan->group_rows() / 2};
  e.add(std::move(up));

  Dispatch down;
  down.shader = "few_down";
  down.constants = stream_constants(e.shape(), out, *down_plan);
  down.constants.push_back(down_plan->tiles);
  down.at = {reads(mid), reads(scales), reads(e.in(x.down)), writes(x.y), reads(x.ids), reads(grid_of(e, down_format))};
  down.n = {x.width, x.count, e.word(x.tokens)};
  down.groups[0] = {x.tokens, down_plan->tokens};
  down.groups[1] = {fixed(x.width), down_plan->group_rows()};
  e.add(std::move(down));
  return true;
}

Product product_for(const Emitter& e, const Experts& x, Place from, std::uint32_t w, Place to, std::uint32_t k,
                    std::uint32_t n, std::uint32_t share) {
  Product p;
  p.x = from;
  p.w = e.in(w);
  p.y = to;
  p.format = format_of(e.node().in(w));
  p.k = k;
  p.n = n;
  p.rows = x.pairs();
  p.share = share;
  p.mode = x.ids ? Product::Mode::by_id : Product::Mode::one;
  p.matrices = x.count;
  p.ids = x.ids;
  if (from.kind == x.x.kind && from.index == x.x.index) p.norm = x.norm;
  return p;
}

/// On matrix units: gate, up and what they become in one launch, then down.
void emit_on_matrix(Emitter& e, const Experts& x) {
  ExpertList made;
  const ExpertList* list = nullptr;
  if (x.ids) {
    made = emit_expert_list(e, x.ids, x.pairs(), x.count);
    list = &made;
  }
  GatedProduct first{product_for(e, x, x.x, x.gate, {}, x.width, x.hidden, x.slots), e.in(x.up), x.weights,
                     static_cast<float>(e.node().attr_float("clamp"))};
  const HalfRows mid = emit_gated(e, first, list);
  const Place parts = x.slots > 1 ? e.floats(x.pairs() * x.width) : x.y;
  emit_half_product(e, product_for(e, x, mid.x, x.down, parts, x.hidden, x.width, 1), mid, list);
  if (x.slots > 1) emit_sum_slots(e, parts, x.y, x.tokens, x.slots, x.width);
}

/// Product after product: by tiles of one expert each, after the pairs were brought in order, or one after another
/// where gate and up are of different formats.
void emit_products(Emitter& e, const Experts& x) {
  const bool by_list = x.ids && !is_few(x.tokens) && x.count <= k_most_listed_experts;
  const ExpertList list = by_list ? emit_expert_list(e, x.ids, x.pairs(), x.count) : ExpertList{};
  const auto emit = [&](const Product& p) { by_list ? emit_product_by_list(e, p, list) : emit_product(e, p); };
  const Place gate = e.floats(x.pairs() * x.hidden), up = e.floats(x.pairs() * x.hidden),
              mid = e.floats(x.pairs() * x.hidden);
  emit(product_for(e, x, x.x, x.gate, gate, x.width, x.hidden, x.slots));
  emit(product_for(e, x, x.x, x.up, up, x.width, x.hidden, x.slots));
  emit_swiglu(e, gate, up, x.weights, mid, x.pairs(), x.hidden);
  const Place parts = x.slots > 1 ? e.floats(x.pairs() * x.width) : x.y;
  emit(product_for(e, x, mid, x.down, parts, x.hidden, x.width, 1));
  if (x.slots > 1) emit_sum_slots(e, parts, x.y, x.tokens, x.slots, x.width);
}

void emit_experts(Emitter& e, bool shared) {
  const Experts x = experts_of(e, shared);
  const bool same = format_of(e.node().in(x.gate)) == format_of(e.node().in(x.up));
  if (is_few(x.tokens)) {
    if (!same) return emit_products(e, x);
    if (!emit_streamed(e, x)) emit_fused(e, x);
    return;
  }
  const bool streams = x.ids ? x.pairs().most <= k_streamed_pairs * x.count : x.tokens.most <= k_streamed_tokens;
  if (streams && same && emit_streamed(e, x)) return;
  const bool in_tiles = same && (!x.ids || x.count <= k_most_listed_experts);
  in_tiles&& on_matrix(e) ? emit_on_matrix(e, x) : emit_products(e, x);
}

sdk::Claim claim_moe(const sdk::NodeView& node) { return with_weights(node, {3, 4, 5}); }
void emit_moe(Emitter& e) { emit_experts(e, false); }
sdk::Claim claim_shared(const sdk::NodeView& node) { return with_weights(node, {1, 2, 3}); }
void emit_shared(Emitter& e) { emit_experts(e, true); }

constexpr OpEntry k_ops[] = {
    {"moe_experts", claim_moe, emit_moe},
    {"shared_expert", claim_shared, emit_shared},
};

} // namespace

std::span<const OpEntry> expert_ops() { return k_ops; }

} // namespace seacliff::vulkan
