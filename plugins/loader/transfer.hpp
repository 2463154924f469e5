// Bytes between host memory and buffers of a device.
#pragma once

#include "core/memory/host_buffer.hpp"
#include "plugins/loader/plugin.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace seacliff::plugins {

/// Host memory that a device copies from and to: mappable memory of its own, or an import.
class Staging {
public:
  Staging() = default;
  /// Throws Error(unimplemented) when the device has neither, resource_exhausted.
  Staging(Device& device, std::uint64_t bytes);
  /// The heap that it is taken from; nullptr: the host's pages, imported.
  static const HeapInfo* heap(const Device& device);

  std::byte* data() const { return data_; }
  std::uint64_t bytes() const { return buffer_.bytes(); }
  scf_slice slice(std::uint64_t offset, std::uint64_t bytes) const { return buffer_.slice(offset, bytes); }
  void flush(std::uint64_t offset, std::uint64_t bytes) { buffer_.flush(offset, bytes); }           // after writing
  void invalidate(std::uint64_t offset, std::uint64_t bytes) { buffer_.invalidate(offset, bytes); } // before reading

private:
  HostBuffer pages_; // of an import
  Buffer buffer_;
  std::byte* data_ = nullptr;
};

/// Through map where a buffer can be mapped, else with copies through two pieces of staging memory, one of them being
/// filled or emptied by the host while the device copies the other. One thread at a time; each call returns when the
/// bytes are there.
class Transfer {
public:
  explicit Transfer(std::shared_ptr<Device> device, std::uint64_t timeout_ns = Semaphore::k_forever);

  Device& device() const { return *device_; }
  /// Throws Error(unimplemented) when there is no way in or out, or what the copy fails with.
  void write(Buffer& to, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Bytes that `fill` makes, piece after piece: of all `bytes`, those from `begin` on. Pieces are multiples of `unit`
  /// long, but for the last one. Throws Error(resource_exhausted), too, when staging memory takes no unit.
  using Fill = std::function<void(std::uint64_t begin, std::span<std::byte> piece)>;
  void write(Buffer& to, std::uint64_t offset, std::uint64_t bytes, std::uint64_t unit, const Fill& fill);
  void read(Buffer& from, std::uint64_t offset, std::span<std::byte> bytes);
  /// On the device.
  void copy(scf_slice dst, scf_slice src);

  /// Bytes of one piece of staging memory, at most.
  static constexpr std::uint64_t k_piece = 16U << 20;

private:
  struct Piece {
    Staging memory;
    std::uint64_t busy_until = 0; // value of done_
  };

  std::uint64_t submit(scf_slice dst, scf_slice src);
  /// The size of the two pieces for a move of so many bytes.
  std::uint64_t prepare(std::uint64_t bytes);

  std::shared_ptr<Device> device_;
  std::uint64_t timeout_ns_;
  std::optional<Queue> queue_; // made for the first copy
  Semaphore done_;
  std::uint64_t submitted_ = 0;
  std::array<Piece, 2> pieces_;
};

/// What copies within the device's own heap read and write, in GB/s (1e9 bytes per second), the best of some; 0: it has
/// no copies, or no room for two buffers worth measuring.
double measure_copies(const std::shared_ptr<Device>& device);

} // namespace seacliff::plugins
