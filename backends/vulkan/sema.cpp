#include "sema.hpp"

#include <chrono>
#include <thread>

namespace seacliff::vulkan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t k_longest_ns = 3'000'000'000'000'000'000; // a century is for ever

} // namespace

Sema::Sema(Device& device, std::uint64_t initial) : device_(device), promised_(initial) {
  VkSemaphoreTypeCreateInfo type{};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  type.initialValue = initial;
  VkSemaphoreCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  info.pNext = &type;
  check(device.vk().vkCreateSemaphore(device.handle(), &info, nullptr, &handle_), "vkCreateSemaphore");
}

Sema::~Sema() {
  device_.drain();
  device_.vk().vkDestroySemaphore(device_.handle(), handle_, nullptr);
}

std::uint64_t Sema::counter() const {
  std::uint64_t value = 0;
  check(device_.vk().vkGetSemaphoreCounterValue(device_.handle(), handle_, &value), "vkGetSemaphoreCounterValue");
  return value;
}

scf_status* Sema::query(std::uint64_t* out) const {
  const std::lock_guard lock(mutex_);
  if (!cause_.ok()) return cause_.clone();
  return guarded(&device_, [&] { *out = counter(); });
}

scf_status* Sema::wait(std::uint64_t value, std::uint64_t timeout_ns) {
  const bool forever = timeout_ns >= k_longest_ns;
  const Clock::time_point deadline = Clock::now() + std::chrono::nanoseconds(forever ? 0 : timeout_ns);
  const auto late = [&] {
    return sdk::make_status(device_.host(), SCF_DEADLINE_EXCEEDED, "the timeline did not reach the value in time");
  };
  {
    std::unique_lock lock(mutex_);
    const auto settled = [&] { return promised_ >= value || !cause_.ok(); };
    if (forever) {
      changed_.wait(lock, settled);
    } else if (!changed_.wait_until(lock, deadline, settled)) {
      return late();
    }
    if (promised_ < value) return cause_.clone();
  }
  const Clock::time_point begin = Clock::now();
  if (forever && woken_early(value)) return nullptr;
  VkSemaphoreWaitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  info.semaphoreCount = 1;
  info.pSemaphores = &handle_;
  info.pValues = &value;
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
  const std::uint64_t patience =
      forever ? ~std::uint64_t{0} : static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0));
  const VkResult result = device_.vk().vkWaitSemaphores(device_.handle(), &info, patience);
  if (result == VK_SUCCESS) {
    typical_ns_ = (Clock::now() - begin).count();
    return nullptr;
  }
  if (result == VK_TIMEOUT) return late();
  fail(guarded(&device_, [&] { check(result, "vkWaitSemaphores"); }));
  const std::lock_guard lock(mutex_);
  return cause_.clone();
}

/// Waits that are alike, step after step, are cut short: a thread that sleeps until just before and then looks is there
/// sooner than one that the driver wakes. False: not reached, or nothing is known of the last wait.
bool Sema::woken_early(std::uint64_t value) {
  constexpr std::int64_t least_ns = 200'000, most_ns = 20'000'000, before_ns = 150'000;
  const std::int64_t typical = typical_ns_;
  if (typical < least_ns || typical > most_ns) return false;
  const Clock::time_point begin = Clock::now();
  const std::int64_t look_ns = typical / 8 + 2 * before_ns; // for so long at most
  std::this_thread::sleep_until(begin + std::chrono::nanoseconds(typical - std::min(typical / 8 + before_ns, typical)));
  const Clock::time_point until = Clock::now() + std::chrono::nanoseconds(look_ns);
  for (bool first = true; first || Clock::now() < until; first = false) {
    std::uint64_t reached = 0;
    if (device_.vk().vkGetSemaphoreCounterValue(device_.handle(), handle_, &reached) != VK_SUCCESS) return false;
    if (reached < value) continue;
    typical_ns_ = first ? 0 : (Clock::now() - begin).count(); // slept too long: the next one is not alike
    return true;
  }
  return false;
}

scf_status* Sema::signal(std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  if (!cause_.ok()) return cause_.clone();
  if (value <= promised_)
    return sdk::make_status(device_.host(), SCF_INVALID_ARGUMENT,
                            "a timeline can only be signalled with a larger value");
  return guarded(&device_, [&] {
    VkSemaphoreSignalInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO;
    info.semaphore = handle_;
    info.value = value;
    check(device_.vk().vkSignalSemaphore(device_.handle(), &info), "vkSignalSemaphore");
    promised_ = value;
    changed_.notify_all();
  });
}

void Sema::fail(scf_status* cause) {
  sdk::Status owned(device_.host(),
                    cause != nullptr ? cause : sdk::make_status(device_.host(), SCF_UNKNOWN, "failed without a cause"));
  const std::lock_guard lock(mutex_);
  if (!cause_.ok()) return;
  cause_ = std::move(owned);
  changed_.notify_all();
}

scf_status* Sema::wait_for_promise(std::uint64_t value) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return promised_ >= value || !cause_.ok(); });
  return promised_ >= value ? nullptr : cause_.clone();
}

scf_status* Sema::promise(std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  if (!cause_.ok()) return cause_.clone();
  if (value <= promised_)
    return sdk::make_status(device_.host(), SCF_INVALID_ARGUMENT,
                            "a timeline can only be signalled with a larger value");
  promised_ = queued_ = value;
  changed_.notify_all();
  return nullptr;
}

bool Sema::is_queued(std::uint64_t value) const {
  const std::lock_guard lock(mutex_);
  return value <= queued_;
}

void Sema::abandon(scf_status* cause) {
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t reached = 0;
    if (device_.vk().vkGetSemaphoreCounterValue(device_.handle(), handle_, &reached) == VK_SUCCESS)
      promised_ = queued_ = reached;
  }
  fail(cause);
}

} // namespace seacliff::vulkan
