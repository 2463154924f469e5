// Timeline semaphores: Vulkan's, and beside them what Vulkan has not, a failure that every waiter receives.
#pragma once

#include "device.hpp"

#include <seacliff/sdk/status.hpp>

#include <atomic>
#include <condition_variable>

namespace seacliff::vulkan {

/// All entries are thread-safe; the caller of destruction has made sure that nobody waits.
class Sema {
public:
  Sema(Device& device, std::uint64_t initial);
  Sema(const Sema&) = delete;
  Sema& operator=(const Sema&) = delete;
  ~Sema();

  Device& device() const { return device_; }
  VkSemaphore handle() const { return handle_; }

  /// The value reached; the cause when failed.
  scf_status* query(std::uint64_t* out) const;
  /// Blocks until the value is reached. The cause when failed before that, DEADLINE_EXCEEDED when late.
  scf_status* wait(std::uint64_t value, std::uint64_t timeout_ns);
  /// INVALID_ARGUMENT unless `value` is larger than the one reached or promised.
  scf_status* signal(std::uint64_t value);
  /// Takes `cause`. The first one stays; nullptr becomes UNKNOWN.
  void fail(scf_status* cause);

  /// Blocks until the device may wait for `value` without ever hanging: until somebody has promised it. The cause when
  /// failed before that.
  scf_status* wait_for_promise(std::uint64_t value);
  /// A submit that signals `value` is on its way: INVALID_ARGUMENT unless it is larger than what was promised, the
  /// cause when failed.
  scf_status* promise(std::uint64_t value);
  /// Whether work that is already on the device's queue reaches `value`: what is submitted next comes behind it anyway.
  bool is_queued(std::uint64_t value) const;
  /// What was promised never went out: fails with `cause`.
  void abandon(scf_status* cause);

  static Sema* of(scf_sema* handle) { return reinterpret_cast<Sema*>(handle); }
  scf_sema* as_handle() { return reinterpret_cast<scf_sema*>(this); }

private:
  std::uint64_t counter() const;
  bool woken_early(std::uint64_t value);

  Device& device_;
  VkSemaphore handle_ = VK_NULL_HANDLE;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t promised_;                  // the largest value that is reached or that work on the device will reach
  std::uint64_t queued_ = 0;                // of that, by work
  std::atomic<std::int64_t> typical_ns_{0}; // of the last wait; 0: there was none
  sdk::Status cause_;                       // guarded by mutex_
};

} // namespace seacliff::vulkan
