// Products with weights, shared by the ops that are or contain one.
#pragma once

#include "emitter.hpp"
#include "layouts.hpp"

namespace seacliff::vulkan {

/// y[r] = w[matrix of r]·x[r / share] for all rows r of y.
struct Product {
  enum class Mode : std::uint32_t { one = 0, by_id = 1, grouped = 2 };

  Place x, w, y;
  WeightFormat format;
  std::uint32_t k = 0, n = 0; // columns and rows of one matrix
  Count rows;                 // of y
  std::uint32_t share = 1;    // rows of y that have the same row of x
  Mode mode = Mode::one;      // by_id: the matrix is ids[r]; grouped: it is r mod matrices
  std::uint32_t matrices = 1;
  Place ids;
  Norm norm; // of x, where there are few rows
};

/// The product of x with weight input `w` of the node, one matrix for all.
Product product_of(const Emitter& emitter, Place x, std::uint32_t w, Place y, Count rows);
/// The same with input `x` of the node, normalised where that is left to its readers.
Product product_of_input(const Emitter& emitter, std::uint32_t x, std::uint32_t w, Place y, Count rows);

/// The fastest way for this many rows.
void emit_product(Emitter& emitter, const Product& product);

/// So few rows that weights are better read once for all of them than through tiles.
inline bool is_few(Count rows) { return rows.most <= static_cast<std::uint64_t>(k_few_tokens); }

/// Rows of x that are multiplied with each weight while it is there: the largest power of two that rows fill.
inline std::uint32_t rows_at_once(Count rows) { return rows.most >= 4 ? 4 : rows.most >= 2 ? 2 : 1; }

/// As many rows as weights that stream past them still take less time for than tiles: where most rows have a matrix of
/// their own, tiles are nearly empty.
inline constexpr std::uint64_t k_streamed_tokens = 32, k_streamed_pairs = 4; // of a product, of each expert

/// What weights of this format need besides themselves; none for most.
Place grid_of(Emitter& emitter, WeightFormat format);
/// What products tell their pipelines besides the format: whether rows are whole chunks of 16.
inline std::uint32_t is_aligned(std::uint32_t k) { return k % 16 == 0 ? 1 : 0; }

/// Rows of weights that one workgroup of the kernels for few rows makes.
inline constexpr std::uint32_t k_row_groups = 4; // subgroups of a workgroup
std::uint32_t rows_each(std::uint32_t n);        // rows of a subgroup

/// Makes `other` part of `into` where both multiply the same few rows with weights of one format. They stand on the
/// same level, so neither waits for the other.
bool join_products(Dispatch& into, const Dispatch& other);

/// NO unless the inputs, where present, are weights in a format with a kernel.
sdk::Claim with_weights(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs);
/// NO unless the inputs, where present, are f32 or f16.
sdk::Claim with_states(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs);
/// The first NO.
sdk::Claim all_of(std::initializer_list<sdk::Claim> claims);

} // namespace seacliff::vulkan
