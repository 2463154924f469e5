// An open device: the VkDevice, its queue, its pipelines, and the log of what was timed.
#pragma once

#include "instance.hpp"
#include "pipelines.hpp"
#include "profile.hpp"

#include <mutex>
#include <vector>

namespace seacliff::vulkan {

class Catalogue;

/// The object behind a scf_device.
class Device {
public:
  /// Throws Failure with what the driver says.
  Device(Instance& instance, const Adapter& adapter);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  const scf_host* host() const { return instance_.host(); }
  Instance& instance() const { return instance_; }
  const Adapter& adapter() const { return adapter_; }
  const Caps& caps() const { return adapter_.caps; }
  VkDevice handle() const { return handle_; }
  const DeviceCalls& vk() const { return vk_; }
  Pipelines& pipelines() { return *pipelines_; }
  const Catalogue& catalogue() const { return *catalogue_; }
  ProfileLog& profile() { return profile_; }
  /// Throws Failure(DEVICE_LOST) once a call has said so.
  void check_lost() const;
  void note_failure(const sdk::Failure& failure) {
    if (failure.code() == SCF_DEVICE_LOST) lost_ = true;
  }
  /// Whether a second look at a piece of memory, as large as k_ahead, is faster than the first: the device's cache
  /// holds it. Measured when first asked, in some milliseconds.
  bool caches_pieces();
  static constexpr std::uint64_t k_ahead = std::uint64_t{16} << 20;
  /// A timestamp of as many bits as the queue counts with, as one of 64 that never wraps.
  std::uint64_t whole_ticks(std::uint64_t raw);

  VkQueue queue() const { return queue_; }
  /// Vulkan wants one thread at a time per VkQueue, and all queues of the ABI share one.
  std::mutex& queue_lock() { return queue_lock_; }
  /// Waits until the driver is done with all that was submitted, its own bookkeeping too: some drivers still look at a
  /// semaphore when they have already signalled it.
  void drain() noexcept;

  static Device* of(scf_device* handle) { return reinterpret_cast<Device*>(handle); }

private:
  void create();

  Instance& instance_;
  const Adapter& adapter_;
  VkDevice handle_ = VK_NULL_HANDLE;
  DeviceCalls vk_;
  VkQueue queue_ = VK_NULL_HANDLE;
  std::mutex queue_lock_;
  std::unique_ptr<Pipelines> pipelines_;
  std::unique_ptr<Catalogue> catalogue_;
  ProfileLog profile_;
  std::atomic<bool> lost_{false};
  std::once_flag looked_;
  bool caches_pieces_ = false; // set by looked_
  std::mutex ticks_lock_;
  std::uint64_t last_ticks_ = 0; // guarded by ticks_lock_
};

/// As sdk::guard; in validation mode a message of the layer is a failure of the call, too.
template <typename Body> scf_status* guarded(Device* device, Body&& body) noexcept {
  return sdk::guard(device->host(), [&] {
    try {
      device->check_lost();
      body();
    } catch (const sdk::Failure& failure) {
      device->note_failure(failure);
      throw;
    }
    device->instance().check_messages();
  });
}

extern const scf_memory_api k_memory;
extern const scf_program_api k_program;
extern const scf_queue_api k_queue;
extern const scf_profile_api k_profile;

} // namespace seacliff::vulkan
