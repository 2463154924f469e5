// Programs of the device. The SDK's Segment finds the kernels and places temporaries in memory that the host gives;
// what is ours is what a launch is.
#pragma once

#include "memory.hpp"

namespace device {

struct Program {
  tables::DeviceObject* device;
  Segment segment;
  scf_need scratch; // temporaries, and what kernels need for themselves

  Program(tables::DeviceObject* where, const scf_graph_view& graph)
      : device(where),
        segment(graph, where->catalogue, 1 /* the device's own worker */), scratch{k_device_heap, 0,
                                                                                   segment.scratch_bytes(),
                                                                                   k_host_align} {}

  std::uint64_t offset(std::uint32_t temporary) const { return segment.values()[temporary].scratch_offset; }
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
