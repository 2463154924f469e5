#include "products.hpp"
#include "stream.hpp"
#include "tiles.hpp"

#include <seacliff/sdk/blocks.hpp>

namespace seacliff::vulkan {
namespace {

constexpr std::string_view k_streamed = "few", k_few_rows = "matvec";

/// Rows of weights past x in shared memory; false: it cannot be done.
bool emit_streamed(Emitter& emitter, const Product& p) {
  const bool grouped = p.mode == Product::Mode::grouped, by_id = p.mode == Product::Mode::by_id;
  const Count sets = grouped ? Count{p.rows.factor / p.matrices, p.rows.sym, p.rows.most / p.matrices} : p.rows;
  StreamWork work{.format = p.format,
                  .k = p.k,
                  .digits = digits_for(emitter, p.format),
                  .tokens = by_id ? 1 : sets.most,
                  .rows = std::uint64_t{p.n} * (grouped ? p.matrices
                                                : by_id ? p.rows.most
                                                        : 1)};
  const std::optional<StreamPlan> plan = plan_stream(emitter.shape(), work);
  if (!plan) return false;
  Dispatch d;
  d.shader = k_streamed;
  d.constants = stream_constants(emitter.shape(), work, *plan);
  d.constants.insert(d.constants.end(), {p.norm.wanted, static_cast<std::uint32_t>(p.mode), plan->tiles, 1});
  d.at = {reads(p.x), reads(grid_of(emitter, p.format)), reads(p.norm.gain), reads(p.w), writes(p.y)};
  if (by_id) d.at.push_back(reads(p.ids));
  d.n = {emitter.word(p.rows), p.share, p.matrices, Emitter::word(p.norm.eps), p.n};
  d.groups[0] = {sets, plan->tokens};
  d.groups[1] = {fixed(p.n), plan->group_rows()};
  d.groups[2] = {fixed(grouped ? p.matrices : 1)};
  emitter.add(std::move(d));
  return true;
}

void emit_few(Emitter& emitter, const Product& p) {
  if (emit_streamed(emitter, p)) return;
  const std::uint32_t each = rows_each(p.n);
  const std::uint32_t at_once = p.mode == Product::Mode::one ? rows_at_once(p.rows) : 1;
  Dispatch d;
  d.shader = k_few_rows;
  d.constants = {k_row_groups * emitter.subgroup(),  format_word(p.format), each,          at_once,
                 static_cast<std::uint32_t>(p.mode), is_aligned(p.k),       p.norm.wanted, 1};
  d.at = {reads(p.x), reads(grid_of(emitter, p.format)), reads(p.norm.gain), reads(p.w), writes(p.y)};
  if (p.mode == Product::Mode::by_id) d.at.push_back(reads(p.ids));
  d.n = {p.k, emitter.word(p.rows), p.share, p.matrices, Emitter::word(p.norm.eps), p.n};
  d.groups[0] = {fixed(p.n), each * k_row_groups};
  d.groups[1] = {p.rows, at_once};
  emitter.add(std::move(d));
}

} // namespace

std::uint32_t rows_each(std::uint32_t n) { return n >= 4096 ? 2 : 1; }

bool join_products(Dispatch& into, const Dispatch& other) {
  if (into.shader != other.shader || (into.shader != k_few_rows && into.shader != k_streamed)) return false;
  const bool streamed = into.shader == k_streamed; // where the shader has them:
  const std::size_t shared_operands = 3, shared_words = streamed ? 4 : 5, mode = streamed ? 10 : 4,
                    joined = streamed ? 12 : 7, most = 3;
  if (into.constants[joined] == most) return false;
  std::vector<std::uint32_t> constants = into.constants;
  constants[joined] = 1;
  if (constants != other.constants || constants[mode] != static_cast<std::uint32_t>(Product::Mode::one)) return false;
  for (std::size_t i = 0; i < shared_operands; ++i)
    if (!(into.at[i].place == other.at[i].place)) return false;
  if (!std::equal(into.n.begin(), into.n.begin() + static_cast<std::ptrdiff_t>(shared_words), other.n.begin()))
    return false;
  into.at.insert(into.at.end(), other.at.begin() + static_cast<std::ptrdiff_t>(shared_operands), other.at.end());
  into.n.push_back(other.n.back());
  ++into.constants[joined];
  // Every matrix has workgroups of its own.
  const std::size_t by_rows = streamed ? 1 : 0;
  Extent& rows = into.groups[by_rows];
  const std::uint64_t more = other.groups[by_rows].count.factor;
  const std::uint64_t blocks = (rows.count.factor + rows.per - 1) / rows.per + (more + rows.per - 1) / rows.per;
  rows.count = fixed(blocks * rows.per);
  return true;
}

Place grid_of(Emitter& emitter, WeightFormat format) {
  return format.dtype == DType::iq2_xxs ? emitter.constants(std::as_bytes(std::span(blocks::iq2xxs_grid))) : Place{};
}

Product product_of(const Emitter& emitter, Place x, std::uint32_t w, Place y, Count rows) {
  const sdk::ValueView weight = emitter.node().in(w);
  Product p;
  p.x = x;
  p.w = emitter.in(w);
  p.y = y;
  p.format = format_of(weight);
  p.k = u32(weight.cols());
  p.n = u32(weight.rows());
  p.rows = rows;
  return p;
}

Product product_of_input(const Emitter& emitter, std::uint32_t x, std::uint32_t w, Place y, Count rows) {
  Product p = product_of(emitter, emitter.in(x), w, y, rows);
  p.norm = emitter.norm_of(x);
  return p;
}

void emit_product(Emitter& emitter, const Product& product) {
  const Count sets = product.mode == Product::Mode::one ? product.rows : fixed(product.rows.most / product.matrices);
  if (product.mode == Product::Mode::by_id) {
    if (is_few(fixed(product.rows.most / product.share)) || product.matrices > k_most_listed_experts)
      return emit_few(emitter, product);
    return emit_product_by_list(emitter, product,
                                emit_expert_list(emitter, product.ids, product.rows, product.matrices));
  }
  if (is_few(sets)) return emit_few(emitter, product);
  if (sets.most <= k_streamed_tokens && emit_streamed(emitter, product)) return;
  emit_tiles(emitter, product);
}

sdk::Claim with_weights(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs) {
  for (const std::uint32_t i : inputs) {
    const sdk::ValueView w = node.in(i);
    if (w && w.dtype() == DType::i32) return sdk::Claim::no("no kernel for weights that are integers");
  }
  return sdk::Claim::ok();
}

sdk::Claim with_states(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs) {
  for (const std::uint32_t i : inputs) {
    const sdk::ValueView state = node.in(i);
    if (state && state.dtype() != DType::f32 && state.dtype() != DType::f16)
      return sdk::Claim::no("state is neither f32 nor f16");
  }
  return sdk::Claim::ok();
}

sdk::Claim all_of(std::initializer_list<sdk::Claim> claims) {
  for (const sdk::Claim& claim : claims)
    if (claim.level == SCF_CLAIM_NO) return claim;
  return sdk::Claim::ok();
}

} // namespace seacliff::vulkan
