// Compression of key-value rows: windows of `ratio` tokens pooled into one cached row.
#include "catalogue.hpp"
#include "products.hpp"
#include "rows.hpp"

namespace seacliff::vulkan {
namespace {

constexpr std::uint32_t k_threads = 256;

bool is_half(const sdk::ValueView& state) { return state.dtype() == DType::f16; }

/// The ape: as it is in a format that kernels take element by element, or decoded.
struct Ape {
  Place place;
  std::uint32_t format;
};
Ape ape_of(Emitter& e) {
  const sdk::ValueView ape = e.node().in(2);
  if (dtype_info(ape.dtype()).block_elems == 1) return {e.in(2), format_word(ape.dtype())};
  const auto k = u32(ape.cols()), rows = u32(ape.rows());
  const Place decoded = e.floats(fixed(std::uint64_t{k} * rows));
  Dispatch d;
  d.shader = "gather_rows";
  d.constants = {64, format_word(format_of(ape)), is_aligned(k)};
  d.at = {reads(e.in(2)), {}, writes(decoded), reads(grid_of(e, ape.dtype()))};
  d.n = {k, 1, e.word(fixed(rows)), rows};
  d.groups[0] = {fixed(rows)};
  e.add(std::move(d));
  return {decoded, format_word(DType::f32)};
}

/// Pooled rows first, from the carry as it was; then the carry. `full`: all of compress.
void emit_pooling(Emitter& e, bool full) {
  const sdk::NodeView& node = e.node();
  const std::uint32_t carry = full ? 4 : 3, pos = full ? 6 : 4;
  const auto ratio = u32(node.attr_int("ratio")), ring = u32(node.in(carry).dim(1)), w = u32(node.in(0).cols());
  const std::uint32_t n = ratio == 4 ? w / 2 : w;
  const Count tokens = tokens_of(node.in(0));
  const bool index = node.attr_int("index") != 0, alone = tokens.most == 1;
  const Ape ape = ape_of(e);
  const Rotation rotation = full ? rotation_of(e, node) : Rotation{};

  Dispatch pool;
  pool.shader = "compress";
  pool.constants = {k_threads,
                    ratio == 4,
                    full,
                    full && !index && node.attr_int("kv8") != 0,
                    full && index && node.attr_int("idx4") != 0,
                    full && node.attr_int("f16") != 0,
                    full && is_half(node.in(5)),
                    alone,
                    ape.format};
  pool.at = {reads(e.in(0)),   reads(e.in(1)),      reads(ape.place), alone ? updates(e.in(carry)) : reads(e.in(carry)),
             reads(e.in(pos)), reads(e.in(pos + 1))};
  if (full)
    pool.at.insert(pool.at.end(), {updates(e.out(1)), reads(e.in(3)), reads(rotation.frequencies)});
  else
    pool.at.push_back(writes(e.out(0)));
  pool.n = {ratio,
            ring,
            w,
            n,
            full ? u32(node.in(5).dim(1)) : 0,
            rotation.pairs,
            Emitter::word(static_cast<float>(node.attr_float("rms_eps"))),
            u32(node.attr_int("rot"))};
  pool.groups[0] = {tokens};
  e.add(std::move(pool));
  if (alone) return;

  Dispatch write;
  write.shader = "carry_write";
  write.constants = {k_threads, ape.format};
  write.at = {reads(e.in(0)),       reads(e.in(1)),   reads(ape.place),
              updates(e.in(carry)), reads(e.in(pos)), reads(e.in(pos + 1))};
  write.n = {ratio, ring, w};
  write.groups[0] = {tokens};
  e.add(std::move(write));
}

sdk::Claim can_pool(const sdk::NodeView& node, std::uint32_t carry) {
  const std::int64_t w = node.in(0).cols();
  if ((node.attr_int("ratio") == 4 ? w / 2 : w) > k_longest_row) return sdk::Claim::no("pooled rows are too long");
  if (node.in(carry).dtype() != DType::f32) return sdk::Claim::no("the carry must be f32");
  return with_weights(node, {2});
}

sdk::Claim claim_compress_pool(const sdk::NodeView& node) { return can_pool(node, 3); }
void emit_compress_pool(Emitter& e) { emit_pooling(e, false); }

sdk::Claim claim_compress(const sdk::NodeView& node) {
  const std::int64_t width = node.in(5).cols();
  return all_of({can_pool(node, 4), with_states(node, {5}), can_rotate(node, width),
                 node.attr_int("index") != 0 ? can_round_index(node, width) : can_round_kv(node, width)});
}
void emit_compress(Emitter& e) { emit_pooling(e, true); }

sdk::Claim claim_cache_append(const sdk::NodeView& node) { return with_states(node, {1}); }

void emit_cache_append(Emitter& e) {
  const sdk::NodeView& node = e.node();
  Dispatch d;
  d.shader = "cache_append";
  d.constants = {64, is_half(node.in(1))};
  d.at = {reads(e.in(0)), updates(e.out(0)), reads(e.in(2)), reads(e.in(3))};
  d.n = {u32(node.attr_int("ratio")), u32(node.in(0).cols()), u32(node.in(1).dim(1))};
  d.groups[0] = {tokens_of(node.in(0))};
  e.add(std::move(d));
}

constexpr OpEntry k_ops[] = {
    {"compress_pool", claim_compress_pool, emit_compress_pool},
    {"compress", claim_compress, emit_compress},
    {"cache_append", claim_cache_append, emit_cache_append},
};

} // namespace

std::span<const OpEntry> compress_ops() { return k_ops; }

} // namespace seacliff::vulkan
