#include "emitter.hpp"

#include "pipelines.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace seacliff::vulkan {

const sdk::NodeView* Emitter::folded(std::string_view op) const {
  for (const std::size_t part : fusion_.folds[index_].with)
    if (nodes_[part].op() == op) return &nodes_[part];
  return nullptr;
}

const sdk::NodeView* Emitter::folded_before(const sdk::NodeView& node, std::uint32_t i) const {
  for (const std::size_t part : fusion_.folds[index_].with)
    if (nodes_[part].raw().out[0] == node.raw().in[i]) return &nodes_[part];
  return nullptr;
}

const sdk::NodeView* Emitter::folded_behind() const {
  for (const std::size_t part : fusion_.folds[index_].with)
    if (nodes_[part].raw().in[0] == node().raw().out[0]) return &nodes_[part];
  return nullptr;
}

Place Emitter::in(const sdk::NodeView& node, std::uint32_t i) const {
  if (i >= node.n_in() || node.raw().in[i] == SCF_NONE) return {};
  const std::uint32_t value = node.raw().in[i];
  const std::size_t norm = fusion_.norm_of[value];
  return place(norm == Fusion::k_none ? value : nodes_[norm].raw().in[0]);
}

Norm Emitter::norm_of(std::uint32_t i) const {
  const std::size_t norm = fusion_.norm_of[node().raw().in[i]];
  if (norm == Fusion::k_none) return {};
  return {true, in(nodes_[norm], 1), static_cast<float>(nodes_[norm].attr_float("eps"))};
}

Place Emitter::block(std::uint64_t bytes) {
  recording_.blocks.push_back(bytes);
  return {Place::Kind::block, static_cast<std::uint32_t>(recording_.blocks.size() - 1), 0};
}

Place Emitter::constants(std::span<const std::byte> bytes) {
  constexpr std::size_t align = 16;
  std::vector<std::byte>& all = recording_.constants;
  for (std::size_t at = 0; at + bytes.size() <= all.size(); at += align)
    if (std::memcmp(all.data() + at, bytes.data(), bytes.size()) == 0) return {Place::Kind::constants, 0, at};
  all.resize((all.size() + align - 1) / align * align);
  const std::size_t at = all.size();
  all.insert(all.end(), bytes.begin(), bytes.end());
  return {Place::Kind::constants, 0, at};
}

Place Emitter::counters(std::uint64_t n) {
  const Place place{Place::Kind::counters, 0, recording_.counters * 4};
  recording_.counters += n;
  return place;
}

Word Emitter::word(Count count) {
  std::vector<Count>& counts = recording_.counts;
  const auto known = std::find(counts.begin(), counts.end(), count);
  const auto index = static_cast<std::uint32_t>(known - counts.begin());
  if (known == counts.end()) counts.push_back(count);
  return {index * 4, true}; // the step's block begins with the counts
}

std::uint32_t Emitter::word(float value) { return std::bit_cast<std::uint32_t>(value); }

HalfRows Emitter::half_of(Place x, Count rows, std::uint32_t k, std::uint32_t parts) {
  for (const auto& [from, made] : halves_)
    if (from == x && made.rows == rows && made.k == k && made.parts == parts) return made;
  constexpr std::uint32_t threads = 256, each = 8, most_groups = 4096;
  const std::uint64_t width = (k + 31) / 32 * 32;
  const HalfRows made{block(rows.most * width * parts * 2), rows, k, parts};
  Dispatch d;
  d.shader = "to_half";
  d.constants = {threads, k % each == 0, parts};
  d.at = {reads(x), writes(made.x)};
  d.n = {word(rows), k};
  d.groups[0] = {rows * (width / each), threads, most_groups};
  add(std::move(d));
  halves_.emplace_back(x, made);
  return made;
}

void Emitter::add(Dispatch dispatch) {
  assert(dispatch.n.size() <= PushBlock::k_words);
  dispatch.node = node().id();
  recording_.dispatches.push_back(std::move(dispatch));
}

Count count_of(const sdk::ValueView& value, std::uint32_t begin, std::uint32_t end) {
  Count count;
  for (std::uint32_t axis = begin; axis < end; ++axis) {
    const auto dim = static_cast<std::uint64_t>(value.dim(axis));
    count.most *= dim;
    if (value.value->dim_sym[axis] != 0)
      count.sym = value.value->dim_sym[axis];
    else
      count.factor *= dim;
  }
  return count;
}

} // namespace seacliff::vulkan
