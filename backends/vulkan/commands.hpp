// Command buffers, and the one way in which work reaches the device.
#pragma once

#include "sema.hpp"

#include <span>
#include <vector>

namespace seacliff::vulkan {

/// Command buffers of one owner; recorded and submitted by one thread at a time.
class CommandPool {
public:
  explicit CommandPool(Device& device);
  CommandPool(const CommandPool&) = delete;
  CommandPool& operator=(const CommandPool&) = delete;
  ~CommandPool();

  VkCommandBuffer make();

private:
  Device& device_;
  VkCommandPool handle_ = VK_NULL_HANDLE;
};

/// Begins to record what may be submitted again before it has ended.
void begin(Device& device, VkCommandBuffer commands);
void end(Device& device, VkCommandBuffer commands);

/// Everything before happens before everything behind it.
void full_barrier(Device& device, VkCommandBuffer commands);
/// What shaders and copies have written is there for shaders and for grids.
void level_barrier(Device& device, VkCommandBuffer commands);
/// What was written is there for the host, too, when a semaphore says that it has happened.
void host_barrier(Device& device, VkCommandBuffer commands);

/// Room for timestamps, and what was written there once the device is done, as whole_ticks() has it.
VkQueryPool make_times(Device& device, std::uint32_t count);
std::vector<std::uint64_t> read_times(Device& device, VkQueryPool pool, std::uint32_t count);

/// Submits; `own` reaches `own_value` behind the rest. Every signal of `step` is promised as it goes out. Throws
/// Failure; then the signals have failed.
void submit(Device& device, const scf_submit& step, std::span<const VkCommandBuffer> commands, Sema& own,
            std::uint64_t own_value);

/// Waits, calls `body`, which submits, and tells the signals of a failure on the way. A failed wait is no error.
template <typename Body> scf_status* ordered(Device& device, const scf_submit& step, Body&& body) {
  const auto fail_all = [&](const sdk::Status& cause) {
    for (std::uint64_t i = 0; i < step.n_signals; ++i) Sema::of(step.signals[i].sema)->fail(cause.clone());
  };
  for (std::uint64_t i = 0; i < step.n_waits; ++i) {
    const sdk::Status cause(device.host(), Sema::of(step.waits[i].sema)->wait_for_promise(step.waits[i].value));
    if (cause.ok()) continue;
    fail_all(cause);
    return nullptr;
  }
  sdk::Status status(device.host(), guarded(&device, body));
  if (!status.ok()) fail_all(status);
  return status.release();
}

} // namespace seacliff::vulkan
