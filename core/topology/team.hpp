// The worker team: one thread per allowed physical core, bound to it, that runs one function at a time together.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace seacliff {

class Topology;

/// Workers spin for a short while after a run and then sleep. The caller of `run` is worker 0. No allocation and no
/// lock in `run` while the workers are awake.
class Team {
public:
  /// `threads` 0: one per allowed physical core. More than that is allowed and warned about.
  Team(const Topology& topology, std::uint32_t threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  std::uint32_t size() const;
  /// Calls fn(arg, worker) on every worker, returns when all have returned. One run at a time (calls from several
  /// threads queue up). fn must not throw.
  void run(void (*fn)(void* arg, scf_worker* worker), void* arg);
  /// All workers of the running team meet here. Sense-reversing, spinning.
  static void barrier(scf_worker* worker);

  /// Convenience for cold paths: body(worker index, worker count).
  void parallel(const std::function<void(std::uint32_t, std::uint32_t)>& body);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
