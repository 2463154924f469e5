#include "graph/run/host_windows.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <algorithm>

namespace seacliff::graph {

HostWindows::HostWindows(const plugins::Device& device, std::span<const std::byte> memory, std::vector<Range> ranges,
                         std::uint64_t largest)
    : memory_(memory), largest_(largest) {
  const plugins::HeapInfo* heap = device.info().import_heap();
  if (heap == nullptr) return;
  bind_align_ = heap->bind_align;
  // A window begins where offsets in it have the alignment that they have in memory.
  const std::uint64_t unit = std::max(heap->import_align, heap->bind_align);
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % unit != 0) return;
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
  for (const Range& range : ranges) {
    const std::uint64_t begin = range.offset / unit * unit;
    const std::uint64_t end = sdk::align_up(range.offset + range.bytes, heap->import_align);
    const auto fits = [&](std::uint64_t bytes) { return heap->max_alloc == 0 || bytes <= heap->max_alloc; };
    if (range.offset % bind_align_ != 0 || end > memory.size() || !fits(end - begin)) continue;
    if (!windows_.empty() && fits(std::max(end, windows_.back().end) - windows_.back().begin))
      windows_.back().end = std::max(end, windows_.back().end);
    else
      windows_.push_back({begin, end});
  }
}

const HostWindows::Window* HostWindows::window(Range range) const {
  if (range.offset % bind_align_ != 0 || (largest_ != 0 && range.bytes > largest_)) return nullptr;
  const auto in = [&](const Window& w) { return w.begin <= range.offset && range.offset + range.bytes <= w.end; };
  const auto found = std::find_if(windows_.begin(), windows_.end(), in);
  return found == windows_.end() ? nullptr : &*found;
}

bool HostWindows::import(plugins::Device& device, bool read_only) {
  for (Window& w : windows_) {
    std::optional<plugins::Buffer> buffer = device.import_host(memory_.data() + w.begin, w.end - w.begin, read_only);
    if (!buffer) {
      windows_.clear();
      return false;
    }
    w.buffer = std::move(*buffer);
  }
  return true;
}

scf_slice HostWindows::slice(Range range) const {
  const Window* w = window(range);
  if (w == nullptr) throw Error(Code::internal, fmt::format("bytes at {} are in no window", range.offset));
  return w->buffer.slice(range.offset - w->begin, range.bytes);
}

} // namespace seacliff::graph
