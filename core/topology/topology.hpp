// The one hwloc topology of the process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace seacliff {

/// What this process may use: container cpusets, the affinity mask of the thread that made it and the container's CPU
/// quota are respected. Immutable, so every method may be called from any thread.
class Topology {
public:
  /// Loads the machine's topology, or the one that `source` describes: the path of an XML file or a synthetic
  /// description such as "numa:2 core:4 pu:2". Throws Error.
  explicit Topology(const std::string& source = {});
  ~Topology();
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  std::uint32_t physical_cores() const; // allowed ones
  std::uint32_t logical_cpus() const;   // allowed ones
  std::uint32_t numa_nodes() const;
  /// Workers of a team when nobody asks for a number: one per allowed physical core, fewer under a CPU quota.
  std::uint32_t default_workers() const;
  std::uint64_t memory_total() const;     // bytes, all nodes
  std::uint64_t memory_available() const; // MemAvailable of the kernel, bytes
  std::string summary() const;            // "4 cores, 1 NUMA node, 23.5 GiB"
  bool synthetic() const;                 // not the machine that we run on

  /// Logical CPUs (numbers of the operating system) of worker i of n, one per core, spread over the cores and so over
  /// the NUMA nodes in order. Only when n exceeds the cores do workers share cores. Empty: do not bind (n exceeds the
  /// logical CPUs, too).
  std::vector<std::uint32_t> cpus_of_worker(std::uint32_t i, std::uint32_t n) const;
  /// Index (0 ... numa_nodes() - 1) of the NUMA node that worker i of n runs on; 0 for workers that are not bound.
  std::uint32_t node_of_worker(std::uint32_t i, std::uint32_t n) const;
  /// Binds the calling thread. False when the system refuses (containers) or `cpus` is empty: not an error.
  bool bind_thread(const std::vector<std::uint32_t>& cpus) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
