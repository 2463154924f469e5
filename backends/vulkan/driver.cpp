#include "driver.hpp"

#include <dlfcn.h>
#include <link.h>

namespace seacliff::vulkan {
namespace {

constexpr const char* k_library = "libvulkan.so.1";

/// Code and name of what Vulkan says.
struct Meaning {
  VkResult result;
  std::uint32_t code;
  const char* name;
};
constexpr Meaning k_meanings[] = {
    {VK_ERROR_OUT_OF_HOST_MEMORY, SCF_RESOURCE_EXHAUSTED, "VK_ERROR_OUT_OF_HOST_MEMORY"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, SCF_RESOURCE_EXHAUSTED, "VK_ERROR_OUT_OF_DEVICE_MEMORY"},
    {VK_ERROR_TOO_MANY_OBJECTS, SCF_RESOURCE_EXHAUSTED, "VK_ERROR_TOO_MANY_OBJECTS"},
    {VK_ERROR_DEVICE_LOST, SCF_DEVICE_LOST, "VK_ERROR_DEVICE_LOST"},
    {VK_ERROR_INITIALIZATION_FAILED, SCF_UNAVAILABLE, "VK_ERROR_INITIALIZATION_FAILED"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, SCF_UNAVAILABLE, "VK_ERROR_INCOMPATIBLE_DRIVER"},
    {VK_ERROR_LAYER_NOT_PRESENT, SCF_UNAVAILABLE, "VK_ERROR_LAYER_NOT_PRESENT"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, SCF_UNIMPLEMENTED, "VK_ERROR_EXTENSION_NOT_PRESENT"},
    {VK_ERROR_FEATURE_NOT_PRESENT, SCF_UNIMPLEMENTED, "VK_ERROR_FEATURE_NOT_PRESENT"},
    {VK_ERROR_MEMORY_MAP_FAILED, SCF_RESOURCE_EXHAUSTED, "VK_ERROR_MEMORY_MAP_FAILED"},
    {VK_ERROR_INVALID_EXTERNAL_HANDLE, SCF_INVALID_ARGUMENT, "VK_ERROR_INVALID_EXTERNAL_HANDLE"},
    {VK_ERROR_UNKNOWN, SCF_INTERNAL, "VK_ERROR_UNKNOWN"},
};

/// Files of the libraries in this process.
std::set<std::string> loaded_libraries() {
  std::set<std::string> names;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* set) {
        if (library->dlpi_name != nullptr && *library->dlpi_name == '/')
          static_cast<std::set<std::string>*>(set)->insert(library->dlpi_name);
        return 0;
      },
      &names);
  return names;
}

} // namespace

KeepsLibraries::KeepsLibraries() : before_(loaded_libraries()) {}

KeepsLibraries::~KeepsLibraries() {
  for (const std::string& name : loaded_libraries())
    if (!before_.contains(name))
      if (void* library = dlopen(name.c_str(), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE); library != nullptr)
        dlclose(library);
}

Driver::Driver() : library_(dlopen(k_library, RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr)
    throw sdk::Failure(SCF_UNAVAILABLE, std::string(k_library) + " is not on this machine",
                       {{"mend", std::string("install the driver of the GPU, or libvulkan1")}});
  vkGetInstanceProcAddr = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library_, "vkGetInstanceProcAddr"));
  if (vkGetInstanceProcAddr != nullptr) {
#define SCF_VK_FIND(name) name = reinterpret_cast<PFN_##name>(vkGetInstanceProcAddr(nullptr, #name));
    SCF_VK_GLOBAL(SCF_VK_FIND)
#undef SCF_VK_FIND
  }
  if (vkEnumerateInstanceVersion == nullptr) {
    dlclose(library_);
    throw sdk::Failure(SCF_UNAVAILABLE, std::string(k_library) + " is older than Vulkan 1.1");
  }
}

Driver::~Driver() { dlclose(library_); }

void InstanceCalls::load(const Driver& driver, VkInstance instance) {
#define SCF_VK_FIND(name) name = reinterpret_cast<PFN_##name>(driver.vkGetInstanceProcAddr(instance, #name));
  SCF_VK_INSTANCE(SCF_VK_FIND)
  SCF_VK_FIND(vkCreateDebugUtilsMessengerEXT)
  SCF_VK_FIND(vkDestroyDebugUtilsMessengerEXT)
  SCF_VK_FIND(vkGetPhysicalDeviceCalibrateableTimeDomainsEXT)
  SCF_VK_FIND(vkGetPhysicalDeviceCooperativeMatrixPropertiesNV)
#undef SCF_VK_FIND
}

void DeviceCalls::load(const InstanceCalls& instance, VkDevice device) {
#define SCF_VK_FIND(name)                                                                                              \
  name = reinterpret_cast<PFN_##name>(instance.vkGetDeviceProcAddr(device, #name));                                    \
  if (name == nullptr) throw sdk::Failure(SCF_UNAVAILABLE, "the driver has no " #name);
  SCF_VK_DEVICE(SCF_VK_FIND)
#undef SCF_VK_FIND
#define SCF_VK_FIND(name) name = reinterpret_cast<PFN_##name>(instance.vkGetDeviceProcAddr(device, #name));
  SCF_VK_FIND(vkGetMemoryHostPointerPropertiesEXT)
  SCF_VK_FIND(vkGetCalibratedTimestampsEXT)
#undef SCF_VK_FIND
}

std::string result_name(VkResult result) {
  for (const Meaning& meaning : k_meanings)
    if (meaning.result == result) return meaning.name;
  return "VkResult " + std::to_string(result);
}

sdk::Failure failure(VkResult result, std::string_view call) {
  std::uint32_t code = SCF_INTERNAL;
  for (const Meaning& meaning : k_meanings)
    if (meaning.result == result) code = meaning.code;
  return {code, std::string(call) + ": " + result_name(result), {{"native_code", std::int64_t{result}}}};
}

} // namespace seacliff::vulkan
