// A placed graph, compiled: what one step of at most N tokens runs.
#pragma once

#include "graph/place/placement.hpp"
#include "graph/run/profile.hpp"
#include "graph/run/site.hpp"
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

/// Compiled in the constructor, given memory by `bind`, then `run` any number of times.
class StepProgram {
public:
  /// Places and compiles. A node that a plugin claimed and will not compile is struck and the plan made anew; the
  /// strike is logged as the plugin's fault.
  StepProgram(const Graph& graph, PlaceOptions options);

  const Placement& placement() const { return placement_; }
  std::uint64_t io_bytes() const { return io_bytes_; } // inputs, outputs, values that change device
  bool uses(std::uint32_t device) const;
  /// Weights and states that the device uses.
  std::vector<const Value*> resident(std::uint32_t device) const;
  /// The layout that the device's programs want a weight in.
  plugins::LayoutInfo layout(std::uint32_t device, const Value& weight) const;
  /// What the segments of the device need beside values, the largest of each, by heap.
  std::map<std::uint32_t, NeedBlocks> needs(std::uint32_t device) const;

  /// `sites`: by device, with at least io_bytes() and needs(), shared with other programs that never run at the same
  /// time. `slice(device, value)` tells where a weight or state is. `io_data`: the host's inputs and outputs, which the
  /// sites in host memory use in place. All must outlive this object's last run.
  void bind(std::span<const std::unique_ptr<Site>> sites,
            const std::function<scf_slice(std::uint32_t device, const Value&)>& slice, std::byte* io_data);

  /// Host address of an INPUT or OUTPUT by name; valid after bind.
  std::byte* io(std::string_view value) const;
  /// Runs all segments and waits. `symbols` are values by symbol id. Allocates nothing. Throws the first failure.
  void run(std::span<const scf_dim> symbols);

  /// As run, for devices that are profiling at `granularity`. The times of the nodes, launches and barriers go into
  /// `record`, whose `lost` counts since the devices began. Segments of a device that cannot profile are timed from
  /// here. Throws Error(internal) when a device reports nodes that it was not given.
  void run_profiled(std::span<const scf_dim> symbols, Granularity granularity, StepRecord& record);

private:
  struct Need {
    std::uint32_t heap = 0, block = 0;
    std::uint64_t offset = 0, bytes = 0;
  };
  struct Io {
    std::uint32_t view_value = 0;
    ValueId value = 0;
    bool written = false;
  };
  struct Part {
    std::uint32_t device = 0;
    std::uint64_t launches = 0, barriers = 0;
    std::shared_ptr<plugins::Program> program;
    std::vector<std::pair<std::uint32_t, ValueId>> resident; // view value, graph value
    std::vector<Io> io;
    std::vector<Need> needs;
    std::map<std::uint32_t, NeedBlocks> need_blocks;
    std::vector<ValueId> to_device, to_host; // carried before and after, when the device is not in host memory
    plugins::Exec exec;
    std::vector<scf_binding> io_bindings;
  };
  struct Range {
    std::uint64_t offset = 0, bytes = 0;
  };
  struct Lane { // one per device
    plugins::Queue queue;
    plugins::Semaphore done;
    std::uint64_t submitted = 0;
  };

  void compile();
  void check_io(const Part& part) const;
  void plan_needs(Part& part);
  void plan_io();
  void plan_carries();
  void plan_outputs();
  Range range_now(ValueId value, std::span<const scf_dim> symbols) const;
  void copy(Lane& lane, scf_slice dst, scf_slice src);
  void carry_in(const Part& part, std::span<const scf_dim> symbols);
  void carry_out(const Part& part, std::span<const scf_dim> symbols);
  void run_part(std::size_t part, std::span<const scf_dim> symbols);
  void drain(std::uint32_t device, StepRecord& record);

  PlaceOptions options_;
  Placement placement_;
  std::vector<Part> parts_;
  std::vector<Lane> lanes_;
  std::span<const std::unique_ptr<Site>> sites_; // by device, from bind on
  std::map<ValueId, Range> io_at_;
  std::map<std::string, ValueId, std::less<>> io_names_;
  std::map<ValueId, std::byte*> left_in_staging_; // outputs of far devices that nobody but the host reads
  std::uint64_t io_bytes_ = 0;
  std::byte* io_data_ = nullptr;
};

} // namespace seacliff::graph
