// The SDK's queue on a thread of its own: submit and copy return at once, as drivers have it.
#pragma once

#include <seacliff/sdk/kernel_plugin.hpp>

#include <deque>
#include <functional>
#include <thread>

namespace seacliff::sdk::async {

/// A queue with a thread of its own, as drivers have it.
class AsyncQueue {
public:
  explicit AsyncQueue(scf_queue* inner) : inner_(inner), thread_([this] { work(); }) {}
  ~AsyncQueue() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    more_.notify_all();
    thread_.join();
    tables::queue_free(inner_);
  }

  /// `run` gets the queue and a submit that it may keep no pointer of.
  template <typename Run> void push(const scf_submit& step, Run run) {
    Job job{{step.dims, step.dims + step.n_dims},
            {step.io, step.io + step.n_io},
            {step.waits, step.waits + step.n_waits},
            {step.signals, step.signals + step.n_signals},
            run};
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    more_.notify_all();
  }

  static AsyncQueue* of(scf_queue* handle) { return reinterpret_cast<AsyncQueue*>(handle); }
  tables::DeviceObject& device() const { return *tables::QueueObject::of(inner_)->device; }
  const scf_host* host() const { return device().host(); }

private:
  struct Job {
    std::vector<scf_dim> dims;
    std::vector<scf_binding> io;
    std::vector<scf_wait> waits, signals;
    std::function<scf_status*(scf_queue*, const scf_submit*)> run;
  };

  void work() {
    for (std::unique_lock lock(mutex_);; lock.lock()) {
      more_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      const scf_submit step{header<scf_submit>(SCF_KIND_SUBMIT),
                            job.dims.data(),
                            job.dims.size(),
                            job.io.data(),
                            job.io.size(),
                            job.waits.data(),
                            job.waits.size(),
                            job.signals.data(),
                            job.signals.size()};
      const Status failed(host(), job.run(inner_, &step)); // the signals carry it
    }
  }

  scf_queue* inner_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Job> jobs_;
  bool ending_ = false;
  std::thread thread_;
};

inline scf_status* create(scf_device* device, scf_queue** out) {
  scf_queue* inner = nullptr;
  if (scf_status* status = tables::queue_create(device, &inner)) return status;
  *out = reinterpret_cast<scf_queue*>(new AsyncQueue(inner));
  return nullptr;
}
inline void free_queue(scf_queue* queue) { delete AsyncQueue::of(queue); }
inline scf_status* submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
  AsyncQueue::of(queue)->push(read_struct(step), [exec](scf_queue* inner, const scf_submit* kept) {
    return tables::submit(inner, exec, kept);
  });
  return nullptr;
}
inline scf_status* copy(scf_queue* queue, scf_slice dst, scf_slice src, const scf_submit* step) {
  AsyncQueue::of(queue)->push(read_struct(step), [dst, src](scf_queue* inner, const scf_submit* kept) {
    return tables::copy(inner, dst, src, kept);
  });
  return nullptr;
}

inline const scf_queue_api k_queue = [] {
  scf_queue_api queue = tables::k_queue;
  queue.queue_create = create;
  queue.queue_free = free_queue;
  queue.submit = submit;
  queue.copy = copy;
  return queue;
}();

} // namespace seacliff::sdk::async
