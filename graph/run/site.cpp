#include "graph/run/site.hpp"

#include <algorithm>
#include <numeric>

namespace seacliff::graph {
namespace {

/// Whether the device says that host memory is as good as its own, and takes a page.
bool computes_in_host_memory(plugins::Device& device) {
  const plugins::HeapInfo* heap = device.info().import_heap();
  if (!device.info().unified_memory() || heap == nullptr) return false;
  const std::uint64_t align = std::max(heap->import_align, k_page);
  const HostBuffer page(align, "a page to try", HostBuffer::Fill::zero, HostBuffer::Pages::normal, align);
  return device.import_host(page.data(), align, false).has_value();
}

std::span<const std::byte> whole(const HostBuffer& buffer, const plugins::Device& device) {
  const std::uint64_t align = device.info().import_heap()->import_align;
  return {buffer.data(), (buffer.size() + align - 1) / align * align}; // up to its alignment it is ours
}

} // namespace

std::uint64_t NeedBlocks::total() const { return std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0}); }

void NeedBlocks::take_larger(const NeedBlocks& other) {
  bytes.resize(std::max(bytes.size(), other.bytes.size()));
  for (std::size_t i = 0; i < other.bytes.size(); ++i) bytes[i] = std::max(bytes[i], other.bytes[i]);
  align = std::max(align, other.align);
}

Site::Site(std::shared_ptr<plugins::Device> device)
    : device_(std::move(device)), near_(computes_in_host_memory(*device_)), transfer_(device_) {}

void Site::plan(SiteDemand demand, const GgufFile& file) {
  demand_ = std::move(demand);
  weights_ = Weights(*device_, file, demand_.weights, near_);
  const plugins::HeapInfo& heap = device_->info().own_heap();
  if (!near_) states_ = pack(demand_.states, std::max(heap.bind_align, k_page), heap.max_alloc, device_->full_id());
}

bool Site::shares_scratch() const {
  if (!near_ || demand_.needs.size() != 1) return false;
  const auto& [heap, blocks] = *demand_.needs.begin();
  return heap == device_->info().import_heap()->id && blocks.bytes.size() == 1;
}

std::vector<HeapPlan> Site::heaps() const {
  std::map<std::uint32_t, HeapPlan> plans;
  const std::uint32_t own = device_->info().own_heap().id;
  plans[own].weights = weights_.own_bytes();
  if (!near_) {
    plans[own].state = states_.total();
    plans[own].io = demand_.io;
    if (const plugins::HeapInfo* heap = plugins::Staging::heap(*device_); heap != nullptr && heap->id != own)
      plans[heap->id].staging = demand_.io + 2 * plugins::Transfer::k_piece;
  }
  if (!shares_scratch())
    for (const auto& [heap, blocks] : demand_.needs) plans[heap].scratch += blocks.total();
  std::vector<HeapPlan> result;
  for (auto& [id, plan] : plans) {
    if (plan.total() == 0) continue;
    const plugins::HeapInfo& heap = device_->info().heap(id);
    plan.device = device_->full_id();
    plan.heap = id;
    plan.in_host_memory = near_ || heap.kind == SCF_HEAP_HOST || device_->info().unified_memory();
    // What is free of the machine's memory may be little now and grow when it is asked for.
    plan.free = near_ || heap.kind == SCF_HEAP_HOST ? heap.total : device_->budget(id);
    result.push_back(std::move(plan));
  }
  return result;
}

void Site::import_shared(const HostMemory& host) {
  shared_states_ = host.states;
  const auto take = [&](const HostBuffer& buffer, std::vector<HostWindows::Range> ranges) {
    HostWindows windows;
    if (ranges.empty() || buffer.empty()) return windows;
    windows = HostWindows(*device_, whole(buffer, *device_), ranges, 0);
    const bool all = std::all_of(ranges.begin(), ranges.end(), [&](const auto& r) { return windows.holds(r); });
    if (!all || !windows.import(*device_, false))
      throw Error(
          Code::unavailable,
          fmt::format("device {} does not take {} bytes of host memory in place", device_->full_id(), buffer.size()),
          "choose another one with --backend");
    return windows;
  };
  std::vector<HostWindows::Range> states;
  for (std::size_t i = 0; i < demand_.states.size(); ++i)
    if (demand_.states[i] != 0) states.push_back({host.states[i], demand_.states[i]});
  state_windows_ = take(host.state, std::move(states));
  if (shares_scratch()) scratch_windows_ = take(host.scratch, {{0, demand_.needs.begin()->second.total()}});
  if (demand_.io != 0) io_windows_ = take(host.io, {{0, demand_.io}});
}

void Site::allocate(const HostMemory& host) {
  weights_.allocate(*device_);
  if (near_) {
    import_shared(host);
  } else {
    for (const std::uint64_t bytes : states_.blocks) state_blocks_.push_back(device_->alloc(bytes));
    if (demand_.io != 0) io_ = device_->alloc(demand_.io);
    if (demand_.io != 0 && !io_.mappable()) io_staging_ = plugins::Staging(*device_, demand_.io);
  }
  if (shares_scratch()) return;
  for (const auto& [heap, blocks] : demand_.needs)
    for (const std::uint64_t bytes : blocks.bytes)
      need_blocks_[heap].push_back(device_->alloc(bytes, blocks.align, heap));
}

scf_slice Site::state(std::size_t index) const {
  const std::uint64_t bytes = demand_.states[index];
  if (near_) return state_windows_.slice({shared_states_[index], bytes});
  const Packing::Place at = states_.places[index];
  return state_blocks_[at.block].slice(at.offset, bytes);
}

scf_slice Site::io(std::uint64_t offset, std::uint64_t bytes) const {
  return near_ ? io_windows_.slice({offset, bytes}) : io_.slice(offset, bytes);
}

scf_slice Site::need(std::uint32_t heap, std::uint32_t block, std::uint64_t offset, std::uint64_t bytes) const {
  if (bytes == 0) return {};
  if (shares_scratch()) return scratch_windows_.slice({offset, bytes});
  return need_blocks_.at(heap)[block].slice(offset, bytes);
}

void Site::read_state(std::size_t index, std::uint64_t offset, std::span<std::byte> bytes) {
  const Packing::Place at = states_.places[index];
  transfer_.read(state_blocks_[at.block], at.offset + offset, bytes);
}

void Site::write_state(std::size_t index, std::uint64_t offset, std::span<const std::byte> bytes) {
  const Packing::Place at = states_.places[index];
  transfer_.write(state_blocks_[at.block], at.offset + offset, bytes);
}

} // namespace seacliff::graph
