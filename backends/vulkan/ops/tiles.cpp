#include "tiles.hpp"

#include <algorithm>

namespace seacliff::vulkan {
namespace {

constexpr std::uint32_t k_tile_n = 128, k_tile = 64,
                        k_tile_threads = 256;  // as matmul.comp and expert_sort.comp have them
constexpr std::uint32_t k_half_threads = 128;  // as product_tiles.glsl has it
constexpr std::uint32_t k_sort_threads = 1024; // at most

std::uint32_t word_of(Product::Mode mode) { return static_cast<std::uint32_t>(mode); }

/// Rows of y that have one matrix.
Count rows_of_matrix(const Product& p) {
  if (p.mode != Product::Mode::grouped) return p.rows;
  return {p.rows.factor / p.matrices, p.rows.sym, p.rows.most / p.matrices};
}

void emit_float_tiles(Emitter& emitter, const Product& p) {
  const bool grouped = p.mode == Product::Mode::grouped;
  const Count rows = rows_of_matrix(p);
  Dispatch d;
  d.shader = "matmul";
  d.constants = {k_tile_threads, format_word(p.format), word_of(p.mode), is_aligned(p.k)};
  d.at = {reads(p.x), reads(p.w), writes(p.y), reads(p.ids), reads(grid_of(emitter, p.format))};
  d.n = {p.k, p.n, emitter.word(rows), p.share, p.matrices};
  d.groups[0] = {fixed(p.n), k_tile_n};
  d.groups[1] = {rows, k_tile};
  d.groups[2] = {fixed(grouped ? p.matrices : 1)};
  emitter.add(std::move(d));
}

/// Of how many float16 an activation is the sum on matrix units; 0: the product is not for them.
std::uint32_t parts_of(const Emitter& emitter, const Product& p) {
  if (emitter.shape().matrix == Matrix::none) return 0;
  if (emitter.node().attr_int("act8") != 0) return 1;
  return p.format == WeightFormat(DType::f16) ? 2 : 0;
}

HalfRows emit_half(Emitter& emitter, const Product& p) {
  const Count rows{(p.rows.factor + p.share - 1) / p.share, p.rows.sym, (p.rows.most + p.share - 1) / p.share};
  return emitter.half_of(p.x, rows, p.k, parts_of(emitter, p));
}

/// Tiles of 128 rows where there are enough of them to fill a device, and registers.
struct TileShape {
  std::uint32_t rows, stages;
};
TileShape tile_shape(const Emitter& emitter, const Product& p, const HalfRows& x, bool by_list) {
  const std::uint64_t enough = emitter.shape().matrix == Matrix::plain ? 1 : 256; // tiles; for checking few will do
  constexpr std::uint32_t row_bytes = 80, grid_bytes = 2048;
  const Count rows = rows_of_matrix(p);
  const std::uint64_t large =
      (rows.most + 127) / 128 * ((p.n + 127) / 128) * (rows.most == p.rows.most ? 1 : p.matrices);
  TileShape shape{by_list || x.parts == 2 || rows.most <= 64 || large < enough ? k_tile : 128, 1};
  if (2 * (k_tile_n + shape.rows) * row_bytes + grid_bytes <= emitter.shape().shared_bytes) shape.stages = 2;
  return shape;
}

/// How product_tiles.glsl reads and writes rows.
struct TileRows {
  bool gated = false, half_out = false;
  bool x_by_list = true, y_by_list = true;
};

Dispatch half_tiles(Emitter& emitter, const Product& p, const HalfRows& x, const ExpertList* list,
                    const TileRows& how = {}) {
  const TileShape shape = tile_shape(emitter, p, x, list != nullptr);
  const bool grouped = p.mode == Product::Mode::grouped;
  const Count rows = rows_of_matrix(p);
  const std::uint32_t columns = how.gated ? k_tile_n / 2 : k_tile_n; // of y
  Dispatch d;
  d.shader = emitter.shape().matrix == Matrix::plain ? "matmul_f16_plain" : "matmul_f16";
  d.constants = {k_half_threads,  format_word(p.format),
                 word_of(p.mode), is_aligned(p.k),
                 shape.rows,      shape.stages,
                 how.gated,       (how.x_by_list ? 1u : 0u) | (how.y_by_list ? 2u : 0u),
                 how.half_out,    x.parts};
  d.at = {reads(x.x), reads(p.w), writes(p.y), {}, reads(grid_of(emitter, p.format)), {}};
  d.n = {p.k, p.n, emitter.word(rows), p.share, p.matrices};
  if (list != nullptr) {
    d.at[3] = reads(list->order);
    d.at[5] = reads(list->tiles);
    d.groups[0] = {fixed(p.n), columns};
    d.groups[1] = {fixed(list->most_tiles)};
  } else {
    d.groups[0] = {rows, shape.rows};
    d.groups[1] = {fixed(p.n), columns};
    d.groups[2] = {fixed(grouped ? p.matrices : 1)};
  }
  return d;
}

} // namespace

bool on_matrix(const Emitter& emitter) {
  return emitter.shape().matrix != Matrix::none && emitter.node().attr_int("act8") != 0;
}

void emit_tiles(Emitter& emitter, const Product& p) {
  if (parts_of(emitter, p) == 0) return emit_float_tiles(emitter, p);
  emitter.add(half_tiles(emitter, p, emit_half(emitter, p), nullptr));
}

ExpertList emit_expert_list(Emitter& emitter, Place ids, Count pairs, std::uint32_t experts) {
  ExpertList list;
  list.most_tiles =
      u32(static_cast<std::int64_t>(pairs.most / k_tile + std::min<std::uint64_t>(experts + 1, pairs.most)));
  list.order = emitter.block(pairs.most * 4);
  list.tiles = emitter.block(std::uint64_t{list.most_tiles} * 12);
  Dispatch d;
  d.shader = "expert_sort";
  d.constants = {std::min(k_sort_threads, emitter.shape().most_threads)};
  d.at = {reads(ids), writes(list.order), writes(list.tiles)};
  d.n = {emitter.word(pairs), experts, list.most_tiles};
  emitter.add(std::move(d));
  return list;
}

void emit_product_by_list(Emitter& emitter, const Product& p, const ExpertList& list) {
  if (parts_of(emitter, p) != 0) return emitter.add(half_tiles(emitter, p, emit_half(emitter, p), &list));
  Dispatch d;
  d.shader = "matmul";
  d.constants = {k_tile_threads, format_word(p.format), word_of(p.mode), is_aligned(p.k)};
  d.at = {reads(p.x), reads(p.w), writes(p.y), reads(list.order), reads(grid_of(emitter, p.format)), reads(list.tiles)};
  d.n = {p.k, p.n, emitter.word(p.rows), p.share, p.matrices};
  d.groups[0] = {fixed(p.n), k_tile_n};
  d.groups[1] = {fixed(list.most_tiles)};
  emitter.add(std::move(d));
}

HalfRows emit_gated(Emitter& emitter, const GatedProduct& product, const ExpertList* list) {
  Product p = product.gate;
  const HalfRows out{emitter.block(p.rows.most * ((p.n + 31) / 32 * 64)), p.rows, p.n};
  p.y = out.x;
  Dispatch d =
      half_tiles(emitter, p, emit_half(emitter, p), list, {.gated = true, .half_out = true, .y_by_list = false});
  d.at.insert(d.at.end(), {reads(product.up), reads(product.weights)});
  d.n.push_back(Emitter::word(product.clamp));
  emitter.add(std::move(d));
  return out;
}

void emit_half_product(Emitter& emitter, const Product& p, const HalfRows& x, const ExpertList* list) {
  emitter.add(half_tiles(emitter, p, x, list, {.x_by_list = false}));
}

} // namespace seacliff::vulkan
