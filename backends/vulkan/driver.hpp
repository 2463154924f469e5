// The Vulkan functions that this plugin calls, found at run time: a machine without Vulkan loads the plugin, too.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <seacliff/sdk/status.hpp>

#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace seacliff::vulkan {

#define SCF_VK_GLOBAL(X)                                                                                               \
  X(vkCreateInstance)                                                                                                  \
  X(vkEnumerateInstanceVersion)                                                                                        \
  X(vkEnumerateInstanceLayerProperties)                                                                                \
  X(vkEnumerateInstanceExtensionProperties)

#define SCF_VK_INSTANCE(X)                                                                                             \
  X(vkDestroyInstance)                                                                                                 \
  X(vkEnumeratePhysicalDevices)                                                                                        \
  X(vkGetPhysicalDeviceProperties)                                                                                     \
  X(vkGetPhysicalDeviceProperties2)                                                                                    \
  X(vkGetPhysicalDeviceFeatures2)                                                                                      \
  X(vkGetPhysicalDeviceMemoryProperties2)                                                                              \
  X(vkGetPhysicalDeviceQueueFamilyProperties)                                                                          \
  X(vkEnumerateDeviceExtensionProperties)                                                                              \
  X(vkCreateDevice)                                                                                                    \
  X(vkGetDeviceProcAddr)

#define SCF_VK_DEVICE(X)                                                                                               \
  X(vkDestroyDevice)                                                                                                   \
  X(vkDeviceWaitIdle)                                                                                                  \
  X(vkGetDeviceQueue)                                                                                                  \
  X(vkQueueSubmit)                                                                                                     \
  X(vkQueueWaitIdle)                                                                                                   \
  X(vkAllocateMemory)                                                                                                  \
  X(vkFreeMemory)                                                                                                      \
  X(vkMapMemory)                                                                                                       \
  X(vkUnmapMemory)                                                                                                     \
  X(vkFlushMappedMemoryRanges)                                                                                         \
  X(vkInvalidateMappedMemoryRanges)                                                                                    \
  X(vkCreateBuffer)                                                                                                    \
  X(vkDestroyBuffer)                                                                                                   \
  X(vkBindBufferMemory)                                                                                                \
  X(vkGetBufferMemoryRequirements)                                                                                     \
  X(vkGetBufferDeviceAddress)                                                                                          \
  X(vkCreateSemaphore)                                                                                                 \
  X(vkDestroySemaphore)                                                                                                \
  X(vkGetSemaphoreCounterValue)                                                                                        \
  X(vkWaitSemaphores)                                                                                                  \
  X(vkSignalSemaphore)                                                                                                 \
  X(vkCreateCommandPool)                                                                                               \
  X(vkDestroyCommandPool)                                                                                              \
  X(vkAllocateCommandBuffers)                                                                                          \
  X(vkFreeCommandBuffers)                                                                                              \
  X(vkBeginCommandBuffer)                                                                                              \
  X(vkEndCommandBuffer)                                                                                                \
  X(vkCmdBindPipeline)                                                                                                 \
  X(vkCmdPushConstants)                                                                                                \
  X(vkCmdDispatch)                                                                                                     \
  X(vkCmdDispatchIndirect)                                                                                             \
  X(vkCmdPipelineBarrier)                                                                                              \
  X(vkCmdCopyBuffer)                                                                                                   \
  X(vkCmdResetQueryPool)                                                                                               \
  X(vkCmdWriteTimestamp)                                                                                               \
  X(vkCreateQueryPool)                                                                                                 \
  X(vkDestroyQueryPool)                                                                                                \
  X(vkGetQueryPoolResults)                                                                                             \
  X(vkCreateShaderModule)                                                                                              \
  X(vkDestroyShaderModule)                                                                                             \
  X(vkCreatePipelineLayout)                                                                                            \
  X(vkDestroyPipelineLayout)                                                                                           \
  X(vkCreateComputePipelines)                                                                                          \
  X(vkDestroyPipeline)                                                                                                 \
  X(vkCreatePipelineCache)                                                                                             \
  X(vkDestroyPipelineCache)                                                                                            \
  X(vkGetPipelineCacheData)

#define SCF_VK_MEMBER(name) PFN_##name name = nullptr;

/// libvulkan.so.1 and the functions that need no instance. Throws Failure(UNAVAILABLE) when there is none.
class Driver {
public:
  Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver();

  PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = nullptr;
  SCF_VK_GLOBAL(SCF_VK_MEMBER)

private:
  void* library_ = nullptr;
};

/// Functions of one VkInstance.
struct InstanceCalls {
  SCF_VK_INSTANCE(SCF_VK_MEMBER)
  // Only with VK_EXT_debug_utils:
  SCF_VK_MEMBER(vkCreateDebugUtilsMessengerEXT)
  SCF_VK_MEMBER(vkDestroyDebugUtilsMessengerEXT)
  SCF_VK_MEMBER(vkGetPhysicalDeviceCalibrateableTimeDomainsEXT)
  SCF_VK_MEMBER(vkGetPhysicalDeviceCooperativeMatrixPropertiesNV)

  void load(const Driver& driver, VkInstance instance);
};

/// Functions of one VkDevice.
struct DeviceCalls {
  SCF_VK_DEVICE(SCF_VK_MEMBER)
  // nullptr without their extensions:
  SCF_VK_MEMBER(vkGetMemoryHostPointerPropertiesEXT)
  SCF_VK_MEMBER(vkGetCalibratedTimestampsEXT)

  void load(const InstanceCalls& instance, VkDevice device);
};

#undef SCF_VK_MEMBER

/// Drivers come and go with the last VkInstance, and some cannot be loaded again and again: thread-local memory that
/// they take from the process's fixed share never comes back. What is loaded in the life of this stays loaded.
class KeepsLibraries {
public:
  KeepsLibraries();
  KeepsLibraries(const KeepsLibraries&) = delete;
  KeepsLibraries& operator=(const KeepsLibraries&) = delete;
  ~KeepsLibraries();

private:
  std::set<std::string> before_;
};

/// "VK_ERROR_DEVICE_LOST"; the number for codes that are not in the list.
std::string result_name(VkResult result);

/// The Failure for a call that went wrong, with key native_code: DEVICE_LOST, RESOURCE_EXHAUSTED, ...
sdk::Failure failure(VkResult result, std::string_view call);

/// Throws failure() unless the call succeeded.
inline void check(VkResult result, std::string_view call) {
  if (result < 0) throw failure(result, call);
}

} // namespace seacliff::vulkan
