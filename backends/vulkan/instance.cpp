#include "instance.hpp"

#include <seacliff/sdk/table.hpp>

#include <algorithm>
#include <cstring>

namespace seacliff::vulkan {
namespace {

constexpr const char* k_layer = "VK_LAYER_KHRONOS_validation";

constexpr sdk::OptionSpec k_options[] = {
    {"validation", "1: the validation layer watches, what it finds is an error"},
    {"staging", "1: device memory is never mapped, even where it could be"},
    {"matrix", "0: no matrix units; 2: loops in their place, to check what is made for them"},
    {"cache", "folder of the pipeline cache, or off"},
};

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
  static_cast<Instance*>(user)->note_message(data->pMessage != nullptr ? data->pMessage : "no text");
  return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(Instance* instance) {
  VkDebugUtilsMessengerCreateInfoEXT info{};
  info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
  info.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  info.pfnUserCallback = on_message;
  info.pUserData = instance;
  return info;
}

bool has_layer(const Driver& driver) {
  std::uint32_t count = 0;
  check(driver.vkEnumerateInstanceLayerProperties(&count, nullptr), "vkEnumerateInstanceLayerProperties");
  std::vector<VkLayerProperties> layers(count);
  check(driver.vkEnumerateInstanceLayerProperties(&count, layers.data()), "vkEnumerateInstanceLayerProperties");
  return std::any_of(layers.begin(), layers.end(),
                     [](const VkLayerProperties& layer) { return std::strcmp(layer.layerName, k_layer) == 0; });
}

/// Stands in the list where there is no device, and says why.
Adapter nothing_here(const std::string& why) {
  Adapter adapter;
  adapter.desc.id = "none";
  adapter.desc.name = "no device";
  adapter.desc.kind = SCF_DEVICE_GPU;
  adapter.desc.reason_unusable = why;
  return adapter;
}

} // namespace

Settings read_settings(const scf_kv* pairs, std::uint32_t count) {
  const sdk::Options options(pairs, count, k_options);
  const auto flag = [&](std::string_view key, bool missing = false) {
    const std::int64_t value = options.get_int(key, missing ? 1 : 0);
    if (value != 0 && value != 1)
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "option '" + std::string(key) + "' must be 0 or 1");
    return value != 0;
  };
  Settings settings;
  settings.validation = flag("validation");
  settings.staging = flag("staging");
  const std::int64_t matrix = options.get_int("matrix", 1);
  if (matrix < 0 || matrix > 2) throw sdk::Failure(SCF_INVALID_ARGUMENT, "option 'matrix' must be 0, 1 or 2");
  settings.matrix = static_cast<Matrix>(matrix);
  settings.cache = options.get_string("cache");
  return settings;
}

Instance::Instance(const scf_host* host, Settings settings)
    : host_(sdk::read_struct(host)), settings_(std::move(settings)) {}

Instance::~Instance() {
  if (messenger_ != VK_NULL_HANDLE) vk_.vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
  if (handle_ != VK_NULL_HANDLE) vk_.vkDestroyInstance(handle_, nullptr);
}

std::span<const Adapter> Instance::described() {
  std::call_once(described_once_, [this] {
    if (settings_.validation) {
      start_once();
      described_ = adapters_;
      return;
    }
    static std::mutex lock;
    static std::optional<std::vector<Adapter>> known[2]; // by Settings::staging, all that a description shows; lock
    const std::lock_guard guard(lock);
    auto& said = known[settings_.staging ? 1 : 0];
    if (!said) {
      start_once();
      said = adapters_;
      for (Adapter& adapter : *said) adapter.physical = VK_NULL_HANDLE; // that one is this instance's
    }
    described_ = *said;
  });
  return described_;
}

const Adapter* Instance::find(std::string_view id) {
  start_once();
  const auto found =
      std::find_if(adapters_.begin(), adapters_.end(), [&](const Adapter& a) { return a.desc.id == id; });
  return found != adapters_.end() ? &*found : nullptr;
}

std::string Instance::said() const {
  const bool none = adapters_.size() == 1 && adapters_[0].physical == VK_NULL_HANDLE;
  return none ? ": " + adapters_[0].desc.reason_unusable : std::string();
}

void Instance::start_once() {
  std::call_once(started_, [this] { start(); });
}

void Instance::start() {
  const KeepsLibraries keeps;
  try {
    driver_ = std::make_unique<Driver>();
    create();
    find_adapters();
  } catch (const sdk::Failure& failure) {
    if (settings_.validation) throw; // asked for, so its lack is no detail
    adapters_ = {nothing_here(failure.message())};
  }
  if (adapters_.empty()) adapters_ = {nothing_here("no driver of this machine offers Vulkan")};
}

void Instance::create() {
  std::uint32_t version = 0;
  check(driver_->vkEnumerateInstanceVersion(&version), "vkEnumerateInstanceVersion");
  if (version < VK_API_VERSION_1_2) throw sdk::Failure(SCF_UNAVAILABLE, "the Vulkan loader is older than 1.2");

  VkApplicationInfo application{};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = "seacliff";
  application.apiVersion = std::min<std::uint32_t>(version, VK_API_VERSION_1_3);
  VkInstanceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  const char* const layers[] = {k_layer};
  const char* const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
  const VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(this);
  if (settings_.validation) {
    if (!has_layer(*driver_))
      throw sdk::Failure(SCF_UNAVAILABLE, "the Vulkan validation layer is not installed",
                         {{"mend", std::string("install vulkan-validationlayers")}});
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = layers;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = extensions;
    info.pNext = &messenger;
  }
  const VkResult made = driver_->vkCreateInstance(&info, nullptr, &handle_);
  if (made == VK_ERROR_INCOMPATIBLE_DRIVER)
    throw sdk::Failure(SCF_UNAVAILABLE, "no driver of this machine offers Vulkan",
                       {{"mend", std::string("install the driver of the GPU")}});
  check(made, "vkCreateInstance");
  vk_.load(*driver_, handle_);
  if (settings_.validation)
    check(vk_.vkCreateDebugUtilsMessengerEXT(handle_, &messenger, nullptr, &messenger_),
          "vkCreateDebugUtilsMessengerEXT");
}

void Instance::find_adapters() {
  std::uint32_t count = 0;
  check(vk_.vkEnumeratePhysicalDevices(handle_, &count, nullptr), "vkEnumeratePhysicalDevices");
  std::vector<VkPhysicalDevice> physical(count);
  check(vk_.vkEnumeratePhysicalDevices(handle_, &count, physical.data()), "vkEnumeratePhysicalDevices");
  physical.resize(count);
  for (VkPhysicalDevice device : physical) {
    Adapter adapter = describe_adapter(*this, device);
    // Two drivers may show one GPU: the second is another device to choose.
    const std::string id = adapter.desc.id;
    const auto taken = [&] {
      return std::any_of(adapters_.begin(), adapters_.end(),
                         [&](const Adapter& other) { return other.desc.id == adapter.desc.id; });
    };
    for (int n = 2; taken(); ++n) adapter.desc.id = id + "-" + std::to_string(n);
    adapters_.push_back(std::move(adapter));
  }
}

std::uint64_t Instance::heap_budget(const Adapter& adapter, std::uint32_t memory_type) const {
  const std::uint32_t heap = adapter.memory.memoryTypes[memory_type].heapIndex;
  const std::uint64_t total = adapter.memory.memoryHeaps[heap].size;
  if (!adapter.caps.memory_budget) return total;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
  budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
  VkPhysicalDeviceMemoryProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  properties.pNext = &budget;
  vk_.vkGetPhysicalDeviceMemoryProperties2(adapter.physical, &properties);
  const std::uint64_t allowed = budget.heapBudget[heap], used = budget.heapUsage[heap];
  return std::min(total, allowed > used ? allowed - used : 0);
}

void Instance::log(std::uint32_t level, std::string_view message) const {
  if (host_.log != nullptr && host_.log_level != nullptr && *host_.log_level >= level)
    host_.log(host_.ctx, level, sdk::str("vulkan"), sdk::str(message));
}

void Instance::note_message(std::string_view text) {
  log(SCF_LOG_ERROR, text);
  const std::lock_guard lock(message_lock_);
  if (!message_) message_ = std::string(text);
}

void Instance::check_messages() {
  if (!settings_.validation) return;
  const std::lock_guard lock(message_lock_);
  if (!message_) return;
  const std::string text = "the Vulkan validation layer: " + *message_;
  message_.reset();
  throw sdk::Failure(SCF_INTERNAL, text);
}

} // namespace seacliff::vulkan
