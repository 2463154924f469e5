#include "graph/run/weights.hpp"

#include "core/base/bytes.hpp"
#include "core/base/log.hpp"
#include "core/memory/host_buffer.hpp"
#include "core/memory/mapped_file.hpp"
#include "core/topology/team.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <tuple>

namespace seacliff::graph {
namespace {

constexpr std::uint64_t k_least_align = 64; // of a weight in memory of a device

/// The file's bytes; of a mapping, to the end of its last page.
std::span<const std::byte> pages(const GgufFile& file) {
  const GgufTensor& any = file.tensors().front();
  const std::uint64_t bytes = file.file_bytes();
  return {any.data - any.offset, file.mapping() != nullptr ? sdk::align_up(bytes, k_page) : bytes};
}

/// What a weight is made of, one behind the other: as many rows as a slice of its layout must be a multiple of; of the
/// file's bytes, rows.
struct Units {
  explicit Units(const WeightUse& use) {
    rows = 1;
    for (std::uint32_t d = 0; d + 1 < use.seen.rank; ++d) rows *= static_cast<std::uint64_t>(use.seen.dims[d]);
    each = use.layout.id == 0 ? 1 : std::min(use.layout.row_granularity, rows);
    from = use.tensor->bytes / rows * each;
    to = use.bytes() / rows * each;
    count = (rows + each - 1) / each;
  }
  std::uint64_t row(std::uint64_t unit) const { return std::min(unit * each, rows); }

  std::uint64_t rows, each, count;
  std::uint64_t from, to; // bytes of a unit in the file, and on the device
};

} // namespace

Weights::Weights(const plugins::Device& device, const GgufFile& file, const std::vector<WeightUse>& uses, bool in_place)
    : file_(&file) {
  using Bytes = std::tuple<std::uint64_t, std::uint64_t, std::uint32_t, DType, std::vector<std::int64_t>>;
  std::map<Bytes, std::size_t> seen;
  std::vector<HostWindows::Range> ranges;
  for (const WeightUse& use : uses) {
    const GgufTensor& t = *use.tensor;
    const Bytes key = use.layout.id == 0 ? Bytes{t.offset, t.bytes, 0, DType::f32, {}}
                                         : Bytes{t.offset, t.bytes, use.layout.id, t.dtype, t.dims};
    const auto [at, fresh] = seen.emplace(key, distinct_.size());
    index_[use.tensor] = at->second;
    if (!fresh) continue;
    distinct_.push_back(use);
    ranges.push_back({t.offset, t.bytes});
  }
  const plugins::HeapInfo* heap = device.info().import_heap();
  if (in_place && heap != nullptr && !ranges.empty())
    windows_ = HostWindows(device, pages(file), std::move(ranges), heap->max_binding);
  pack_own(device);
}

void Weights::pack_own(const plugins::Device& device) {
  const plugins::HeapInfo& heap = device.info().own_heap();
  std::vector<std::uint64_t> sizes;
  std::uint64_t align = std::max(heap.bind_align, k_least_align);
  for (const WeightUse& use : distinct_) {
    sizes.push_back(in_place(use) ? 0 : use.bytes());
    align = std::max(align, use.layout.align);
  }
  packing_ = pack(sizes, align, heap.max_alloc, device.full_id());
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

void Weights::load(plugins::Transfer& transfer, Team& team, bool drop_pages) {
  if (own_bytes() == 0) return;
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds k_between_lines{5};
  constexpr std::uint64_t k_part = 256U << 20; // of a tensor, so that lines come and pages go in time
  const std::string where = transfer.device().full_id();
  const Clock::time_point begin = Clock::now();
  Clock::time_point said = begin;
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < distinct_.size(); ++i) {
    if (in_place(distinct_[i])) continue;
    const GgufTensor& tensor = *distinct_[i].tensor;
    const Units units(distinct_[i]);
    const std::uint64_t step = std::max<std::uint64_t>(k_part / units.from, 1);
    for (std::uint64_t unit = 0; unit < units.count; unit += step) {
      const std::uint64_t end = std::min(unit + step, units.count), at = unit * units.from;
      const std::uint64_t n = std::min(end * units.from, tensor.bytes) - at;
      if (file_->mapping() != nullptr) file_->mapping()->advise_willneed(tensor.offset + at, 2 * n);
      load_part(transfer, team, i, unit, end);
      if (drop_pages && file_->mapping() != nullptr) file_->mapping()->drop(tensor.offset + at, n);
      done += n;
      if (Clock::now() - said < k_between_lines) continue;
      said = Clock::now();
      log::info("model", "weights: {} of {} are on {}", format_bytes(done), format_bytes(own_bytes()), where);
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  log::info("model", "weights: {} brought to {} in {:.1f} s, {:.1f} GB/s", format_bytes(done), where, seconds,
            static_cast<double>(done) / 1e9 / std::max(seconds, 1e-9));
}

/// Units [begin, end) of a weight. The workers share each piece: one thread alone reads slower than most links carry.
void Weights::load_part(plugins::Transfer& transfer, Team& team, std::size_t index, std::uint64_t begin,
                        std::uint64_t end) {
  const WeightUse& use = distinct_[index];
  const Units units(use);
  const auto make = [&](std::uint64_t first, std::uint64_t last, std::byte* to) {
    const std::byte* from = use.tensor->data + first * units.from;
    if (use.layout.id == 0)
      std::memcpy(to, from, (last - first) * units.from);
    else
      transfer.device().repack(use.seen, use.layout.id, units.row(first), units.row(last), from, to);
  };
  const Packing::Place at = packing_.places[index];
  const std::uint64_t bytes = std::min(end * units.to, use.bytes()) - begin * units.to;
  transfer.write(blocks_[at.block], at.offset + begin * units.to, bytes, units.to,
                 [&](std::uint64_t offset, std::span<std::byte> piece) {
                   const std::uint64_t first = begin + offset / units.to;
                   const std::uint64_t count = (piece.size() + units.to - 1) / units.to;
                   team.parallel([&](std::uint32_t worker, std::uint32_t workers) {
                     const std::uint64_t mine = count * worker / workers, next = count * (worker + 1) / workers;
                     if (mine < next) make(first + mine, first + next, piece.data() + mine * units.to);
                   });
                 });
}

scf_slice Weights::slice(const GgufTensor& tensor) const {
  const std::size_t index = index_.at(&tensor);
  const WeightUse& use = distinct_[index];
  if (in_place(use)) return windows_.slice({tensor.offset, tensor.bytes});
  const Packing::Place at = packing_.places[index];
  return blocks_[at.block].slice(at.offset, use.bytes());
}

} // namespace seacliff::graph
