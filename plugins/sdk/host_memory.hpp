// Buffers in main memory, for plugins whose device reads it directly.
#pragma once

#include <seacliff/sdk/device.hpp>

#include <bit>
#include <cstddef>
#include <new>

namespace seacliff::sdk {

inline constexpr std::uint64_t k_host_align = 64;

/// Owned or imported host memory; the object behind a scf_buffer of the adapter.
struct HostBuffer {
  const scf_host* host = nullptr;
  std::byte* data = nullptr;
  std::uint64_t bytes = 0;
  std::uint64_t owned_align = 0; // 0: imported
  bool mappable = true;
  bool read_only = false; // imported so: never written

  static HostBuffer* of(scf_buffer* handle) { return reinterpret_cast<HostBuffer*>(handle); }
  scf_buffer* handle() { return reinterpret_cast<scf_buffer*>(this); }

  /// Throws Failure: invalid_argument, resource_exhausted (with need and free).
  static HostBuffer* allocate(const scf_host* host, const HeapDesc& heap, std::uint64_t bytes, std::uint64_t align) {
    if (align != 0 && !std::has_single_bit(align)) throw Failure(SCF_INVALID_ARGUMENT, "alignment is no power of two");
    align = std::max(align, k_host_align);
    void* data = nullptr;
    const auto within = [&](std::uint64_t limit) { return limit == 0 || bytes <= limit; };
    if (within(heap.total) && within(heap.max_alloc))
      data = ::operator new(std::max(bytes, std::uint64_t{1}), std::align_val_t(align), std::nothrow);
    if (data == nullptr)
      throw Failure(SCF_RESOURCE_EXHAUSTED,
                    "not enough host memory for a buffer of " + std::to_string(bytes) + " bytes",
                    {{"heap", std::int64_t{heap.id}},
                     {"need", static_cast<std::int64_t>(bytes)},
                     {"free", static_cast<std::int64_t>(host_heap().budget)}});
    const bool mappable = (heap.flags & SCF_HEAP_MAPPABLE) != 0;
    return new HostBuffer{host, static_cast<std::byte*>(data), bytes, align, mappable};
  }

  /// Throws Failure: failed_precondition where the heap takes no imports, invalid_argument.
  static HostBuffer* import(const scf_host* host, const HeapDesc& heap, void* data, std::uint64_t bytes,
                            std::uint32_t flags) {
    if ((heap.import_kinds & SCF_IMPORT_HOST_POINTER) == 0)
      throw Failure(SCF_FAILED_PRECONDITION, "heap " + std::to_string(heap.id) + " takes no host memory");
    const std::uint64_t align = std::max(heap.import_align, std::uint64_t{1});
    if (reinterpret_cast<std::uintptr_t>(data) % align != 0 || bytes % align != 0)
      throw Failure(SCF_INVALID_ARGUMENT, "host memory to import must be aligned to " + std::to_string(align));
    if (heap.max_alloc != 0 && bytes > heap.max_alloc)
      throw Failure(SCF_RESOURCE_EXHAUSTED, "an import of " + std::to_string(bytes) + " bytes is too large");
    return new HostBuffer{host, static_cast<std::byte*>(data), bytes, 0, true, (flags & SCF_BUFFER_READ_ONLY) != 0};
  }

  static void free(HostBuffer* buffer) noexcept {
    if (buffer == nullptr) return;
    if (buffer->owned_align != 0) ::operator delete(buffer->data, std::align_val_t(buffer->owned_align));
    delete buffer;
  }

  bool holds(std::uint64_t offset, std::uint64_t count) const { return offset <= bytes && count <= bytes - offset; }

  /// Host address of a slice, never nullptr; throws Failure(out_of_range).
  static std::byte* address(const scf_slice& slice) {
    alignas(k_host_align) static std::byte nothing[k_host_align];
    if (slice.bytes == 0) return nothing;
    const HostBuffer* buffer = of(slice.buf);
    if (buffer == nullptr || !buffer->holds(slice.offset, slice.bytes))
      throw Failure(SCF_OUT_OF_RANGE, "a slice leaves its buffer");
    return buffer->data + slice.offset;
  }
  /// The same for what will be written; throws Failure(invalid_argument) too.
  static std::byte* writable(const scf_slice& slice) {
    std::byte* at = address(slice);
    if (slice.bytes != 0 && of(slice.buf)->read_only)
      throw Failure(SCF_INVALID_ARGUMENT, "memory imported to be read only would be written");
    return at;
  }
};

} // namespace seacliff::sdk
