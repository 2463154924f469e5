// Programs of the device. The SDK's Segment finds the kernels and places temporaries; what is ours is where everything
// lies in the device's memory and what a launch is.
#pragma once

#include "memory.hpp"

namespace device {

/// One arena per program: the Segment's scratch first, then room for every input and output.
struct Program {
  tables::DeviceObject* device;
  Segment segment;
  std::vector<std::uint64_t> offset; // by value, in the arena: temporaries, inputs, outputs
  std::uint64_t arena_bytes = 0, weight_bytes = 0;

  Program(tables::DeviceObject* where, const scf_graph_view& graph)
      : device(where), segment(graph, where->catalogue, 1 /* the device's own worker */) {
    arena_bytes = segment.scratch_bytes();
    for (const SegmentValue& value : segment.values()) {
      offset.push_back(value.role == SCF_ROLE_TEMP ? value.scratch_offset : arena_bytes);
      if (value.used && is_io(value)) arena_bytes += align_up(value.bytes, k_host_align);
      if (value.used && value.role == SCF_ROLE_WEIGHT) weight_bytes += value.bytes;
    }
  }

  std::uint64_t scratch_offset(const SegmentNode& node) const { return node.scratch_offset; }

  /// One per node.
  std::uint64_t launches() const { return segment.nodes().size(); }
  void launch(std::size_t i, std::span<const KernelCall> calls, std::byte*) const {
    scf_worker device_worker{0, 1, nullptr};
    segment.nodes()[i].kernel->run(calls[i], Worker(&device_worker, nullptr));
  }

  static bool is_io(const SegmentValue& v) { return v.role == SCF_ROLE_INPUT || v.role == SCF_ROLE_OUTPUT; }
  static Program* of(scf_program* handle) { return reinterpret_cast<Program*>(handle); }
};

inline constexpr auto propose = tables::propose<false>; // a claim per node: the SDK's

} // namespace device
