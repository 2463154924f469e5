// Buffers: one allocation of Vulkan, one VkBuffer over it, one address.
#pragma once

#include "device.hpp"

#include <cstddef>

namespace seacliff::vulkan {

/// Memory that the device reaches by address and the host, where it is mapped, by pointer. Behind every scf_buffer, and
/// under what the plugin keeps for itself.
class Buffer {
public:
  /// Own memory on a heap of the device. `align` 0: no wish. Throws Failure: resource_exhausted with heap, need, free.
  Buffer(Device& device, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align);
  /// Pages of the host, used in place; they outlive the buffer. Throws Failure when the driver does not take them:
  /// UNIMPLEMENTED for those that are `read_only`.
  Buffer(Device& device, void* pages, std::uint64_t bytes, bool read_only);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  Device& device() const { return device_; }
  VkBuffer handle() const { return buffer_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t address() const { return address_; } // of byte 0, on the device
  std::uint64_t start() const { return start_; }     // of byte 0, in handle()
  bool is_local() const { return local_; }           // own memory, on the device's heap
  std::byte* mapped() const { return mapped_; }      // nullptr: not for the host
  bool holds(std::uint64_t offset, std::uint64_t n) const { return offset <= bytes_ && n <= bytes_ - offset; }

  static Buffer* of(scf_buffer* handle) { return reinterpret_cast<Buffer*>(handle); }
  scf_buffer* as_handle() { return reinterpret_cast<scf_buffer*>(this); }
  /// The buffer of a slice, checked; throws Failure(out_of_range).
  static Buffer& of(const scf_slice& slice);
  static std::uint64_t address_of(const scf_slice& slice) { return of(slice).address() + slice.offset; }

private:
  void create_buffer(std::uint64_t bytes, const void* next);
  void allocate(std::uint32_t type, std::uint64_t bytes, const void* next);
  void release();

  Device& device_;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  std::uint64_t bytes_ = 0, address_ = 0, start_ = 0;
  std::byte* mapped_ = nullptr;
  bool local_ = false;
};

} // namespace seacliff::vulkan
