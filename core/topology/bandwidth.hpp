// How fast the team reads memory: the yardstick of everything that is bound by memory.
#pragma once

#include "core/memory/host_buffer.hpp"

#include <cstdint>

namespace seacliff {

class Team;

/// Memory that the whole team reads, over and over. Each worker sums its own slice, which it has touched first, so on a
/// machine with several NUMA nodes the result is the sum of the nodes' local bandwidths; who has done so takes pieces
/// of the others' slices, so that a worker whose core is slower or has other users does not hold up the rest, as it
/// does not when kernels share their work. Lines are fetched ahead of the loads, as kernels do: plain loads alone reach
/// less (docs/experiments/decoding.md, "What memory gives").
class ReadBandwidth {
public:
  /// `bytes`: well above the last-level cache, or that is what is measured. The team must outlive this. Throws
  /// Error(resource_exhausted) without the memory, Error(invalid_argument) for less than 64 bytes per worker.
  ReadBandwidth(Team& team, std::uint64_t bytes);

  /// GB/s (1e9 bytes per second), the best of `repeats`. Throws Error(invalid_argument) for none.
  double measure(std::uint32_t repeats);

private:
  Team& team_;
  std::uint64_t lines_per_worker_; // of 64 bytes
  HostBuffer buffer_;
};

} // namespace seacliff
