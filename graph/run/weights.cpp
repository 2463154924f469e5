#include "graph/run/weights.hpp"

#include "core/base/bytes.hpp"
#include "core/base/log.hpp"
#include "core/memory/host_buffer.hpp"
#include "core/memory/mapped_file.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <algorithm>
#include <chrono>

namespace seacliff::graph {
namespace {

constexpr std::uint64_t k_least_align = 64; // of a weight in memory of a device

/// The file's bytes; of a mapping, to the end of its last page.
std::span<const std::byte> pages(const GgufFile& file) {
  const GgufTensor& any = file.tensors().front();
  const std::uint64_t bytes = file.file_bytes();
  return {any.data - any.offset, file.mapping() != nullptr ? sdk::align_up(bytes, k_page) : bytes};
}

} // namespace

Weights::Weights(const plugins::Device& device, const GgufFile& file, std::vector<const GgufTensor*> tensors,
                 bool in_place)
    : file_(&file) {
  std::vector<HostWindows::Range> ranges;
  for (const GgufTensor* tensor : tensors)
    if (tensors_.emplace(Key{tensor->offset, tensor->bytes}, tensor).second)
      ranges.push_back({tensor->offset, tensor->bytes});
  const plugins::HeapInfo* heap = device.info().import_heap();
  if (in_place && heap != nullptr && !ranges.empty())
    windows_ = HostWindows(device, pages(file), std::move(ranges), heap->max_binding);
  pack_own(device);
}

void Weights::pack_own(const plugins::Device& device) {
  own_.clear();
  std::vector<std::uint64_t> sizes;
  for (const auto& [key, tensor] : tensors_) {
    if (windows_.holds({key.first, key.second})) continue;
    own_[key] = sizes.size();
    sizes.push_back(key.second);
  }
  const plugins::HeapInfo& heap = device.info().own_heap();
  packing_ = pack(sizes, std::max(heap.bind_align, k_least_align), heap.max_alloc, device.full_id());
}

bool Weights::import(plugins::Device& device) {
  if (windows_.import(device, true)) return true;
  pack_own(device);
  return false;
}

void Weights::allocate(plugins::Device& device) {
  blocks_.clear();
  for (const std::uint64_t bytes : packing_.blocks) blocks_.push_back(device.alloc(bytes));
}

void Weights::load(plugins::Transfer& transfer, bool drop_pages) {
  if (own_.empty()) return;
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds k_between_lines{5};
  constexpr std::uint64_t k_part = 256U << 20; // of a tensor, so that lines come and pages go in time
  const std::string where = transfer.device().full_id();
  const Clock::time_point begin = Clock::now();
  Clock::time_point said = begin;
  std::uint64_t done = 0;
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  for (const auto& [key, index] : own_) {
    const GgufTensor& tensor = *tensors_.at(key);
    const Packing::Place at = packing_.places[index];
    for (std::uint64_t part = 0; part < tensor.bytes; part += k_part) {
      const std::uint64_t n = std::min(k_part, tensor.bytes - part);
      if (file_->mapping() != nullptr) file_->mapping()->advise_willneed(tensor.offset + part, 2 * k_part);
      transfer.write(blocks_[at.block], at.offset + part, {tensor.data + part, static_cast<std::size_t>(n)});
      if (drop_pages && file_->mapping() != nullptr) file_->mapping()->drop(tensor.offset + part, n);
      done += n;
      if (Clock::now() - said < k_between_lines) continue;
      said = Clock::now();
      log::info("model", "weights: {} of {} are on {}", format_bytes(done), format_bytes(own_bytes()), where);
    }
  }
  log::info("model", "weights: {} brought to {} in {:.1f} s", format_bytes(done), where, seconds());
}

scf_slice Weights::slice(const GgufTensor& tensor) const {
  const auto own = own_.find({tensor.offset, tensor.bytes});
  if (own == own_.end()) return windows_.slice({tensor.offset, tensor.bytes});
  const Packing::Place at = packing_.places[own->second];
  return blocks_[at.block].slice(at.offset, tensor.bytes);
}

} // namespace seacliff::graph
