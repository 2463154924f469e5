// The worker team: one thread per allowed physical core, bound to it, that runs one function at a time together.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace seacliff {

class Topology;

/// Workers spin for a short while after a run and then sleep. The caller of `run` is worker 0. No allocation
/// and no system call in `run` while the workers are awake.
///
/// Threads 1 ... size-1 are bound to one logical CPU each. The caller is not (threads that it starts would inherit the
/// binding); `run` moves it off a CPU that belongs to another worker.
class Team {
public:
  /// `threads` 0: Topology::default_workers(). More than the cores is allowed and warned about. The topology must
  /// outlive the team. Throws Error(resource_exhausted) when the system starts no more threads.
  Team(const Topology& topology, std::uint32_t threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  std::uint32_t size() const;
  /// Calls fn(arg, worker) on every worker, returns when all have returned. One run at a time (calls from several
  /// threads queue up). fn must not throw. Throws Error(failed_precondition) when called from inside a run of this
  /// team.
  void run(void (*fn)(void* arg, scf_worker* worker), void* arg);
  /// All workers of the running team meet here. Sense-reversing, spinning. What each wrote before is visible to all
  /// after.
  static void barrier(scf_worker* worker);

  /// Convenience for cold paths: body(worker index, worker count). The first exception of a body reaches the caller
  /// after all have ended.
  void parallel(const std::function<void(std::uint32_t, std::uint32_t)>& body);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
