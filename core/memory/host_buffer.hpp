// Memory of the host for tensors, state and scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace seacliff {

/// Bytes of the kernel's pages, of memory and of mapped files.
inline constexpr std::uint64_t k_page = 4096;

/// Owns one block, aligned to a cache line (64 bytes) when small and to a page (or 2 MiB with huge pages) when large.
/// Pages of a large block come into being, on the NUMA node of the thread that first touches them, when they are
/// touched: allocating is cheap, and workers that touch their own part first have it near.
class HostBuffer {
public:
  enum class Fill {
    none, // contents undefined
    zero, // reads as zero; costs nothing for a large block until it is touched
  };
  enum class Pages {
    normal,
    huge, // asks for 2 MiB pages; the kernel may not give them
  };

  HostBuffer() = default;
  /// `what` names the use in the error: Error(resource_exhausted) "cannot allocate 1.5 GiB for WHAT". 0 bytes: empty.
  /// `align`, a power of two up to 2 MiB: what the block begins at a multiple of; the memory up to the next one is its
  /// own, too.
  HostBuffer(std::uint64_t bytes, std::string_view what, Fill fill = Fill::none, Pages pages = Pages::huge,
             std::uint64_t align = 64);
  ~HostBuffer() { reset(); }
  HostBuffer(HostBuffer&& other) noexcept { swap(other); }
  HostBuffer& operator=(HostBuffer&& other) noexcept {
    HostBuffer moved(static_cast<HostBuffer&&>(other));
    swap(moved);
    return *this;
  }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::uint64_t size() const { return size_; } // bytes
  bool empty() const { return size_ == 0; }
  std::span<std::byte> bytes() { return {data_, static_cast<std::size_t>(size_)}; }
  std::span<const std::byte> bytes() const { return {data_, static_cast<std::size_t>(size_)}; }
  template <typename T> T* as() { return reinterpret_cast<T*>(data_); }
  template <typename T> const T* as() const { return reinterpret_cast<const T*>(data_); }

  /// Frees the block.
  void reset();
  void swap(HostBuffer& other) noexcept;

private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  std::size_t mapped_ = 0; // bytes to unmap; 0: from the C heap
};

} // namespace seacliff
