// A Vulkan layer that makes a driver fail. SEACLIFF_VULKAN_FAULT says how:
//   lost:N    from the Nth submit on, submits and waits report a lost device
//   memory:N  allocations beyond N bytes in all find no memory
// To add a fault: intercept the call in find().
#include <vulkan/vk_layer.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

struct Fault {
  Fault() {
    const char* text = std::getenv("SEACLIFF_VULKAN_FAULT");
    const std::string_view fault = text == nullptr ? "" : text;
    const auto number = [&](std::string_view kind) {
      return fault.starts_with(kind) ? std::strtoull(text + kind.size(), nullptr, 10) : ~0ULL;
    };
    submits = number("lost:");
    bytes = number("memory:");
  }
  std::uint64_t submits = 0, bytes = 0; // that succeed
};

struct Next {
  PFN_vkGetInstanceProcAddr instance_call = nullptr;
  PFN_vkGetDeviceProcAddr device_call = nullptr;
  PFN_vkQueueSubmit submit = nullptr;
  PFN_vkWaitSemaphores wait = nullptr;
  PFN_vkAllocateMemory allocate = nullptr;
};

const Fault g_fault;
Next g_next; // of the last instance and device that were made; tests have one driver
VkInstance g_instance = VK_NULL_HANDLE;
std::atomic<std::uint64_t> g_submits{0}, g_bytes{0};

bool is_lost() { return g_submits > g_fault.submits; }

VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, std::uint32_t count, const VkSubmitInfo* infos,
                                            VkFence fence) {
  ++g_submits;
  return is_lost() ? VK_ERROR_DEVICE_LOST : g_next.submit(queue, count, infos, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info,
                                               std::uint64_t timeout) {
  return is_lost() ? VK_ERROR_DEVICE_LOST : g_next.wait(device, info, timeout);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info,
                                               const VkAllocationCallbacks* callbacks, VkDeviceMemory* out) {
  if (g_bytes + info->allocationSize > g_fault.bytes) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  g_bytes += info->allocationSize;
  return g_next.allocate(device, info, callbacks, out);
}

/// The piece of a chain that the loader has put in for layers.
template <typename Link> Link* link_of(const void* chain, VkStructureType type) {
  for (auto* piece = static_cast<Link*>(const_cast<void*>(chain)); piece != nullptr;
       piece = static_cast<Link*>(const_cast<void*>(piece->pNext)))
    if (piece->sType == type && piece->function == VK_LAYER_LINK_INFO) return piece;
  return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo* info, const VkAllocationCallbacks* callbacks,
                                               VkInstance* out) {
  auto* link = link_of<VkLayerInstanceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  g_next.instance_call = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create = reinterpret_cast<PFN_vkCreateInstance>(g_next.instance_call(nullptr, "vkCreateInstance"));
  const VkResult result = create(info, callbacks, out);
  if (result == VK_SUCCESS) g_instance = *out;
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* callbacks, VkDevice* out) {
  auto* link = link_of<VkLayerDeviceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  g_next.device_call = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create = reinterpret_cast<PFN_vkCreateDevice>(next(g_instance, "vkCreateDevice"));
  const VkResult result = create(physical, info, callbacks, out);
  if (result != VK_SUCCESS) return result;
  const auto find = [&](const char* name) { return g_next.device_call(*out, name); };
  g_next.submit = reinterpret_cast<PFN_vkQueueSubmit>(find("vkQueueSubmit"));
  g_next.wait = reinterpret_cast<PFN_vkWaitSemaphores>(find("vkWaitSemaphores"));
  g_next.allocate = reinterpret_cast<PFN_vkAllocateMemory>(find("vkAllocateMemory"));
  return VK_SUCCESS;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_call(VkInstance instance, const char* name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_call(VkDevice device, const char* name);

PFN_vkVoidFunction find(std::string_view name) {
  if (name == "vkGetInstanceProcAddr") return reinterpret_cast<PFN_vkVoidFunction>(instance_call);
  if (name == "vkGetDeviceProcAddr") return reinterpret_cast<PFN_vkVoidFunction>(device_call);
  if (name == "vkCreateInstance") return reinterpret_cast<PFN_vkVoidFunction>(create_instance);
  if (name == "vkCreateDevice") return reinterpret_cast<PFN_vkVoidFunction>(create_device);
  if (name == "vkQueueSubmit") return reinterpret_cast<PFN_vkVoidFunction>(queue_submit);
  if (name == "vkWaitSemaphores") return reinterpret_cast<PFN_vkVoidFunction>(wait_semaphores);
  if (name == "vkAllocateMemory") return reinterpret_cast<PFN_vkVoidFunction>(allocate_memory);
  return nullptr;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_call(VkInstance instance, const char* name) {
  if (const PFN_vkVoidFunction own = find(name)) return own;
  return g_next.instance_call == nullptr ? nullptr : g_next.instance_call(instance, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_call(VkDevice device, const char* name) {
  if (const PFN_vkVoidFunction own = find(name)) return own;
  return g_next.device_call(device, name);
}

} // namespace

extern "C" VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* version) {
  constexpr std::uint32_t known = 2;
  if (version->loaderLayerInterfaceVersion < known) return VK_ERROR_INITIALIZATION_FAILED;
  version->loaderLayerInterfaceVersion = known;
  version->pfnGetInstanceProcAddr = instance_call;
  version->pfnGetDeviceProcAddr = device_call;
  version->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}
