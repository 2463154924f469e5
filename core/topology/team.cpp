#include "core/topology/team.hpp"

#include "core/base/log.hpp"
#include "core/base/status.hpp"
#include "core/topology/spin.hpp"
#include "core/topology/topology.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace seacliff {
namespace {

constexpr std::uint32_t max_threads = 4096; // beyond that a mistyped number is likelier than a machine

// A core of its own: decode steps come within a millisecond or two of each other, so stay awake that long. A yield on
// an idle core costs half a microsecond, so it answers about as fast as a spin and lets other programs run.
constexpr Patience own_core = {100, 5000};
// Shared cores: whoever spins keeps the one it waits for from running.
constexpr Patience shared_core = {2, 200};

thread_local const void* current_team = nullptr; // the team whose run this thread is in

} // namespace

struct Team::Impl {
  struct alignas(64) Member {
    scf_worker worker{};
    std::vector<std::uint32_t> cpus;
    std::thread thread; // none for worker 0
  };

  const Topology& topology;
  std::vector<Member> members;
  std::vector<std::uint8_t> taken; // by CPU number: belongs to a worker other than 0
  Patience patience = own_core;

  // The caller writes `fn` and `arg`, then `launch`; workers read them after they saw `launch` change.
  void (*fn)(void* arg, scf_worker* worker) = nullptr; // nullptr: end the thread
  void* arg = nullptr;
  Signal launch;
  Signal finished;                                   // changes when the last worker of a run has returned
  alignas(64) std::atomic<std::uint32_t> running{0}; // workers (without the caller) that have not returned yet
  alignas(64) std::atomic<std::uint32_t> arrived{0}; // in the barrier
  Signal phase;                                      // the barrier's sense: changes when all have arrived
  std::mutex turn;                                   // one run at a time

  explicit Impl(const Topology& t) : topology(t) {}
  ~Impl() { stop(); }

  void start(std::uint32_t count);
  void start_thread(Member& member);
  void stop();
  void work(Member& member);
  void launch_all(void (*f)(void*, scf_worker*), void* a);
  void leave_taken_cpu() const;
};

void Team::Impl::start(std::uint32_t count) {
  const std::uint32_t cores = topology.default_workers();
  if (count > cores) {
    log::warn("team", "{} threads on {} cores: more threads than cores are slower, not faster", count, cores);
    patience = shared_core;
  }
  members = std::vector<Member>(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    members[i].worker = {i, count, this};
    members[i].cpus = topology.cpus_of_worker(i, count);
    if (i == 0 || topology.synthetic()) continue;
    for (const std::uint32_t cpu : members[i].cpus) {
      if (cpu >= taken.size()) taken.resize(cpu + 1);
      taken[cpu] = 1;
    }
  }
  for (std::uint32_t i = 1; i < count; ++i) start_thread(members[i]);
}

void Team::Impl::start_thread(Member& member) {
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    member.thread = std::thread([this, &member] { work(member); });
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(Code::resource_exhausted,
                fmt::format("cannot start worker thread {} of {}: {}", member.worker.index + 1, members.size(),
                            error.code().message()),
                "use fewer threads, or raise the limit on processes");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(member.thread.native_handle(), fmt::format("scf-worker-{}", member.worker.index).c_str());
}

void Team::Impl::stop() {
  fn = nullptr;
  launch.store(launch.load() + 1);
  for (Member& member : members) {
    if (member.thread.joinable()) member.thread.join();
  }
}

void Team::Impl::work(Member& member) {
  if (!member.cpus.empty()) topology.bind_thread(member.cpus);
  current_team = this;
  for (std::uint32_t seen = 0;;) {
    seen = launch.wait(seen, patience);
    if (fn == nullptr) return;
    fn(arg, &member.worker);
    if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) finished.store(seen);
  }
}

void Team::Impl::launch_all(void (*f)(void*, scf_worker*), void* a) {
  fn = f;
  arg = a;
  running.store(static_cast<std::uint32_t>(members.size()) - 1, std::memory_order_relaxed);
  const std::uint32_t before = finished.load();
  launch.store(launch.load() + 1);
  f(a, &members[0].worker);
  finished.wait(before, patience);
}

void Team::Impl::leave_taken_cpu() const {
  // Spinning workers make the system keep the caller on the CPU that is left, so this is a look, hardly ever a move.
  const int cpu = sched_getcpu();
  if (cpu < 0 || static_cast<std::size_t>(cpu) >= taken.size() || taken[static_cast<std::size_t>(cpu)] == 0) return;
  cpu_set_t before;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return;
  if (!topology.bind_thread(members[0].cpus)) return;
  sched_setaffinity(0, sizeof before, &before);
}

Team::Team(const Topology& topology, std::uint32_t threads) : impl_(std::make_unique<Impl>(topology)) {
  if (threads > max_threads) {
    throw Error(Code::invalid_argument, fmt::format("{} threads are more than the {} allowed", threads, max_threads),
                "use one thread per core, which is the default");
  }
  impl_->start(threads == 0 ? topology.default_workers() : threads);
}

Team::~Team() = default;

std::uint32_t Team::size() const { return static_cast<std::uint32_t>(impl_->members.size()); }

void Team::run(void (*fn)(void* arg, scf_worker* worker), void* arg) {
  Impl& impl = *impl_;
  if (current_team == &impl) {
    throw Error(Code::failed_precondition, "a worker team was started from inside its own run",
                "use barriers inside one run");
  }
  const std::lock_guard one_run(impl.turn);
  const void* outer = current_team;
  current_team = &impl;
  if (impl.members.size() == 1) {
    fn(arg, &impl.members[0].worker);
  } else {
    impl.leave_taken_cpu();
    impl.launch_all(fn, arg);
  }
  current_team = outer;
}

void Team::barrier(scf_worker* worker) {
  if (worker->count == 1) return;
  Impl& impl = *static_cast<Impl*>(worker->team);
  const std::uint32_t sense = impl.phase.load(); // cannot change before we have arrived
  if (impl.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == worker->count) {
    impl.arrived.store(0, std::memory_order_relaxed);
    impl.phase.store(sense + 1);
  } else {
    impl.phase.wait(sense, impl.patience);
  }
}

void Team::parallel(const std::function<void(std::uint32_t, std::uint32_t)>& body) {
  struct Call {
    const std::function<void(std::uint32_t, std::uint32_t)>& body;
    std::mutex mutex;
    std::exception_ptr failure;
  } call{body, {}, nullptr};
  run(
      [](void* arg, scf_worker* worker) {
        Call& c = *static_cast<Call*>(arg);
        try {
          c.body(worker->index, worker->count);
        } catch (...) {
          const std::lock_guard guard(c.mutex);
          if (c.failure == nullptr) c.failure = std::current_exception();
        }
      },
      &call);
  if (call.failure != nullptr) std::rethrow_exception(call.failure);
}

} // namespace seacliff
