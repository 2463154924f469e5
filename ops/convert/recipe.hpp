// Which type each tensor of a model gets when a checkpoint is converted.
#pragma once

#include "core/model/hparams.hpp"

#include <seacliff/sdk/dtype.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::convert {

/// Tensors that are treated alike.
enum class TensorClass : std::uint8_t {
  gate_experts,
  up_experts,
  down_experts,
  shared,         // shared expert
  attention_proj, // attn_q_a, attn_q_b, attn_kv, attn_output_a, attn_output_b
  attention,      // compressor and indexer matrices
  ape,            // position tables of the compressors: small and exact in the checkpoint
  dense,          // router
  hyper,          // hyper-connection matrices: small, exact in the checkpoint, and everything passes through them
  embedding,
  output,
  vector,  // everything with one dimension: always f32
  integer, // hash-routing tables: always i32
};
inline constexpr std::size_t k_tensor_classes = 13;

std::string_view class_name(TensorClass cls);
TensorClass classify(const TensorSpec& spec);

/// A type per class.
struct Recipe {
  std::string name;
  std::array<DType, k_tensor_classes> types{};

  DType& operator[](TensorClass cls) { return types[static_cast<std::size_t>(cls)]; }
  DType operator[](TensorClass cls) const { return types[static_cast<std::size_t>(cls)]; }
};

/// Names for help texts: "q2, q4, ...".
std::string recipe_names();

/// q2: gate and up IQ2_XXS, down Q2_K. q4: experts Q4_K. mxfp4: experts MXFP4, the checkpoint's FP4 without loss.
/// q8: experts Q8_0, the embedding too. In these projections, shared expert and output are Q8_0; embedding, router,
/// compressor and indexer F16. f16: every matrix. Hyper-connection matrices and position tables stay F32 in all of
/// them: they are small, and F16 would round them. f32: everything, exact.
/// Throws Error(invalid_argument) for another name.
Recipe recipe_of(std::string_view name);

/// The same with the types that published files of a recipe have where `quantize` is more careful: hyper-connection
/// matrices and position tables in F16, unless everything is F32.
Recipe published(Recipe recipe);

/// The number that GGUF files carry as general.file_type for it: informative only.
std::uint32_t file_type_of(const Recipe& recipe);

/// What happens to one tensor.
struct PlannedTensor {
  TensorSpec spec;
  TensorClass cls = TensorClass::vector;
  DType wanted = DType::f32; // by the recipe
  DType dtype = DType::f32;  // `wanted`, or what fits where a row is no multiple of its block

  std::int64_t cols() const { return spec.dims.back(); }
  std::int64_t rows() const;
  std::uint64_t bytes() const;
};

/// `wanted` where rows of `cols` elements are whole blocks of it, else Q8_0 or, at last, F16.
DType fitting_type(DType wanted, std::int64_t cols);

std::vector<PlannedTensor> plan_tensors(const Recipe& recipe, std::span<const TensorSpec> specs);

} // namespace seacliff::convert
