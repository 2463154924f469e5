// What a physical device can do. Devices are chosen by what they can, never by who made them.
#include "instance.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

namespace seacliff::vulkan {
namespace {

/// Everything that is asked about a device, as Vulkan's chains of structs want it.
struct Answers {
  VkPhysicalDeviceProperties2 properties{};
  VkPhysicalDeviceVulkan11Properties v11{};
  VkPhysicalDeviceVulkan12Properties v12{};
  VkPhysicalDeviceSubgroupSizeControlProperties sizes{};
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT import{};
  VkPhysicalDevicePCIBusInfoPropertiesEXT pci{};
  VkPhysicalDeviceFeatures2 features{};
  VkPhysicalDeviceVulkan11Features f11{};
  VkPhysicalDeviceVulkan12Features f12{};
  VkPhysicalDeviceSubgroupSizeControlFeatures f_sizes{};
  VkPhysicalDeviceShaderIntegerDotProductFeatures f_dots{};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV f_matrix{};
  std::vector<VkExtensionProperties> extensions;
  std::vector<VkQueueFamilyProperties> queues;

  bool has(const char* name) const {
    return std::any_of(extensions.begin(), extensions.end(),
                       [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
  }
};

template <typename T> void append(void*& tail, T& item, VkStructureType type) {
  item.sType = type;
  item.pNext = tail;
  tail = &item;
}

void ask(const InstanceCalls& vk, VkPhysicalDevice device, Answers& a) {
  std::uint32_t count = 0;
  check(vk.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr),
        "vkEnumerateDeviceExtensionProperties");
  a.extensions.resize(count);
  check(vk.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, a.extensions.data()),
        "vkEnumerateDeviceExtensionProperties");
  vk.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  a.queues.resize(count);
  vk.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, a.queues.data());

  const bool sizes =
      a.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME) || a.properties.properties.apiVersion >= VK_API_VERSION_1_3;
  void* tail = nullptr;
  append(tail, a.v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
  append(tail, a.v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
  if (sizes) append(tail, a.sizes, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
  if (a.has(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME))
    append(tail, a.import, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT);
  if (a.has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME))
    append(tail, a.pci, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT);
  a.properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  a.properties.pNext = tail;
  vk.vkGetPhysicalDeviceProperties2(device, &a.properties);

  tail = nullptr;
  append(tail, a.f11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  append(tail, a.f12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  if (sizes) append(tail, a.f_sizes, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
  if (a.has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME) ||
      a.properties.properties.apiVersion >= VK_API_VERSION_1_3)
    append(tail, a.f_dots, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
  if (a.has(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME))
    append(tail, a.f_matrix, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV);
  a.features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  a.features.pNext = tail;
  vk.vkGetPhysicalDeviceFeatures2(device, &a.features);
}

/// A family for compute that does not draw, too, where there is one: it runs beside the desktop. -1: none.
int compute_family(const Answers& a) {
  int found = -1;
  for (std::size_t i = 0; i < a.queues.size(); ++i) {
    const VkQueueFlags flags = a.queues[i].queueFlags;
    if ((flags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
    if (found < 0 || (flags & VK_QUEUE_GRAPHICS_BIT) == 0) found = static_cast<int>(i);
    if ((flags & VK_QUEUE_GRAPHICS_BIT) == 0) break;
  }
  return found;
}

std::string what_is_missing(const Answers& a) {
  if (a.properties.properties.apiVersion < VK_API_VERSION_1_2) return "the driver offers no Vulkan 1.2";
  const std::pair<VkBool32, const char*> needed[] = {
      {a.f12.timelineSemaphore, "timeline semaphores"},
      {a.f12.bufferDeviceAddress, "buffer device addresses"},
      {a.f12.scalarBlockLayout, "scalar block layout"},
      {a.f12.storageBuffer8BitAccess, "8-bit storage"},
      {a.f11.storageBuffer16BitAccess, "16-bit storage"},
      {a.features.features.shaderInt64, "64-bit integers in shaders"},
  };
  for (const auto& [there, name] : needed)
    if (there == VK_FALSE) return "the driver offers no " + std::string(name);
  constexpr VkSubgroupFeatureFlags sums =
      VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  if ((a.v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0 ||
      (a.v11.subgroupSupportedOperations & sums) != sums)
    return "the driver offers no sums over subgroups, or no shuffles";
  if (compute_family(a) < 0) return "there is no queue for compute";
  if (a.properties.properties.limits.maxComputeSharedMemorySize < 32768)
    return "workgroups share less than 32 KiB of memory";
  return {};
}

/// The first memory type with all of `want` and none of `avoid`; -1: none.
int memory_type(const VkPhysicalDeviceMemoryProperties& memory, VkMemoryPropertyFlags want,
                VkMemoryPropertyFlags avoid) {
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    if ((flags & want) == want && (flags & avoid) == 0) return static_cast<int>(i);
  }
  return -1;
}

constexpr VkMemoryPropertyFlags k_odd = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                        VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD;
constexpr VkMemoryPropertyFlags k_seen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

/// Where the device's own memory and memory to pass bytes through come from. Vulkan guarantees both.
void choose_memory(Adapter& adapter) {
  const auto first = [&](std::initializer_list<std::pair<VkMemoryPropertyFlags, VkMemoryPropertyFlags>> wishes) {
    for (const auto& [want, avoid] : wishes)
      if (const int type = memory_type(adapter.memory, want, avoid | k_odd); type >= 0)
        return static_cast<std::uint32_t>(type);
    return 0u;
  };
  constexpr VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                  all_host = VK_MEMORY_PROPERTY_HOST_CACHED_BIT | k_seen;
  adapter.caps.device_type =
      first({{local, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT}, {local | k_seen, 0}, {local, 0}, {k_seen, 0}});
  adapter.caps.host_type = first({{all_host, local}, {all_host, 0}, {k_seen, local}, {k_seen, 0}});
}

bool sees(const Adapter& adapter, std::uint32_t type) {
  return (adapter.memory.memoryTypes[type].propertyFlags & k_seen) == k_seen;
}

std::vector<sdk::HeapDesc> describe_heaps(const Instance& instance, const Adapter& adapter,
                                          std::uint64_t largest_allocation) {
  const auto heap = [&](std::uint32_t id, std::uint32_t kind, std::uint32_t type, bool mappable) {
    sdk::HeapDesc desc;
    desc.id = id;
    desc.kind = kind;
    desc.total = adapter.memory.memoryHeaps[adapter.memory.memoryTypes[type].heapIndex].size;
    desc.budget = instance.heap_budget(adapter, type);
    desc.max_alloc = std::min(desc.total, largest_allocation);
    desc.max_binding = 0; // kernels are given addresses, not bindings
    desc.bind_align = 16; // loads of kernels
    desc.import_kinds = adapter.caps.import_align != 0 ? std::uint64_t{SCF_IMPORT_HOST_POINTER} : 0;
    desc.import_align = std::max<std::uint64_t>(adapter.caps.import_align, 1);
    desc.flags = mappable ? SCF_HEAP_MAPPABLE | SCF_HEAP_COHERENT : 0u;
    desc.numa_node = adapter.desc.numa_node;
    return desc;
  };
  const bool mapped = sees(adapter, adapter.caps.device_type) && !instance.settings().staging;
  std::vector<sdk::HeapDesc> heaps{heap(k_device_heap, SCF_HEAP_DEVICE_LOCAL, adapter.caps.device_type, mapped)};
  const auto index = [&](std::uint32_t type) { return adapter.memory.memoryTypes[type].heapIndex; };
  if (!mapped || index(adapter.caps.host_type) != index(adapter.caps.device_type))
    heaps.push_back(heap(k_host_heap, SCF_HEAP_HOST, adapter.caps.host_type, true));
  return heaps;
}

std::string hex(const std::uint8_t* bytes, std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < to; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

std::string pci_place(const VkPhysicalDevicePCIBusInfoPropertiesEXT& pci) {
  char text[40];
  std::snprintf(text, sizeof text, "%04x:%02x:%02x.%x", pci.pciDomain, pci.pciBus, pci.pciDevice, pci.pciFunction);
  return text;
}

std::string make_id(const Answers& a) {
  if (a.v12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE) return "sw:lavapipe";
  if (a.v12.driverID == VK_DRIVER_ID_GOOGLE_SWIFTSHADER) return "sw:swiftshader";
  if (a.has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME)) return "pci:" + pci_place(a.pci);
  const std::uint8_t* uuid = a.v11.deviceUUID;
  return "uuid:" + hex(uuid, 0, 4) + "-" + hex(uuid, 4, 6) + "-" + hex(uuid, 6, 8) + "-" + hex(uuid, 8, 10) + "-" +
         hex(uuid, 10, 16);
}

std::int32_t numa_node(const Answers& a) {
  if (!a.has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME)) return -1;
  std::ifstream in("/sys/bus/pci/devices/" + pci_place(a.pci) + "/numa_node");
  std::int32_t node = -1;
  return in >> node && node >= 0 ? node : -1;
}

/// Whether the driver pairs its own clock with CLOCK_MONOTONIC.
bool is_calibrated(const InstanceCalls& vk, VkPhysicalDevice device, const Answers& a) {
  if (!a.has(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME)) return false;
  if (vk.vkGetPhysicalDeviceCalibrateableTimeDomainsEXT == nullptr) return false;
  VkTimeDomainEXT domains[16];
  std::uint32_t count = 16;
  if (vk.vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(device, &count, domains) < 0) return false;
  const auto has = [&](VkTimeDomainEXT d) { return std::find(domains, domains + count, d) != domains + count; };
  return has(VK_TIME_DOMAIN_DEVICE_EXT) && has(VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT);
}

/// Whether subgroups multiply 16 by 16 float16 with 16 by 16 and sum in float32.
bool has_matrix(const InstanceCalls& vk, VkPhysicalDevice device, const Answers& a) {
  if (a.f_matrix.cooperativeMatrix == VK_FALSE || a.f12.shaderFloat16 == VK_FALSE ||
      a.f12.vulkanMemoryModel == VK_FALSE)
    return false;
  if (vk.vkGetPhysicalDeviceCooperativeMatrixPropertiesNV == nullptr) return false;
  std::uint32_t count = 0;
  if (vk.vkGetPhysicalDeviceCooperativeMatrixPropertiesNV(device, &count, nullptr) < 0) return false;
  VkCooperativeMatrixPropertiesNV empty{};
  empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV;
  std::vector<VkCooperativeMatrixPropertiesNV> shapes(count, empty);
  if (vk.vkGetPhysicalDeviceCooperativeMatrixPropertiesNV(device, &count, shapes.data()) < 0) return false;
  return std::any_of(shapes.begin(), shapes.end(), [](const VkCooperativeMatrixPropertiesNV& s) {
    return s.MSize == 16 && s.NSize == 16 && s.KSize == 16 && s.scope == VK_SCOPE_SUBGROUP_NV &&
           s.AType == VK_COMPONENT_TYPE_FLOAT16_NV && s.BType == VK_COMPONENT_TYPE_FLOAT16_NV &&
           s.CType == VK_COMPONENT_TYPE_FLOAT32_NV && s.DType == VK_COMPONENT_TYPE_FLOAT32_NV;
  });
}

void read_caps(const InstanceCalls& vk, Adapter& adapter, const Answers& a) {
  Caps& caps = adapter.caps;
  const VkPhysicalDeviceLimits& limits = a.properties.properties.limits;
  caps.queue_family = static_cast<std::uint32_t>(compute_family(a));
  caps.subgroup = a.v11.subgroupSize;
  const bool core = a.properties.properties.apiVersion >= VK_API_VERSION_1_3;
  caps.size_control_extension = !core && a.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  caps.full_subgroups = a.f_sizes.computeFullSubgroups != VK_FALSE;
  caps.fixed_subgroup = a.f_sizes.subgroupSizeControl != VK_FALSE &&
                        (a.sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  if (caps.fixed_subgroup) caps.subgroup = std::clamp(32u, a.sizes.minSubgroupSize, a.sizes.maxSubgroupSize);
  caps.byte_dots = a.f_dots.shaderIntegerDotProduct != VK_FALSE;
  caps.byte_dots_extension = !core && caps.byte_dots;
  caps.shared_bytes = limits.maxComputeSharedMemorySize;
  caps.most_threads = std::min(limits.maxComputeWorkGroupInvocations, limits.maxComputeWorkGroupSize[0]);
  if (caps.fixed_subgroup)
    caps.most_threads = std::min(caps.most_threads, caps.subgroup * a.sizes.maxComputeWorkgroupSubgroups);
  std::copy_n(limits.maxComputeWorkGroupCount, 3, caps.most_groups);
  caps.import_align = a.has(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) ? a.import.minImportedHostPointerAlignment : 0;
  caps.memory_budget = a.has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  caps.timestamp_bits = a.queues[caps.queue_family].timestampValidBits;
  caps.ns_per_tick = caps.timestamp_bits != 0 ? static_cast<double>(limits.timestampPeriod) : 0;
  caps.calibrated = is_calibrated(vk, adapter.physical, a);
  caps.half_numbers = a.f12.shaderFloat16 != VK_FALSE;
  caps.matrix = caps.subgroup == 32 && has_matrix(vk, adapter.physical, a) ? Matrix::units : Matrix::none;
}

std::uint32_t kind_of(VkPhysicalDeviceType type) {
  switch (type) {
  case VK_PHYSICAL_DEVICE_TYPE_CPU: return SCF_DEVICE_CPU;
  case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return SCF_DEVICE_IGPU;
  default: return SCF_DEVICE_GPU;
  }
}

std::string version_text(std::uint32_t version) {
  return std::to_string(VK_API_VERSION_MAJOR(version)) + "." + std::to_string(VK_API_VERSION_MINOR(version)) + "." +
         std::to_string(VK_API_VERSION_PATCH(version));
}

} // namespace

Adapter describe_adapter(const Instance& instance, VkPhysicalDevice physical) {
  const InstanceCalls& vk = instance.vk();
  Adapter adapter;
  adapter.physical = physical;
  sdk::DeviceDesc& desc = adapter.desc;
  vk.vkGetPhysicalDeviceProperties(physical, &adapter.properties);
  Answers a;
  a.properties.properties = adapter.properties;
  const bool old = adapter.properties.apiVersion < VK_API_VERSION_1_2;
  if (!old) ask(vk, physical, a); // an older driver cannot be asked about what came with 1.2
  VkPhysicalDeviceMemoryProperties2 memory{};
  memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  vk.vkGetPhysicalDeviceMemoryProperties2(physical, &memory);
  adapter.memory = memory.memoryProperties;

  desc.id = make_id(a);
  desc.name = adapter.properties.deviceName;
  desc.driver = old ? "" : std::string(a.v12.driverName) + " " + a.v12.driverInfo;
  desc.kind = kind_of(adapter.properties.deviceType);
  desc.numa_node = numa_node(a);
  std::copy_n(a.v11.deviceUUID, 16, desc.phys_uuid.begin());
  desc.reason_unusable = what_is_missing(a);
  if (!desc.reason_unusable.empty()) return adapter;

  read_caps(vk, adapter, a);
  const Matrix wanted = instance.settings().matrix;
  if (wanted != Matrix::units) adapter.caps.matrix = adapter.caps.half_numbers ? wanted : Matrix::none;
  choose_memory(adapter);
  const bool unified = desc.kind != SCF_DEVICE_GPU && adapter.caps.import_align != 0;
  desc.flags = SCF_DEVICE_USABLE;
  if (desc.kind == SCF_DEVICE_CPU) desc.flags |= SCF_DEVICE_SOFTWARE;
  if (unified && !instance.settings().staging) desc.flags |= SCF_DEVICE_UNIFIED_MEMORY;
  if (adapter.caps.timestamp_bits != 0) desc.flags |= SCF_DEVICE_TIMESTAMPS;
  desc.heaps = describe_heaps(instance, adapter, a.v11.maxMemoryAllocationSize);
  desc.detail = "vulkan " + version_text(adapter.properties.apiVersion) + ", subgroups of " +
                std::to_string(adapter.caps.subgroup) + (adapter.caps.matrix == Matrix::units ? ", matrix units" : "");
  return adapter;
}

} // namespace seacliff::vulkan
