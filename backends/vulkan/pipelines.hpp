// Pipelines: a shader with its constants, made when a program is compiled and kept for the device's life.
#pragma once

#include "instance.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::vulkan {

/// What every shader is given with a dispatch: the layout of `Push` in shaders/include/base.glsl. 128 bytes are what
/// every device takes.
struct PushBlock {
  static constexpr std::size_t k_addresses = 9, k_words = 12;
  static constexpr std::size_t k_direct =
      8;                         // of more operands than `at` has room for; then at[8] says where the rest is
  std::uint64_t step;            // address of the step's block
  std::uint64_t at[k_addresses]; // operands
  std::uint32_t n[k_words];
};
static_assert(sizeof(PushBlock) == 128);

/// Thread-safe.
class Pipelines {
public:
  /// `folder`: as Settings::cache.
  Pipelines(const DeviceCalls& vk, VkDevice device, const Adapter& adapter, const std::string& folder);
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;
  /// Writes the cache when there are new pipelines in it.
  ~Pipelines();

  /// The pipeline of shaders/NAME.comp with its specialisation constants 0, 1, ...; constant 0 is the size of the
  /// workgroup. Throws Failure.
  VkPipeline get(std::string_view shader, const std::vector<std::uint32_t>& constants);
  VkPipelineLayout layout() const { return layout_; }

private:
  VkPipeline make(std::string_view shader, const std::vector<std::uint32_t>& constants);
  void open_cache();
  void save_cache() const;

  const DeviceCalls& vk_;
  VkDevice device_;
  const Adapter& adapter_;
  std::string file_; // of the cache; empty: none
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  std::mutex lock_;
  std::map<std::pair<std::string_view, std::vector<std::uint32_t>>, VkPipeline> made_; // guarded by lock_
};

} // namespace seacliff::vulkan
