#include "ops/convert/recipe.hpp"

#include "core/base/text.hpp"

#include <algorithm>

namespace seacliff::convert {
namespace {

constexpr std::array<std::string_view, k_tensor_classes> k_class_names{
    "gate_experts", "up_experts", "down_experts", "shared", "attention_proj", "attention", "ape",
    "dense",        "hyper",      "embedding",    "output", "vector",         "integer",
};

struct NamedRecipe {
  std::string_view name;
  DType gate_up, down, projection, embedding, small, exact;
  std::uint32_t file_type;
};

// `projection` goes for the shared expert and the output matrix, too; `small` for router, compressor and indexer;
// `exact` for hyper-connections and position tables.
constexpr std::array<NamedRecipe, 6> k_recipes{{
    {"q2", DType::iq2_xxs, DType::q2_k, DType::q8_0, DType::f16, DType::f16, DType::f32, 19},
    {"q4", DType::q4_k, DType::q4_k, DType::q8_0, DType::f16, DType::f16, DType::f32, 14},
    {"mxfp4", DType::mxfp4, DType::mxfp4, DType::q8_0, DType::f16, DType::f16, DType::f32, 38},
    {"q8", DType::q8_0, DType::q8_0, DType::q8_0, DType::q8_0, DType::f16, DType::f32, 7},
    {"f16", DType::f16, DType::f16, DType::f16, DType::f16, DType::f16, DType::f32, 1},
    {"f32", DType::f32, DType::f32, DType::f32, DType::f32, DType::f32, DType::f32, 0},
}};

const NamedRecipe* find_recipe(std::string_view name) {
  const auto it = std::find_if(k_recipes.begin(), k_recipes.end(), [&](const auto& r) { return r.name == name; });
  return it == k_recipes.end() ? nullptr : &*it;
}

} // namespace

std::string_view class_name(TensorClass cls) { return k_class_names[static_cast<std::size_t>(cls)]; }

TensorClass classify(const TensorSpec& spec) {
  const std::string_view name = spec.name;
  if (spec.integer) return TensorClass::integer;
  if (spec.dims.size() < 2) return TensorClass::vector;
  if (contains(name, "ffn_gate_exps")) return TensorClass::gate_experts;
  if (contains(name, "ffn_up_exps")) return TensorClass::up_experts;
  if (contains(name, "ffn_down_exps")) return TensorClass::down_experts;
  if (name.starts_with("token_embd.")) return TensorClass::embedding;
  if (name.starts_with("output.")) return TensorClass::output;
  if (contains(name, "_shexp")) return TensorClass::shared;
  if (contains(name, "hc_")) return TensorClass::hyper;
  if (contains(name, "_ape.")) return TensorClass::ape;
  if (contains(name, "compressor") || contains(name, "indexer")) return TensorClass::attention;
  if (contains(name, ".attn_")) return TensorClass::attention_proj;
  return TensorClass::dense;
}

std::string recipe_names() {
  std::string names;
  for (const NamedRecipe& recipe : k_recipes) {
    if (!names.empty()) names += ", ";
    names += recipe.name;
  }
  return names;
}

Recipe recipe_of(std::string_view name) {
  const NamedRecipe* found = find_recipe(name);
  if (found == nullptr)
    throw Error(Code::invalid_argument, fmt::format("there is no recipe \"{}\"", name),
                fmt::format("recipes are {}", recipe_names()));
  Recipe recipe;
  recipe.name = name;
  using enum TensorClass;
  recipe[gate_experts] = recipe[up_experts] = found->gate_up;
  recipe[down_experts] = found->down;
  recipe[shared] = recipe[attention_proj] = recipe[output] = found->projection;
  recipe[embedding] = found->embedding;
  recipe[attention] = recipe[dense] = found->small;
  recipe[ape] = recipe[hyper] = found->exact;
  recipe[vector] = DType::f32;
  recipe[integer] = DType::i32;
  return recipe;
}

Recipe published(Recipe recipe) {
  using enum TensorClass;
  recipe[ape] = recipe[hyper] = recipe[dense] == DType::f32 ? DType::f32 : DType::f16;
  return recipe;
}

std::uint32_t file_type_of(const Recipe& recipe) {
  const NamedRecipe* found = find_recipe(recipe.name);
  constexpr std::uint32_t unknown = 1024; // "guessed" in the reader's list
  return found == nullptr ? unknown : found->file_type;
}

std::int64_t PlannedTensor::rows() const {
  std::int64_t n = 1;
  for (std::size_t i = 0; i + 1 < spec.dims.size(); ++i) n *= spec.dims[i];
  return n;
}

std::uint64_t PlannedTensor::bytes() const {
  return static_cast<std::uint64_t>(rows()) * row_bytes(dtype, static_cast<std::uint64_t>(cols()));
}

DType fitting_type(DType wanted, std::int64_t cols) {
  for (const DType type : {wanted, DType::q8_0})
    if (cols % dtype_info(type).block_elems == 0) return type;
  return DType::f16;
}

std::vector<PlannedTensor> plan_tensors(const Recipe& recipe, std::span<const TensorSpec> specs) {
  std::vector<PlannedTensor> plan;
  plan.reserve(specs.size());
  for (const TensorSpec& spec : specs) {
    const TensorClass cls = classify(spec);
    const DType wanted = recipe[cls];
    plan.push_back({spec, cls, wanted, fitting_type(wanted, spec.dims.back())});
  }
  return plan;
}

} // namespace seacliff::convert
