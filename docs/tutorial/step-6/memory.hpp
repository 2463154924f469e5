// Memory of a device that is not host memory. `Block` stands for the driver: put its calls there. The rest of the
// plugin never touches a device address, it only hands it to kernels.
#pragma once

#include <seacliff/sdk/kernel_plugin.hpp>

#include <atomic>
#include <cstring>

namespace device {

using namespace seacliff::sdk;

enum Heap : std::uint32_t { k_device_heap = 0, k_host_heap = 1 };

inline std::shared_ptr<std::byte> aligned_bytes(std::uint64_t bytes, std::uint64_t align) {
  if (!std::has_single_bit(align)) throw Failure(SCF_INVALID_ARGUMENT, "alignment is no power of two");
  const auto at = static_cast<std::align_val_t>(std::max(align, k_host_align));
  const std::uint64_t total = seacliff::sdk::host_heap().total; // new promises more than there is
  void* data = nullptr;
  if (total == 0 || bytes <= total) data = ::operator new(std::max(bytes, std::uint64_t{1}), at, std::nothrow);
  if (data == nullptr)
    throw Failure(SCF_RESOURCE_EXHAUSTED, "not enough host memory for " + std::to_string(bytes) + " bytes",
                  {{"heap", std::int64_t{k_host_heap}},
                   {"need", static_cast<std::int64_t>(bytes)},
                   {"free", static_cast<std::int64_t>(seacliff::sdk::host_heap().budget)}});
  return {static_cast<std::byte*>(data), [at](std::byte* p) { ::operator delete(p, at); }};
}

/// What the device has and what of it is taken.
struct Memory {
  const std::uint64_t total = std::uint64_t{1} << 30;
  std::atomic<std::uint64_t> used{0}; // never more than total

  std::uint64_t left() const { return total - used; }
  /// Throws Failure(resource_exhausted) that says how much was needed and is free.
  void take(std::uint64_t bytes) {
    std::uint64_t before = used;
    while (bytes <= total - before)
      if (used.compare_exchange_weak(before, before + bytes)) return;
    throw Failure(SCF_RESOURCE_EXHAUSTED, "not enough device memory for " + std::to_string(bytes) + " bytes",
                  {{"heap", std::int64_t{k_device_heap}},
                   {"need", static_cast<std::int64_t>(bytes)},
                   {"free", static_cast<std::int64_t>(total - before)}});
  }
};

/// One allocation of device memory.
class Block {
public:
  Block(Memory& memory, std::uint64_t bytes, std::uint64_t align = k_host_align)
      : taken_(memory, bytes), data_(aligned_bytes(bytes, align)) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::byte* address() const { return data_.get(); } // for kernels only
  void upload(std::uint64_t offset, const std::byte* from, std::uint64_t bytes) {
    std::memcpy(address() + offset, from, bytes);
  }
  void download(std::uint64_t offset, std::byte* to, std::uint64_t bytes) const {
    std::memcpy(to, address() + offset, bytes);
  }

private:
  struct Taken {
    Memory& memory;
    std::uint64_t bytes;
    Taken(Memory& from, std::uint64_t n) : memory(from), bytes(n) { memory.take(n); }
    ~Taken() { memory.used -= bytes; }
  };
  Taken taken_;
  std::shared_ptr<std::byte> data_;
};

/// What is behind a scf_buffer: device memory, or host memory that the device copies from and to.
struct Buffer {
  const scf_host* host = nullptr;
  std::uint64_t bytes = 0;
  std::shared_ptr<std::byte> data; // host memory; nullptr: `block` is it
  std::unique_ptr<Block> block;

  static Buffer* of(scf_buffer* handle) { return reinterpret_cast<Buffer*>(handle); }
  scf_buffer* handle() { return reinterpret_cast<scf_buffer*>(this); }
  bool holds(std::uint64_t offset, std::uint64_t n) const { return offset <= bytes && n <= bytes - offset; }

  /// The buffer of a slice, checked; throws Failure(out_of_range).
  static const Buffer& of(const scf_slice& slice) {
    const Buffer* buffer = of(slice.buf);
    if (buffer == nullptr || !buffer->holds(slice.offset, slice.bytes))
      throw Failure(SCF_OUT_OF_RANGE, "a slice leaves its buffer");
    return *buffer;
  }

  /// The device address of a slice, for kernels only; nullptr for a slice of no bytes.
  static std::byte* device_address(const scf_slice& slice) {
    if (slice.bytes == 0) return nullptr;
    const Buffer& buffer = of(slice);
    if (buffer.block == nullptr) throw Failure(SCF_INVALID_ARGUMENT, "a value does not lie in device memory");
    return buffer.block->address() + slice.offset;
  }
};

// ---- the entries of scf_memory_api ---------------------------------------------------------------------------------

Memory& memory_of(scf_device* handle); // in plugin.cpp

inline scf_status* alloc(scf_device* handle, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align,
                         scf_buffer** out) {
  const scf_host* host = tables::DeviceObject::of(handle)->host();
  return guard(host, [&] {
    align = std::max(align, std::uint64_t{1}); // 0: no wish
    auto buffer = std::make_unique<Buffer>(Buffer{host, bytes, nullptr, nullptr});
    if (heap == k_device_heap) {
      buffer->block = std::make_unique<Block>(memory_of(handle), bytes, align);
    } else if (heap == k_host_heap) {
      buffer->data = aligned_bytes(bytes, align);
    } else {
      throw Failure(SCF_NOT_FOUND, "there is no heap " + std::to_string(heap));
    }
    *out = buffer.release()->handle();
  });
}

inline void free(scf_buffer* handle) { delete Buffer::of(handle); }

inline scf_status* map(scf_buffer* handle, std::uint64_t offset, std::uint64_t bytes, void** out) {
  const Buffer* buffer = Buffer::of(handle);
  return guard(buffer->host, [&] {
    if (buffer->data == nullptr) throw Failure(SCF_FAILED_PRECONDITION, "device memory cannot be mapped; use copy");
    if (!buffer->holds(offset, bytes)) throw Failure(SCF_OUT_OF_RANGE, "the window to map leaves the buffer");
    *out = buffer->data.get() + offset;
  });
}

inline scf_status* unmap(scf_buffer*) { return nullptr; }

inline scf_status* budget(scf_device* handle, std::uint32_t heap, std::uint64_t* out) {
  const Memory& memory = memory_of(handle);
  *out = heap == k_device_heap ? memory.left() : seacliff::sdk::host_heap().budget;
  return nullptr;
}

inline constexpr scf_memory_api k_memory{header<scf_memory_api>(SCF_KIND_MEMORY_API),
                                         alloc,
                                         free,
                                         nullptr, // import_host: the host copies
                                         map,
                                         unmap,
                                         nullptr, // flush: host memory is coherent
                                         nullptr, // invalidate
                                         budget};

} // namespace device
