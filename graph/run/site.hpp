// The memory of a model on one of its devices.
#pragma once

#include "core/memory/host_buffer.hpp"
#include "graph/plan/memory.hpp"
#include "graph/run/host_windows.hpp"
#include "graph/run/weights.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace seacliff::graph {

/// Memory that programs need beside their values, in one heap. Programs never run at once, so the largest block counts.
struct NeedBlocks {
  std::vector<std::uint64_t> bytes;
  std::uint64_t align = 1;

  std::uint64_t total() const;
  void take_larger(const NeedBlocks& other);
};

/// What a model wants of one device. Bytes.
struct SiteDemand {
  std::vector<WeightUse> weights;
  std::vector<std::uint64_t> states;         // by state of the model; 0: not used here
  std::map<std::uint32_t, NeedBlocks> needs; // by heap
  std::uint64_t io = 0;                      // inputs, outputs, values that change device
};

/// What devices share that compute in host memory. `states` tells where each state of the model lies in `state`.
struct HostMemory {
  HostBuffer state, scratch, io;
  std::vector<std::uint64_t> states;
};

/// A device that computes in host memory ("near") has everything there, in pages of the host that it imports. Any other
/// has weights, states, inputs and outputs in its own heap, and bytes are carried.
class Site {
public:
  /// Asks: a near device says that host memory is as good as its own, and takes a page of it.
  explicit Site(std::shared_ptr<plugins::Device> device);

  plugins::Device& device() const { return *device_; }
  bool near() const { return near_; }

  /// Decides what goes where; takes no memory. `file` must outlive this object.
  void plan(SiteDemand demand, const GgufFile& file);
  const SiteDemand& demand() const { return demand_; }
  /// Whether its scratch is the host's.
  bool shares_scratch() const;
  /// What allocate() will take, by heap, with what is free. Of a near device: what it cannot use in place.
  std::vector<HeapPlan> heaps() const;

  /// Imports the weights that are used in place; false when the plan has changed by that.
  bool import_weights() { return weights_.import(*device_); }
  /// Takes the memory planned. `host` outlives this object.
  void allocate(const HostMemory& host);
  /// Brings weights to the device. `drop_pages`: nobody else reads the file's.
  void load_weights(Team& team, bool drop_pages) { weights_.load(transfer_, team, drop_pages); }

  scf_slice weight(const GgufTensor& tensor) const { return weights_.slice(tensor); }
  scf_slice state(std::size_t index) const;
  scf_slice io(std::uint64_t offset, std::uint64_t bytes) const;
  scf_slice need(std::uint32_t heap, std::uint32_t block, std::uint64_t offset, std::uint64_t bytes) const;

  // Of a device that is not near:
  /// Bytes of a state, from and to the host.
  void read_state(std::size_t index, std::uint64_t offset, std::span<std::byte> bytes);
  void write_state(std::size_t index, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Its inputs and outputs, when they can be mapped; else they pass through io_staging(), which has the same offsets.
  plugins::Buffer& io_buffer() { return io_; }
  plugins::Staging& io_staging() { return io_staging_; }

private:
  void import_shared(const HostMemory& host);

  std::shared_ptr<plugins::Device> device_;
  bool near_ = false;
  SiteDemand demand_;
  Weights weights_;
  Packing states_;
  std::vector<std::uint64_t> shared_states_; // near: offsets in the host's
  HostWindows state_windows_, scratch_windows_, io_windows_;
  std::vector<plugins::Buffer> state_blocks_;
  std::map<std::uint32_t, std::vector<plugins::Buffer>> need_blocks_;
  plugins::Buffer io_;
  plugins::Staging io_staging_;
  plugins::Transfer transfer_;
};

} // namespace seacliff::graph
