// How fast the team reads memory: the yardstick of everything that is bound by memory.
#pragma once

#include <cstdint>

namespace seacliff {

class Team;

struct BandwidthOptions {
  std::uint64_t bytes = std::uint64_t{2} << 30; // of the buffer; well above the last-level cache
  std::uint32_t repeats = 5;                    // the best counts
};

/// Read bandwidth of the whole team in GB/s (1e9 bytes per second), best of `repeats`. Each worker sums its own slice,
/// which it has touched first, so on a machine with several NUMA nodes this is the sum of the nodes' local bandwidths.
/// Throws Error(resource_exhausted) without the memory, Error(invalid_argument) for 0 repeats or less than 64 bytes per
/// worker.
double measure_read_bandwidth(Team& team, const BandwidthOptions& options = {});

} // namespace seacliff
