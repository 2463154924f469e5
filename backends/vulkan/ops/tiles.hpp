// Products of many rows: tiles on matrix units, where the device has them and float16 is enough, else in float32. It is
// where *act8* allows less, and where weights are float16 and activations are split into two of them.
#pragma once

#include "products.hpp"

namespace seacliff::vulkan {

/// Whether *act8* lets matrix units do the node's products of many rows.
bool on_matrix(const Emitter& emitter);

/// Product by tiles; `product.x` is float32.
void emit_tiles(Emitter& emitter, const Product& product);

/// Pairs of token and slot in the order of their experts, and the tiles that they make.
inline constexpr std::uint32_t k_most_listed_experts = 1023; // what expert_sort.comp keeps in shared memory, less one
struct ExpertList {
  Place order, tiles;
  std::uint32_t most_tiles = 0;
};
ExpertList emit_expert_list(Emitter& emitter, Place ids, Count pairs, std::uint32_t experts);
/// y[pair] = w[expert of pair]·x[pair / share], x in float32.
void emit_product_by_list(Emitter& emitter, const Product& product, const ExpertList& list);

/// A gated pair of products and what comes behind, on matrix units: gate and up become rows of float16 in one launch.
struct GatedProduct {
  Product gate; // without y
  Place up, weights;
  float clamp = 0;
};
/// `list` nullptr: one matrix for all rows. Rows of the result are in the order of the list.
HalfRows emit_gated(Emitter& emitter, const GatedProduct& product, const ExpertList* list);
/// y = w·x for such rows; y in the order of pairs.
void emit_half_product(Emitter& emitter, const Product& product, const HalfRows& x, const ExpertList* list);

} // namespace seacliff::vulkan
