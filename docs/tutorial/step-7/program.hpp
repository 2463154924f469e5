// Step 6's programs with the nodes of a segment in groups: one launch per group.
#pragma once

#include "fuse.hpp"
#include "memory.hpp"

#include <map>

namespace device {

struct Program {
  tables::DeviceObject* device;
  Segment segment;
  std::vector<Group> groups;
  std::vector<std::uint64_t> offsets; // by value: temporaries
  std::uint64_t launch_offset = 0;    // behind them: what a launch needs for itself
  scf_need scratch;

  Program(tables::DeviceObject* where, const scf_graph_view& graph)
      : device(where), segment(graph, where->catalogue, 1 /* the device's own worker */),
        groups(find_groups(graph, where->catalogue, where->host())), offsets(segment.values().size()),
        launch_offset(place_temporaries()), scratch{k_device_heap, 0, launch_offset, k_host_align} {
    for (const Group& group : groups) scratch.bytes = std::max(scratch.bytes, launch_offset + launch_bytes(group));
  }

  std::uint64_t offset(std::uint32_t temporary) const { return offsets[temporary]; }
  std::uint64_t scratch_offset(const SegmentNode&) const { return launch_offset; }

  /// One per group.
  std::uint64_t launches() const { return groups.size(); }
  void launch(std::size_t i, std::span<const KernelCall> calls, std::byte* memory) const {
    const Group& group = groups[i];
    calls = calls.subspan(group.first, group.count);
    if (group.count > 1) return NormMatmul::run(calls, group, reinterpret_cast<float*>(memory + launch_offset));
    scf_worker device_worker{0, 1, nullptr};
    segment.nodes()[group.first].kernel->run(calls[0], Worker(&device_worker, nullptr));
  }

  /// The Segment's own plan lets the output of a product lie where the input of its norm was: node by node nobody needs
  /// that any more. A group still reads it for its next tile, so lifetimes are counted in groups here.
  std::uint64_t place_temporaries() {
    std::vector<Lifetime> lifetimes;
    std::map<std::uint32_t, std::size_t> lifetime_of; // by value
    for (std::uint32_t g = 0; g < groups.size(); ++g)
      for (std::uint32_t n = groups[g].first; n < groups[g].first + groups[g].count; ++n) {
        const SegmentNode& node = segment.nodes()[n];
        for (std::uint32_t i = 0; i < node.n_in + node.n_out; ++i) {
          const std::uint32_t id = segment.operands()[node.first_operand + i];
          if (id == SCF_NONE || segment.values()[id].role != SCF_ROLE_TEMP) continue;
          const auto [known, fresh] = lifetime_of.emplace(id, lifetimes.size());
          if (fresh) lifetimes.push_back({segment.values()[id].bytes, g, g, 0});
          lifetimes[known->second].last = g;
        }
      }
    const std::uint64_t bytes = plan_scratch(lifetimes, k_host_align);
    for (const auto& [id, index] : lifetime_of) offsets[id] = lifetimes[index].offset;
    return bytes;
  }

  /// Scratch of a kernel, or the fast memory of a group.
  std::uint64_t launch_bytes(const Group& group) const {
    const SegmentNode& node = segment.nodes()[group.first];
    if (group.count == 1) return node.scratch_bytes;
    const SegmentValue& rows = segment.values()[segment.operands()[node.first_operand + node.n_in]];
    return NormMatmul::fast_bytes(rows.dims[rows.rank - 1]);
  }

  static bool is_io(const SegmentValue& v) { return v.role == SCF_ROLE_INPUT || v.role == SCF_ROLE_OUTPUT; }
  static Program* of(scf_program* handle) { return reinterpret_cast<Program*>(handle); }
};

} // namespace device
