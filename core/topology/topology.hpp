// The one hwloc topology of the process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace seacliff {

/// What this process may use (container cpusets respected).
class Topology {
public:
  /// Loads the machine's topology, or a synthetic one / XML file when `source` is not empty. Throws Error.
  explicit Topology(const std::string& source = {});
  ~Topology();
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  std::uint32_t physical_cores() const; // allowed ones
  std::uint32_t logical_cpus() const;
  std::uint32_t numa_nodes() const;
  std::uint64_t memory_total() const;     // bytes, all nodes
  std::uint64_t memory_available() const; // MemAvailable of the kernel, bytes
  std::string summary() const;            // "4 cores, 1 NUMA node, 23 GiB"
  bool synthetic() const;

  /// Logical CPUs of worker i of n, one per core, spread over NUMA nodes in order; empty: do not bind.
  std::vector<std::uint32_t> cpus_of_worker(std::uint32_t i, std::uint32_t n) const;
  /// Binds the calling thread. False when the system refuses (containers): not an error.
  bool bind_thread(const std::vector<std::uint32_t>& cpus) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
