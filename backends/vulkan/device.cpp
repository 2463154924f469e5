#include "device.hpp"

#include "catalogue.hpp"

namespace seacliff::vulkan {

Device::Device(Instance& instance, const Adapter& adapter) : instance_(instance), adapter_(adapter) {
  create();
  try {
    vk_.load(instance.vk(), handle_);
    vk_.vkGetDeviceQueue(handle_, adapter.caps.queue_family, 0, &queue_);
    pipelines_ = std::make_unique<Pipelines>(vk_, handle_, adapter, instance.settings().cache);
    catalogue_ = std::make_unique<Catalogue>(host());
  } catch (...) {
    pipelines_.reset();
    if (vk_.vkDestroyDevice != nullptr) vk_.vkDestroyDevice(handle_, nullptr);
    throw;
  }
}

Device::~Device() {
  vk_.vkDeviceWaitIdle(handle_);
  pipelines_.reset();
  vk_.vkDestroyDevice(handle_, nullptr);
}

void Device::check_lost() const {
  if (lost_) throw sdk::Failure(SCF_DEVICE_LOST, "device '" + adapter_.desc.id + "' was lost");
}

std::uint64_t Device::whole_ticks(std::uint64_t raw) {
  if (caps().timestamp_bits >= 64) return raw;
  const std::uint64_t range = std::uint64_t{1} << caps().timestamp_bits, mask = range - 1;
  const std::lock_guard lock(ticks_lock_);
  const std::uint64_t ahead = (raw - last_ticks_) & mask; // stamps are read a little out of order, too
  const std::uint64_t whole =
      ahead < range / 2 || last_ticks_ < range ? last_ticks_ + ahead : last_ticks_ + ahead - range;
  last_ticks_ = std::max(last_ticks_, whole);
  return whole;
}

void Device::drain() noexcept {
  const std::lock_guard lock(queue_lock_);
  vk_.vkQueueWaitIdle(queue_); // a lost device is told by what is submitted next
}

void Device::create() {
  const Caps& caps = adapter_.caps;
  const bool core_sizes = adapter_.properties.apiVersion >= VK_API_VERSION_1_3;
  std::vector<const char*> extensions;
  if (caps.import_align != 0) extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (caps.memory_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  if (caps.calibrated) extensions.push_back(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME);
  if (caps.matrix == Matrix::units) extensions.push_back(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
  if (caps.size_control_extension) extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);

  VkPhysicalDeviceSubgroupSizeControlFeatures sizes{};
  sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
  sizes.subgroupSizeControl = caps.fixed_subgroup ? VK_TRUE : VK_FALSE;
  sizes.computeFullSubgroups = caps.full_subgroups ? VK_TRUE : VK_FALSE;
  if (caps.byte_dots_extension) extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  VkPhysicalDeviceShaderIntegerDotProductFeatures dots{};
  dots.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
  dots.shaderIntegerDotProduct = VK_TRUE;
  VkPhysicalDeviceCooperativeMatrixFeaturesNV matrix{};
  matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV;
  matrix.cooperativeMatrix = VK_TRUE;
  VkPhysicalDeviceVulkan12Features f12{};
  f12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  f12.timelineSemaphore = VK_TRUE;
  f12.bufferDeviceAddress = VK_TRUE;
  f12.scalarBlockLayout = VK_TRUE;
  f12.storageBuffer8BitAccess = VK_TRUE;
  if (core_sizes || caps.size_control_extension) f12.pNext = &sizes;
  if (caps.matrix != Matrix::none) f12.shaderFloat16 = VK_TRUE;
  if (caps.matrix == Matrix::units) {
    f12.vulkanMemoryModel = VK_TRUE;
    matrix.pNext = f12.pNext;
    f12.pNext = &matrix;
  }
  VkPhysicalDeviceVulkan11Features f11{};
  f11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  f11.storageBuffer16BitAccess = VK_TRUE;
  f11.pNext = &f12;
  if (caps.byte_dots) {
    dots.pNext = f11.pNext;
    f11.pNext = &dots;
  }
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.features.shaderInt64 = VK_TRUE;
  features.pNext = &f11;

  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = caps.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  const KeepsLibraries keeps;
  check(instance_.vk().vkCreateDevice(adapter_.physical, &info, nullptr, &handle_), "vkCreateDevice");
}

} // namespace seacliff::vulkan
