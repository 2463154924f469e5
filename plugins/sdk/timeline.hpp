// A timeline semaphore on the host's side: for CPU plugins, and for drivers that have none of their own.
#pragma once

#include <seacliff/sdk/status.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace seacliff::sdk {

/// A value that only grows, or a failure. Failing is final: whoever waits, queries or signals from then on receives a
/// copy of the first cause. All entries are thread-safe; the caller of destruction has made sure that nobody waits.
class Timeline {
public:
  static constexpr std::uint64_t k_forever = ~std::uint64_t{0};

  Timeline(const scf_host* host, std::uint64_t initial) : host_(host), value_(initial) {}
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  /// The value reached; the cause when failed.
  scf_status* query(std::uint64_t* out) const {
    if (failed_.load(std::memory_order_acquire)) return cause();
    *out = value_.load(std::memory_order_acquire);
    return nullptr;
  }

  /// Blocks until the value is at least `value`. The cause when failed before that, DEADLINE_EXCEEDED when late.
  scf_status* wait(std::uint64_t value, std::uint64_t timeout_ns) const {
    if (value_.load(std::memory_order_acquire) >= value) return nullptr;
    std::unique_lock lock(mutex_);
    const auto settled = [&] { return !first_cause_.ok() || value_.load(std::memory_order_relaxed) >= value; };
    if (timeout_ns >= k_longest_ns) {
      changed_.wait(lock, settled);
    } else if (!changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), settled)) {
      return make_status(host_, SCF_DEADLINE_EXCEEDED, "the timeline did not reach the value in time");
    }
    return value_.load(std::memory_order_relaxed) >= value ? nullptr : first_cause_.clone();
  }

  /// INVALID_ARGUMENT unless `value` is larger than the one reached.
  scf_status* signal(std::uint64_t value) {
    {
      const std::lock_guard lock(mutex_);
      if (!first_cause_.ok()) return first_cause_.clone();
      if (value <= value_.load(std::memory_order_relaxed))
        return make_status(host_, SCF_INVALID_ARGUMENT, "a timeline can only be signalled with a larger value");
      value_.store(value, std::memory_order_release);
    }
    changed_.notify_all();
    return nullptr;
  }

  /// Takes `cause`. The first one stays; nullptr becomes UNKNOWN.
  void fail(scf_status* cause) {
    Status owned(host_, cause != nullptr ? cause : make_status(host_, SCF_UNKNOWN, "failed without a cause"));
    {
      const std::lock_guard lock(mutex_);
      if (!first_cause_.ok()) return;
      first_cause_ = std::move(owned);
      failed_.store(true, std::memory_order_release);
    }
    changed_.notify_all();
  }

private:
  /// Longer waits overflow the clocks of some standard libraries: a century is for ever.
  static constexpr std::uint64_t k_longest_ns = 3'000'000'000'000'000'000;

  scf_status* cause() const {
    const std::lock_guard lock(mutex_);
    return first_cause_.clone();
  }

  const scf_host* host_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::atomic<std::uint64_t> value_;
  std::atomic<bool> failed_{false};
  Status first_cause_; // guarded by mutex_
};

} // namespace seacliff::sdk
