#include "memory.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <bit>

namespace seacliff::vulkan {
namespace {

constexpr VkBufferUsageFlags k_usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                                       VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                       VK_BUFFER_USAGE_TRANSFER_DST_BIT;
constexpr std::uint64_t k_least_align = 16; // what every kernel may count on

const sdk::HeapDesc& find_heap(const Device& device, std::uint32_t id) {
  for (const sdk::HeapDesc& heap : device.adapter().desc.heaps)
    if (heap.id == id) return heap;
  throw sdk::Failure(SCF_NOT_FOUND, "device '" + device.adapter().desc.id + "' has no heap " + std::to_string(id));
}

std::uint32_t type_of(const Device& device, std::uint32_t heap) {
  return heap == k_device_heap ? device.caps().device_type : device.caps().host_type;
}

/// `type`, or where buffers may not lie there, one that is as near to device and host.
std::uint32_t allowed_type(const Device& device, std::uint32_t type, std::uint32_t allowed) {
  const VkPhysicalDeviceMemoryProperties& memory = device.adapter().memory;
  constexpr VkMemoryPropertyFlags asked =
      VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  if ((allowed >> type & 1u) != 0) return type;
  for (std::uint32_t other = 0; other < memory.memoryTypeCount; ++other)
    if ((allowed >> other & 1u) != 0 &&
        ((memory.memoryTypes[other].propertyFlags ^ memory.memoryTypes[type].propertyFlags) & asked) == 0)
      return other;
  throw sdk::Failure(SCF_UNIMPLEMENTED, "buffers cannot lie in memory of type " + std::to_string(type));
}

sdk::Failure exhausted(const Device& device, std::uint32_t heap, std::uint64_t bytes, VkResult result) {
  const std::uint64_t left = device.instance().heap_budget(device.adapter(), type_of(device, heap));
  return {SCF_RESOURCE_EXHAUSTED,
          "heap " + std::to_string(heap) + " of device '" + device.adapter().desc.id +
              "' has no room for a buffer of " + std::to_string(bytes) + " bytes, " + std::to_string(left) +
              " are free",
          {{"heap", std::int64_t{heap}},
           {"need", static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, INT64_MAX))},
           {"free", static_cast<std::int64_t>(left)},
           {"native_code", std::int64_t{result}}}};
}

} // namespace

Buffer::Buffer(Device& device, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align)
    : device_(device), bytes_(bytes) {
  const bool own = heap == k_host_heap && device.adapter().desc.heaps.size() == 1; // the plugin's, not in the list
  const sdk::HeapDesc& desc = find_heap(device, own ? std::uint32_t{k_device_heap} : heap);
  if (align != 0 && !std::has_single_bit(align))
    throw sdk::Failure(SCF_INVALID_ARGUMENT, "alignment is no power of two");
  align = std::max(align, k_least_align);
  if (bytes > desc.max_alloc || align > desc.max_alloc - bytes)
    throw exhausted(device, heap, bytes, VK_ERROR_OUT_OF_DEVICE_MEMORY);
  try {
    // Drivers give memory that is aligned well, but promise little: room to move up to the alignment.
    const std::uint64_t room = sdk::align_up(std::max<std::uint64_t>(bytes, 1), k_least_align) + align;
    create_buffer(room, nullptr);
    allocate(type_of(device, heap), room, nullptr);
    if ((desc.flags & SCF_HEAP_MAPPABLE) != 0 || heap == k_host_heap) {
      void* data = nullptr;
      check(device.vk().vkMapMemory(device.handle(), memory_, 0, VK_WHOLE_SIZE, 0, &data), "vkMapMemory");
      const auto at = reinterpret_cast<std::uintptr_t>(data);
      start_ = sdk::align_up(at, align) - at;
      mapped_ = static_cast<std::byte*>(data) + start_;
    } else {
      start_ = sdk::align_up(address_, align) - address_;
    }
    address_ += start_;
    local_ = heap == k_device_heap;
  } catch (const sdk::Failure& failed) {
    release();
    if (failed.code() == SCF_RESOURCE_EXHAUSTED) throw exhausted(device, heap, bytes, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    throw;
  }
}

Buffer::Buffer(Device& device, void* pages, std::uint64_t bytes, bool read_only) : device_(device), bytes_(bytes) {
  const std::uint64_t align = device.caps().import_align;
  if (align == 0) throw sdk::Failure(SCF_UNIMPLEMENTED, "the driver takes no pages of the host");
  if (reinterpret_cast<std::uintptr_t>(pages) % align != 0)
    throw sdk::Failure(SCF_INVALID_ARGUMENT, "pages to import must lie at multiples of " + std::to_string(align));
  const auto handle_type = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  VkMemoryHostPointerPropertiesEXT accepted{};
  accepted.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT;
  const auto refused = [&](const sdk::Failure& failed) { // drivers do not say that they want to write
    return sdk::Failure(SCF_UNIMPLEMENTED,
                        "the driver does not take pages that may not be written (" + failed.message() + ")");
  };
  if (const VkResult asked =
          device.vk().vkGetMemoryHostPointerPropertiesEXT(device.handle(), handle_type, pages, &accepted);
      asked < 0) {
    const sdk::Failure failed = failure(asked, "vkGetMemoryHostPointerPropertiesEXT");
    throw read_only && failed.code() != SCF_DEVICE_LOST ? refused(failed) : failed;
  }
  if (accepted.memoryTypeBits == 0) throw sdk::Failure(SCF_UNIMPLEMENTED, "the driver does not take these pages");

  const std::uint64_t whole = sdk::align_up(std::max<std::uint64_t>(bytes, 1), align); // the rest of the last page
  VkExternalMemoryBufferCreateInfo external{};
  external.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO;
  external.handleTypes = handle_type;
  VkImportMemoryHostPointerInfoEXT import{};
  import.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT;
  import.handleType = handle_type;
  import.pHostPointer = pages;
  try {
    create_buffer(whole, &external);
    allocate(static_cast<std::uint32_t>(std::countr_zero(accepted.memoryTypeBits)), whole, &import);
  } catch (const sdk::Failure& failed) {
    release();
    throw read_only && failed.code() != SCF_DEVICE_LOST ? refused(failed) : failed;
  }
  mapped_ = static_cast<std::byte*>(pages);
}

Buffer::~Buffer() { release(); }

void Buffer::create_buffer(std::uint64_t bytes, const void* next) {
  VkBufferCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.pNext = next;
  info.size = bytes;
  info.usage = k_usage;
  check(device_.vk().vkCreateBuffer(device_.handle(), &info, nullptr, &buffer_), "vkCreateBuffer");
}

void Buffer::allocate(std::uint32_t type, std::uint64_t bytes, const void* next) {
  const DeviceCalls& vk = device_.vk();
  VkMemoryRequirements need{};
  vk.vkGetBufferMemoryRequirements(device_.handle(), buffer_, &need);
  type = allowed_type(device_, type, need.memoryTypeBits);
  VkMemoryAllocateFlagsInfo flags{};
  flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
  flags.pNext = next;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  info.pNext = &flags;
  info.allocationSize = next != nullptr ? bytes : std::max(bytes, need.size);
  info.memoryTypeIndex = type;
  check(vk.vkAllocateMemory(device_.handle(), &info, nullptr, &memory_), "vkAllocateMemory");
  check(vk.vkBindBufferMemory(device_.handle(), buffer_, memory_, 0), "vkBindBufferMemory");
  VkBufferDeviceAddressInfo where{};
  where.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
  where.buffer = buffer_;
  address_ = vk.vkGetBufferDeviceAddress(device_.handle(), &where);
}

void Buffer::release() {
  device_.vk().vkDestroyBuffer(device_.handle(), buffer_, nullptr);
  device_.vk().vkFreeMemory(device_.handle(), memory_, nullptr);
}

Buffer& Buffer::of(const scf_slice& slice) {
  Buffer* buffer = of(slice.buf);
  if (buffer == nullptr || !buffer->holds(slice.offset, slice.bytes))
    throw sdk::Failure(SCF_OUT_OF_RANGE, "a slice leaves its buffer");
  return *buffer;
}

// ---- the entries of scf_memory_api ---------------------------------------------------------------------------------

namespace {

scf_status* alloc(scf_device* handle, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align, scf_buffer** out) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    find_heap(*device, heap);
    *out = (new Buffer(*device, heap, bytes, align))->as_handle();
  });
}

void free(scf_buffer* handle) { delete Buffer::of(handle); }

scf_status* import_host(scf_device* handle, std::uint32_t heap, void* pages, std::uint64_t bytes, std::uint32_t flags,
                        scf_buffer** out) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    find_heap(*device, heap);
    *out = (new Buffer(*device, pages, bytes, (flags & SCF_BUFFER_READ_ONLY) != 0))->as_handle();
  });
}

scf_status* map(scf_buffer* handle, std::uint64_t offset, std::uint64_t bytes, void** out) {
  const Buffer* buffer = Buffer::of(handle);
  return guarded(&buffer->device(), [&] {
    if (buffer->mapped() == nullptr)
      throw sdk::Failure(SCF_FAILED_PRECONDITION, "device memory cannot be mapped; use copy");
    if (!buffer->holds(offset, bytes)) throw sdk::Failure(SCF_OUT_OF_RANGE, "the window to map leaves the buffer");
    *out = buffer->mapped() + offset;
  });
}

scf_status* unmap(scf_buffer*) { return nullptr; } // mapped for as long as it lives

scf_status* budget(scf_device* handle, std::uint32_t heap, std::uint64_t* out) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    find_heap(*device, heap);
    *out = device->instance().heap_budget(device->adapter(), type_of(*device, heap));
  });
}

} // namespace

const scf_memory_api k_memory{sdk::header<scf_memory_api>(SCF_KIND_MEMORY_API), alloc,   free,  import_host, map, unmap,
                              nullptr /* memory types are coherent */,          nullptr, budget};

} // namespace seacliff::vulkan
