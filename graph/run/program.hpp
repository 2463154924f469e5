// A placed graph, compiled: what one step of at most N tokens runs.
#pragma once

#include "graph/place/placement.hpp"
#include "graph/run/profile.hpp"
#include "plugins/loader/plugin.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::graph {

/// Host memory that every device of a model sees: one import per device.
class SharedMemory {
public:
  SharedMemory() = default;
  /// Throws Error(unimplemented) naming a device that cannot use host memory in place.
  SharedMemory(std::span<const std::shared_ptr<plugins::Device>> devices, const std::byte* data, std::uint64_t bytes,
               bool read_only);
  scf_slice slice(std::uint32_t device, std::uint64_t offset, std::uint64_t bytes) const {
    return buffers_[device].slice(offset, bytes);
  }

private:
  std::vector<plugins::Buffer> buffers_; // by device
};

/// Where the bytes of a weight or state are.
struct Resident {
  const SharedMemory* memory = nullptr;
  std::uint64_t offset = 0, bytes = 0;
};

/// Compiled in the constructor, given memory by `bind`, then `run` any number of times.
class StepProgram {
public:
  /// Places and compiles. A node that a plugin claimed and will not compile is struck and the plan made anew; the
  /// strike is logged as the plugin's fault.
  StepProgram(const Graph& graph, PlaceOptions options);

  const Placement& placement() const { return placement_; }
  std::uint64_t scratch_bytes() const { return scratch_bytes_; } // of the largest segment
  std::uint64_t io_bytes() const { return io_bytes_; }           // inputs, outputs, values that change device

  /// `resident(value)` tells where a weight or state is. `io` and `scratch` are at least as large as asked for and are
  /// shared with other programs that never run at the same time. `io_data` is the host address of `io`.
  void bind(const std::function<Resident(const Value&)>& resident, const SharedMemory& io, std::byte* io_data,
            const SharedMemory& scratch);

  /// Host address of an INPUT or OUTPUT by name; valid after bind.
  std::byte* io(std::string_view value) const;
  /// Runs all segments and waits. `symbols` are values by symbol id. Allocates nothing. Throws the first failure.
  void run(std::span<const scf_dim> symbols);

  /// As run, for devices that are profiling at `granularity`. The times of the nodes, launches and barriers go into
  /// `record`, whose `lost` counts since the devices began. Segments of a device that cannot profile are timed from
  /// here. Throws Error(internal) when a device reports nodes that it was not given.
  void run_profiled(std::span<const scf_dim> symbols, Granularity granularity, StepRecord& record);

private:
  struct Part {
    std::uint32_t device = 0;
    std::uint64_t launches = 0, barriers = 0;
    std::shared_ptr<plugins::Program> program;
    std::vector<std::pair<std::uint32_t, ValueId>> resident; // view value, graph value
    std::vector<std::pair<std::uint32_t, ValueId>> io;
    plugins::Exec exec;
    std::vector<scf_binding> io_bindings;
  };
  struct Lane { // one per device
    plugins::Queue queue;
    plugins::Semaphore done;
    std::uint64_t submitted = 0;
  };

  void compile();
  void plan_io();
  void run_part(std::size_t part, std::span<const scf_dim> symbols, bool wait);
  void drain(std::uint32_t device, StepRecord& record);

  PlaceOptions options_;
  Placement placement_;
  std::vector<Part> parts_;
  std::vector<Lane> lanes_;
  std::map<ValueId, std::pair<std::uint64_t, std::uint64_t>> io_at_; // offset, bytes
  std::map<std::string, ValueId, std::less<>> io_names_;
  std::uint64_t scratch_bytes_ = 0, io_bytes_ = 0;
  std::byte* io_data_ = nullptr;
};

} // namespace seacliff::graph
