#include "core/model/inventory.hpp"

#include "core/base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>

namespace seacliff {
namespace {

constexpr std::array<std::string_view, 10> k_classes{
    "routed experts", "shared expert", "attention",         "compressor",    "indexer",
    "output head",    "embedding",     "hyper-connections", "router, norms", "unused",
};
enum ClassIndex : std::size_t { routed, shared, attention, compressor, indexer, output, table, streams, small, unused };

/// By canonical name.
ClassIndex class_of(std::string_view name) {
  if (contains(name, "_exps.")) return routed;
  if (contains(name, "_shexp.")) return shared;
  if (contains(name, "indexer")) return indexer;
  if (contains(name, "compressor")) return compressor;
  if (contains(name, "hc_")) return streams;
  if (contains(name, "token_embd") || contains(name, "tid2eid")) return table;
  if (name == "output.weight") return output;
  if (contains(name, ".attn_")) return attention;
  return small;
}

std::uint64_t read_per_token(ClassIndex kind, const GgufTensor& tensor, const HParams& hp) {
  switch (kind) {
  case routed:
    return tensor.bytes / static_cast<std::uint64_t>(hp.n_experts) * static_cast<std::uint64_t>(hp.n_experts_used);
  case table: return tensor.bytes / static_cast<std::uint64_t>(tensor.dims.front());
  case unused: return 0;
  default: return tensor.bytes;
  }
}

/// Position tables are added and norms scale: neither is multiplied as a matrix.
std::uint64_t weights_per_token(ClassIndex kind, std::string_view name, const GgufTensor& tensor, const HParams& hp) {
  if (kind == table || kind == unused || tensor.dims.size() < 2 || contains(name, "_ape.")) return 0;
  std::uint64_t elems = 1;
  for (const std::int64_t n : tensor.dims) elems *= static_cast<std::uint64_t>(n);
  if (kind != routed) return elems;
  return elems / static_cast<std::uint64_t>(hp.n_experts) * static_cast<std::uint64_t>(hp.n_experts_used);
}

std::string recipe_name(const std::set<DType>& gate_up, const std::set<DType>& down) {
  if (gate_up == std::set{DType::iq2_xxs} && down == std::set{DType::q2_k}) return "q2";
  if (gate_up.size() == 1 && gate_up == down) {
    switch (*down.begin()) {
    case DType::q4_k: return "q4";
    case DType::q8_0: return "q8";
    default: return std::string(dtype_info(*down.begin()).name);
    }
  }
  std::set<DType> all = gate_up;
  all.insert(down.begin(), down.end());
  std::string names;
  for (const DType dtype : all) names += (names.empty() ? "" : ", ") + std::string(dtype_info(dtype).name);
  return "mixed (" + names + ")";
}

} // namespace

Inventory take_inventory(const GgufFile& file, const HParams& hp, const TensorDirectory& directory) {
  std::array<TensorClass, k_classes.size()> classes;
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i].name = k_classes[i];
  std::set<const GgufTensor*> used;
  std::set<DType> gate_up, down;

  const auto count = [&](ClassIndex kind, std::string_view name, const GgufTensor& tensor) {
    TensorClass& entry = classes[kind];
    ++entry.tensors;
    entry.bytes += tensor.bytes;
    entry.bytes_per_token += read_per_token(kind, tensor, hp);
    entry.weights_per_token += weights_per_token(kind, name, tensor, hp);
    ++entry.dtypes[tensor.dtype];
  };
  for (const TensorSpec& spec : expected_tensors(hp)) {
    const GgufTensor& tensor = directory.global(spec.name);
    used.insert(&tensor);
    const ClassIndex kind = class_of(spec.name);
    count(kind, spec.name, tensor);
    if (kind == routed) (contains(spec.name, "_down_") ? down : gate_up).insert(tensor.dtype);
  }
  for (const GgufTensor& tensor : file.tensors())
    if (!used.contains(&tensor)) count(unused, tensor.name, tensor);

  Inventory out;
  out.recipe = recipe_name(gate_up, down);
  std::copy_if(classes.begin(), classes.end(), std::back_inserter(out.classes),
               [](const TensorClass& entry) { return entry.tensors != 0; });
  for (const TensorClass& entry : out.classes) {
    out.bytes += entry.bytes;
    out.bytes_per_token += entry.bytes_per_token;
  }
  return out;
}

StepWork step_work(const Inventory& inventory, const HParams& hp, std::int64_t n_tokens, std::int64_t n_outputs) {
  const auto tokens = static_cast<double>(n_tokens), outputs = static_cast<double>(n_outputs);
  const double used = static_cast<double>(hp.n_experts_used) / static_cast<double>(hp.n_experts);
  StepWork work;
  for (const TensorClass& entry : inventory.classes) {
    const auto per_token = static_cast<double>(entry.bytes_per_token);
    if (entry.name == k_classes[table])
      work.weight_bytes += per_token * tokens;
    else if (entry.name == k_classes[routed])
      work.weight_bytes += static_cast<double>(entry.bytes) * (1 - std::pow(1 - used, tokens));
    else if (entry.name != k_classes[output] || n_outputs > 0)
      work.weight_bytes += per_token;
    const double times = entry.name == k_classes[output] ? outputs : tokens;
    work.flops += 2 * static_cast<double>(entry.weights_per_token) * times;
  }
  return work;
}

} // namespace seacliff
