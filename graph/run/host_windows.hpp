// Host memory that a device uses in place.
#pragma once

#include "plugins/loader/plugin.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace seacliff::graph {

/// Ranges of one piece of host memory, imported by a device in as few windows as it takes. A range that its heap cannot
/// bind (its offset is no multiple of bind_align) is not held.
class HostWindows {
public:
  struct Range {
    std::uint64_t offset = 0, bytes = 0;
  };

  HostWindows() = default;
  /// Decides; imports nothing yet. `memory`: all bytes that may be imported, whole pages where the device asks for
  /// them; it must outlive this object. `largest`: no range may have more bytes, 0: no limit.
  HostWindows(const plugins::Device& device, std::span<const std::byte> memory, std::vector<Range> ranges,
              std::uint64_t largest);

  bool holds(Range range) const { return window(range) != nullptr; }
  /// False when the device refuses a window: then none is left.
  bool import(plugins::Device& device, bool read_only);
  /// Of a range that is held and imported.
  scf_slice slice(Range range) const;

private:
  struct Window {
    std::uint64_t begin = 0, end = 0;
    plugins::Buffer buffer{};
  };
  const Window* window(Range range) const;

  std::span<const std::byte> memory_;
  std::uint64_t bind_align_ = 1, largest_ = 0;
  std::vector<Window> windows_; // by begin
};

} // namespace seacliff::graph
