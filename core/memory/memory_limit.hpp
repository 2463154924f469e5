// How much memory this process uses and may use, from the kernel's own figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seacliff {

/// Bytes. A figure that the kernel does not give is 0.
struct ProcessMemory {
  std::uint64_t peak_rss = 0;  // VmHWM: largest resident size so far
  std::uint64_t rss = 0;       // VmRSS: resident now = rss_anon + rss_file + rss_shmem
  std::uint64_t rss_anon = 0;  // heaps and stacks
  std::uint64_t rss_file = 0;  // mapped files, mostly weights; the kernel drops them under pressure
  std::uint64_t rss_shmem = 0; // shared memory
  std::uint64_t locked = 0;    // VmLck
  std::uint64_t swapped = 0;   // VmSwap
};

/// Read anew at each call (tens of microseconds).
ProcessMemory process_memory();

/// Bytes.
///
/// A virtual machine may be given its memory only as it asks for it: then `total` is low at first and grows, and
/// `available` is lower still. So whether a model fits is judged by `total`, and `available` is good for a warning.
struct MemoryLimit {
  std::uint64_t total = 0;     // the machine's memory, or the cgroup's limit where that is smaller
  std::uint64_t available = 0; // free now without swapping, under the cgroup's limit too
  std::uint64_t machine = 0;   // MemTotal, or more where the kernel knows of memory blocks not yet online
  std::uint64_t cgroup = 0;    // smallest limit of the process's cgroup and its parents; 0: none
};

/// Read anew at each call: memory may have been added.
MemoryLimit memory_limit();

/// For tests and for other machines' files: parses "VmRSS:  123 kB" lines.
ProcessMemory parse_process_status(std::string_view text);
/// Bytes of a `key: N kB` line of /proc/meminfo or /proc/PID/status; nothing when it is absent.
std::optional<std::uint64_t> kernel_kib(std::string_view text, std::string_view key);
/// The memory limit (bytes) and usage of cgroup v1 or v2, from the files under `root`, which has the layout of "/"
/// (proc/self/cgroup, sys/fs/cgroup/...).
struct CgroupMemory {
  std::uint64_t limit = 0;    // 0: none
  std::uint64_t headroom = 0; // smallest limit - usage over the hierarchy; meaningless without a limit
};
CgroupMemory cgroup_memory(const std::string& root = "/");
/// CPUs' worth of time that the cgroup grants (docker --cpus): 0 when there is no quota.
double cgroup_cpus(const std::string& root = "/");

} // namespace seacliff
