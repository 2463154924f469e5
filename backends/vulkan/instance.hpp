// One VkInstance and what it shows: every physical device with what it can do, or why it cannot be used.
#pragma once

#include "driver.hpp"

#include <seacliff/sdk/device.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace seacliff::vulkan {

/// Who multiplies matrices of float16: nobody, matrix units, or loops in their place, for checking.
enum class Matrix : std::uint32_t { none = 0, units = 1, plain = 2 };

/// What users may set in open().
struct Settings {
  bool validation = false;       // the validation layer watches; what it says fails the call that made it say so
  bool staging = false;          // device memory counts as not mappable, whatever it is: for tests of the copies
  Matrix matrix = Matrix::units; // who may multiply matrices of float16
  std::string cache;             // folder of the pipeline cache; empty: $XDG_CACHE_HOME/seacliff; "off": none
};
Settings read_settings(const scf_kv* pairs, std::uint32_t count);

/// What kernels and tables need to know of a device.
struct Caps {
  std::uint32_t queue_family = 0;
  std::uint32_t subgroup = 0;          // lanes that run together
  bool fixed_subgroup = false;         // `subgroup` can and must be asked for
  bool full_subgroups = false;         // workgroups without holes can be asked for
  std::uint32_t shared_bytes = 0;      // of one workgroup
  std::uint32_t most_groups[3] = {};   // of one dispatch
  std::uint32_t most_threads = 0;      // of one workgroup
  bool byte_dots = false;              // sums of products of bytes
  bool byte_dots_extension = false;    // by extension, before Vulkan 1.3
  std::uint32_t device_type = 0;       // memory type of heap 0
  std::uint32_t host_type = 0;         // memory type of heap 1, and of what the plugin itself writes
  std::uint64_t import_align = 0;      // 0: no import of host memory
  bool memory_budget = false;          // VK_EXT_memory_budget
  bool size_control_extension = false; // subgroup sizes by extension, before Vulkan 1.3
  Matrix matrix = Matrix::none;        // units: VK_NV_cooperative_matrix, 16 by 16 by 16 of f16 into f32
  bool half_numbers = false;           // float16 in shaders
  bool calibrated = false;             // VK_EXT_calibrated_timestamps with the monotonic clock
  double ns_per_tick = 0;              // 0: no timestamps
  std::uint32_t timestamp_bits = 0;
};

enum Heap : std::uint32_t { k_device_heap = 0, k_host_heap = 1 };

struct Adapter {
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  sdk::DeviceDesc desc;
  Caps caps;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
};

/// The object behind a scf_instance. Vulkan is loaded when devices are first asked for; what they said is kept for the
/// process, because drivers take their time to start and leave something behind each time.
class Instance {
public:
  Instance(const scf_host* host, Settings settings);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();

  const scf_host* host() const { return &host_; }
  const Settings& settings() const { return settings_; }
  /// For listing: `physical` may be null. Never empty: without Vulkan there is one that cannot be used and says why.
  /// Throws Failure when asked for validation that is not there.
  std::span<const Adapter> described();
  /// The adapter of this id, ready to be opened; nullptr: there is none.
  const Adapter* find(std::string_view id);
  /// ": " and why there are no devices, behind find(); empty when there are some.
  std::string said() const;
  const InstanceCalls& vk() const { return vk_; }
  /// Bytes that may still be allocated on a Vulkan heap: what the driver says now, else its size.
  std::uint64_t heap_budget(const Adapter& adapter, std::uint32_t memory_type) const;

  void log(std::uint32_t level, std::string_view message) const;
  /// Keeps the first message of the validation layer until check_messages() throws it.
  void note_message(std::string_view text);
  /// Throws Failure(INTERNAL) with what the validation layer has complained of since the last call.
  void check_messages();

  static Instance* of(scf_instance* handle) { return reinterpret_cast<Instance*>(handle); }

private:
  void start_once();
  void start();
  void create();
  void find_adapters();

  scf_host host_; // full size whatever the host's was
  Settings settings_;
  std::once_flag started_, described_once_;
  std::unique_ptr<Driver> driver_;
  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  InstanceCalls vk_;
  std::vector<Adapter> described_, adapters_;
  std::mutex message_lock_;
  std::optional<std::string> message_; // guarded by message_lock_
};

/// Fills desc, caps, properties; `desc.reason_unusable` says what is missing.
Adapter describe_adapter(const Instance& instance, VkPhysicalDevice physical);

} // namespace seacliff::vulkan
