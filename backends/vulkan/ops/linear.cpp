// Products with weights, and table look-ups.
#include "catalogue.hpp"
#include "products.hpp"

namespace seacliff::vulkan {
namespace {

sdk::Claim claim_product(const sdk::NodeView& node) { return with_weights(node, {1}); }

void emit_matmul(Emitter& e) { emit_product(e, product_of_input(e, 0, 1, e.out(0), rows_of(e.node().out(0)))); }

/// x[T,G·K]·w[G·N,K] is G products whose rows alternate in x and in y.
Product grouped_product(const Emitter& e, Place x, Place y, Count tokens) {
  Product p = product_of(e, x, 1, y, tokens);
  p.mode = Product::Mode::grouped;
  p.matrices = u32(e.node().attr_int("groups"));
  p.n /= p.matrices;
  p.rows = tokens * p.matrices;
  return p;
}

void emit_matmul_grouped(Emitter& e) {
  emit_product(e, grouped_product(e, e.in(0), e.out(0), tokens_of(e.node().in(0))));
}

void emit_matmul_id(Emitter& e) {
  const sdk::ValueView x = e.node().in(0), w = e.node().in(1), ids = e.node().in(2);
  Product p = product_of(e, e.in(0), 1, e.out(0), elems_of(ids));
  p.mode = Product::Mode::by_id;
  p.n = u32(w.dim(1));
  p.matrices = u32(w.dim(0));
  p.share = x.rank() == 3 ? 1 : u32(ids.cols());
  p.ids = e.in(2);
  emit_product(e, p);
}

sdk::Claim claim_attn_out(const sdk::NodeView& node) { return with_weights(node, {1, 2}); }

/// b·(block-diagonal a·o)
void emit_attn_out(Emitter& e) {
  const Count tokens = tokens_of(e.node().in(0));
  const Place low = e.floats(tokens * static_cast<std::uint64_t>(e.node().in(1).rows()));
  emit_product(e, grouped_product(e, e.in(0), low, tokens));
  emit_product(e, product_of(e, low, 2, e.out(0), tokens));
}

sdk::Claim claim_any(const sdk::NodeView&) { return sdk::Claim::ok(); }

void emit_gather_rows(Emitter& e) {
  const sdk::ValueView table = e.node().in(0), out = e.node().out(0);
  const auto k = u32(table.cols());
  const Count rows = rows_of(out);
  Dispatch d;
  d.shader = "gather_rows";
  d.constants = {64, format_word(format_of(table)), is_aligned(k)};
  d.at = {reads(e.in(0)), reads(e.in(1)), writes(e.out(0)), reads(grid_of(e, table.dtype()))};
  const auto inner = u32(table.rows() / std::max<std::int64_t>(table.dim(0), 1));
  d.n = {k, inner, e.word(rows), u32(table.dim(0))};
  d.groups[0] = {rows};
  e.add(std::move(d));
}

constexpr OpEntry k_ops[] = {
    {"matmul", claim_product, emit_matmul},       {"matmul_grouped", claim_product, emit_matmul_grouped},
    {"matmul_id", claim_product, emit_matmul_id}, {"attn_out_grouped", claim_attn_out, emit_attn_out},
    {"gather_rows", claim_any, emit_gather_rows},
};

} // namespace

std::span<const OpEntry> linear_ops() { return k_ops; }

} // namespace seacliff::vulkan
