#include "ops/schema/schema.hpp"

#include "ops/schema/families.hpp"

#include <algorithm>

namespace seacliff::ops {

std::int64_t ValueType::max_elems() const {
  std::int64_t n = 1;
  for (const Dim& dim : dims) n *= dim.max;
  return n;
}

std::uint64_t ValueType::max_bytes() const {
  if (dims.empty()) return row_bytes(dtype, 1);
  const std::int64_t cols = dims.back().max;
  if (cols <= 0) return 0;
  return static_cast<std::uint64_t>(max_elems() / cols) * row_bytes(dtype, static_cast<std::uint64_t>(cols));
}

std::int64_t Attrs::get_int(std::string_view key, std::int64_t missing) const {
  const auto it = items_.find(key);
  if (it == items_.end()) return missing;
  if (const auto* value = std::get_if<std::int64_t>(&it->second)) return *value;
  if (const auto* value = std::get_if<double>(&it->second)) return static_cast<std::int64_t>(*value);
  throw Error(Code::invalid_argument, fmt::format("attribute '{}' is a text, expected a number", key));
}

double Attrs::get_float(std::string_view key, double missing) const {
  const auto it = items_.find(key);
  if (it == items_.end()) return missing;
  if (const auto* value = std::get_if<double>(&it->second)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&it->second)) return static_cast<double>(*value);
  throw Error(Code::invalid_argument, fmt::format("attribute '{}' is a text, expected a number", key));
}

int Schema::alias_of(std::size_t o) const {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].ends_with('!') && inputs[i].substr(0, inputs[i].size() - 1) == outputs[o]) return static_cast<int>(i);
  return -1;
}

std::span<const Schema> catalogue() {
  static const std::vector<Schema> ops = {
      gather_rows_schema(),   matmul_schema(),          matmul_grouped_schema(),   matmul_id_schema(),
      rms_norm_schema(),      rope_tail_schema(),       kv_round_schema(),         index_round_schema(),
      add_schema(),           swiglu_schema(),          sum_slots_schema(),        repeat_streams_schema(),
      hc_split_schema(),      hc_gate_schema(),         stream_mix_schema(),       stream_add_schema(),
      sqrt_softplus_schema(), top_k_schema(),           route_weights_schema(),    compress_pool_schema(),
      cache_append_schema(),  ring_write_schema(),      gather_kv_schema(),        attn_scores_schema(),
      softmax_sink_schema(),  attn_mix_schema(),        index_score_schema(),      top_k_rows_schema(),
      hc_pre_schema(),        hc_post_schema(),         hc_head_schema(),          compress_schema(),
      index_select_schema(),  attention_mixed_schema(), attn_out_grouped_schema(), route_schema(),
      moe_experts_schema(),   shared_expert_schema(),
  };
  return ops;
}

const Schema* find_schema(std::string_view op) {
  const std::span<const Schema> ops = catalogue();
  const auto it = std::ranges::find(ops, op, &Schema::name);
  return it == ops.end() ? nullptr : &*it;
}

} // namespace seacliff::ops
