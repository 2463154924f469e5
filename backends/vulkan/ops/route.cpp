// Which experts a token goes to.
#include "catalogue.hpp"
#include "products.hpp"

#include <algorithm>

namespace seacliff::vulkan {
namespace {

constexpr std::int64_t k_most_choices = 2048, k_most_chosen = 64; // as choose.glsl has them

/// A thread for each choice, as far as a workgroup goes.
std::uint32_t threads_for(std::int64_t choices) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>((choices + 63) / 64 * 64, 64, 256));
}

sdk::Claim can_choose(std::int64_t n, std::int64_t k) {
  if (n <= k_most_choices && k <= k_most_chosen) return sdk::Claim::ok();
  return sdk::Claim::no(std::to_string(k) + " of " + std::to_string(n) + " are more than " +
                        std::to_string(k_most_chosen) + " of " + std::to_string(k_most_choices));
}

sdk::Claim claim_top_k(const sdk::NodeView& node) { return can_choose(node.in(0).cols(), node.out(0).cols()); }

void emit_top_k(Emitter& e) {
  const sdk::ValueView x = e.node().in(0);
  Dispatch d;
  d.shader = "top_k";
  d.constants = {threads_for(x.cols())};
  d.at = {reads(e.in(0)), reads(e.in(1)), writes(e.out(0))};
  d.n = {u32(x.cols()), u32(e.node().out(0).cols())};
  d.groups[0] = {tokens_of(x)};
  e.add(std::move(d));
}

enum class From : std::uint32_t { largest = 0, table = 1, given = 2 };

/// What the two kinds of launches have in common.
Dispatch choice(From from, std::vector<Use> at, std::int64_t experts, std::int64_t k, double scale,
                std::int64_t entries) {
  Dispatch d;
  d.shader = "route";
  d.constants = {threads_for(experts), static_cast<std::uint32_t>(from)};
  d.at = std::move(at);
  d.n = {u32(experts), u32(k), Emitter::word(static_cast<float>(scale)), u32(entries)};
  return d;
}

sdk::Claim claim_route_weights(const sdk::NodeView& node) { return can_choose(node.in(0).cols(), node.in(1).cols()); }

void emit_route_weights(Emitter& e) {
  const sdk::ValueView probs = e.node().in(0);
  Dispatch d = choice(From::given, {reads(e.in(0)), {}, {}, {}, reads(e.in(1)), writes(e.out(0))}, probs.cols(),
                      e.node().in(1).cols(), e.node().attr_float("scale"), 0);
  d.groups[0] = {tokens_of(probs)};
  e.add(std::move(d));
}

sdk::Claim claim_route(const sdk::NodeView& node) {
  return all_of({with_weights(node, {1}), can_choose(node.in(1).rows(), node.out(0).cols())});
}

/// Few tokens: products with two rows by each workgroup, the last of which chooses.
void add_products(Emitter& e, Dispatch& d) {
  constexpr std::uint32_t rows = 2, subgroups = 8;
  const sdk::ValueView w = e.node().in(1);
  const Count tokens = tokens_of(e.node().in(0));
  const Norm norm = e.norm_of(0);
  const auto k = u32(w.cols());
  const std::uint32_t at_once = rows_at_once(tokens);
  d.constants = {
      subgroups * e.subgroup(), d.constants[1], 1, format_word(format_of(w)), is_aligned(k), norm.wanted, at_once};
  d.at.insert(d.at.end(), {reads(e.in(0)), reads(e.in(1)), reads(norm.gain), reads(e.counters(tokens.most)),
                           reads(grid_of(e, w.dtype()))});
  d.n.insert(d.n.end(), {k, Emitter::word(norm.eps), e.word(tokens)});
  d.groups[0] = {fixed(static_cast<std::uint64_t>(w.rows())), rows};
  d.groups[1] = {tokens, at_once};
}

void emit_route(Emitter& e) {
  const sdk::NodeView& node = e.node();
  const Count tokens = tokens_of(node.in(0));
  const std::int64_t experts = node.in(1).rows();
  const sdk::ValueView table = node.in(3);
  const bool few = is_few(tokens);
  const Place logits = e.floats(tokens * static_cast<std::uint64_t>(experts));
  Dispatch d = choice(table ? From::table : From::largest,
                      {few ? updates(logits) : reads(logits), reads(e.in(2)), reads(e.in(3)), reads(e.in(4)),
                       writes(e.out(0)), writes(e.out(1))},
                      experts, node.out(0).cols(), node.attr_float("scale"), table ? table.dim(0) : 0);
  if (few) {
    add_products(e, d);
  } else {
    emit_product(e, product_of_input(e, 0, 1, logits, tokens));
    d.groups[0] = {tokens};
  }
  e.add(std::move(d));
}

constexpr OpEntry k_ops[] = {
    {"top_k", claim_top_k, emit_top_k},
    {"route_weights", claim_route_weights, emit_route_weights},
    {"route", claim_route, emit_route},
};

} // namespace

std::span<const OpEntry> route_ops() { return k_ops; }

} // namespace seacliff::vulkan
