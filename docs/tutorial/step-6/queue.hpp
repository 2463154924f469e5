// A queue is a thread: submit returns at once, work runs in order, timelines tell how far it got. The thread lives from
// queue_create to queue_free, so unloading the plugin is safe.
#pragma once

#include "exec.hpp"

#include <deque>
#include <functional>
#include <thread>

namespace device {

class Queue {
public:
  explicit Queue(const scf_host* host) : host_(host), thread_([this] { work(); }) {}
  ~Queue() {
    push(nullptr);
    thread_.join();
  }

  void push(std::function<void()> job) {
    const std::lock_guard guard(lock_);
    jobs_.push_back(std::move(job));
    changed_.notify_one();
  }

  /// Waits, runs `body`, signals; a failure on the way fails the signals with its cause. `ordered` is the SDK's.
  template <typename Body> scf_status* submit(const scf_submit& raw, Body body) {
    return guard(host_, [&] {
      push([host = host_, step = Step(raw), body] {
        const Status told_by_the_signals(host, tables::ordered(host, step.view(), [&] { body(step); }));
      });
    });
  }

  static Queue* of(scf_queue* handle) { return reinterpret_cast<Queue*>(handle); }

private:
  void work() {
    for (;;) {
      std::unique_lock guard(lock_);
      changed_.wait(guard, [this] { return !jobs_.empty(); });
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      guard.unlock();
      if (!job) return;
      job();
    }
  }

  const scf_host* host_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::thread thread_; // last: it starts when the rest is there
};

// ---- the entries of scf_queue_api; semaphores are the SDK's --------------------------------------------------------

inline scf_status* queue_create(scf_device* handle, scf_queue** out) {
  const scf_host* host = tables::DeviceObject::of(handle)->host();
  return guard(host, [&] { *out = reinterpret_cast<scf_queue*>(new Queue(host)); });
}
inline void queue_free(scf_queue* handle) { delete Queue::of(handle); } // does first what was submitted

inline scf_status* submit(scf_queue* queue, scf_exec* exec, const scf_submit* raw) {
  return Queue::of(queue)->submit(read_struct(raw), [exec](const Step& step) { Exec::of(exec)->run(step); });
}

/// The only way to bytes in device memory. A driver would be given the two sides, here it is one copy.
inline scf_status* copy(scf_queue* queue, scf_slice dst, scf_slice src, const scf_submit* raw) {
  return Queue::of(queue)->submit(read_struct(raw), [dst, src](const Step&) {
    if (dst.bytes != src.bytes) throw Failure(SCF_INVALID_ARGUMENT, "the two sides of a copy differ in size");
    if (dst.bytes == 0) return;
    const Buffer &to = Buffer::of(dst), &from = Buffer::of(src);
    std::memcpy((to.data != nullptr ? to.data.get() : to.block->address()) + dst.offset,
                (from.data != nullptr ? from.data.get() : from.block->address()) + src.offset, dst.bytes);
  });
}

inline constexpr scf_queue_api k_queue{header<scf_queue_api>(SCF_KIND_QUEUE_API),
                                       queue_create,
                                       queue_free,
                                       tables::sema_create,
                                       tables::sema_free,
                                       tables::sema_query,
                                       tables::sema_wait,
                                       tables::sema_signal,
                                       tables::sema_fail,
                                       submit,
                                       copy};

} // namespace device
