#include "pipelines.hpp"

#include "shader_code.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace seacliff::vulkan {
namespace {

namespace fs = std::filesystem;

/// Where the pipelines of this driver are kept; empty: nowhere.
std::string cache_file(const VkPhysicalDeviceProperties& properties, const std::string& folder) {
  if (folder == "off") return {};
  fs::path root = folder;
  if (folder.empty()) {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    if (cache != nullptr && *cache == '/') {
      root = fs::path(cache) / "seacliff";
    } else if (home != nullptr && *home == '/') {
      root = fs::path(home) / ".cache" / "seacliff";
    } else {
      return {};
    }
  }
  std::string name = "vulkan-";
  for (const std::uint8_t byte : properties.pipelineCacheUUID) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    name += digits;
  }
  return root / (name + ".bin");
}

/// What the file holds, if it is a cache of this very driver; drivers are not asked to judge other bytes.
std::vector<char> read_cache(const std::string& file, const VkPhysicalDeviceProperties& properties) {
  std::ifstream in(file, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  VkPipelineCacheHeaderVersionOne header{};
  if (bytes.size() < sizeof header) return {};
  std::memcpy(&header, bytes.data(), sizeof header);
  const bool ours = header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
                    header.vendorID == properties.vendorID && header.deviceID == properties.deviceID &&
                    std::memcmp(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
  return ours ? bytes : std::vector<char>();
}

} // namespace

Pipelines::Pipelines(const DeviceCalls& vk, VkDevice device, const Adapter& adapter, const std::string& folder)
    : vk_(vk), device_(device), adapter_(adapter), file_(cache_file(adapter.properties, folder)) {
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(PushBlock)};
  VkPipelineLayoutCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  info.pushConstantRangeCount = 1;
  info.pPushConstantRanges = &range;
  check(vk_.vkCreatePipelineLayout(device_, &info, nullptr, &layout_), "vkCreatePipelineLayout");
  open_cache();
}

Pipelines::~Pipelines() {
  if (!made_.empty()) save_cache();
  for (const auto& [key, pipeline] : made_) vk_.vkDestroyPipeline(device_, pipeline, nullptr);
  vk_.vkDestroyPipelineCache(device_, cache_, nullptr);
  vk_.vkDestroyPipelineLayout(device_, layout_, nullptr);
}

void Pipelines::open_cache() {
  const std::vector<char> before = file_.empty() ? std::vector<char>() : read_cache(file_, adapter_.properties);
  VkPipelineCacheCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = before.size();
  info.pInitialData = before.data();
  if (vk_.vkCreatePipelineCache(device_, &info, nullptr, &cache_) < 0) cache_ = VK_NULL_HANDLE; // works without
}

/// Through a file of its own that takes the place of the old one: other processes read a whole cache or none.
void Pipelines::save_cache() const {
  if (file_.empty() || cache_ == VK_NULL_HANDLE) return;
  std::size_t size = 0;
  if (vk_.vkGetPipelineCacheData(device_, cache_, &size, nullptr) < 0) return;
  std::vector<char> bytes(size);
  if (vk_.vkGetPipelineCacheData(device_, cache_, &size, bytes.data()) != VK_SUCCESS) return;
  std::error_code error;
  if (fs::file_size(file_, error) == size && !error) return; // nothing new
  fs::create_directories(fs::path(file_).parent_path(), error);
  const std::string fresh = file_ + "." + std::to_string(getpid());
  std::ofstream out(fresh, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(size));
  out.close();
  if (out) fs::rename(fresh, file_, error);
  if (!out || error) fs::remove(fresh, error);
}

VkPipeline Pipelines::get(std::string_view shader, const std::vector<std::uint32_t>& constants) {
  const std::lock_guard lock(lock_);
  const auto known = made_.find({shader, constants});
  if (known != made_.end()) return known->second;
  const auto codes = shader_codes();
  const auto code = std::find_if(codes.begin(), codes.end(), [&](const ShaderCode& c) { return c.name == shader; });
  if (code == codes.end()) throw sdk::Failure(SCF_INTERNAL, "there is no shader '" + std::string(shader) + "'");
  const VkPipeline pipeline = make(shader, constants);
  made_.emplace(std::pair(code->name, constants), pipeline); // the name that lives as long as the plugin
  return pipeline;
}

VkPipeline Pipelines::make(std::string_view shader, const std::vector<std::uint32_t>& constants) {
  const auto codes = shader_codes();
  const auto code = std::find_if(codes.begin(), codes.end(), [&](const ShaderCode& c) { return c.name == shader; });
  VkShaderModuleCreateInfo module_info{};
  module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  module_info.codeSize = code->words.size_bytes();
  module_info.pCode = code->words.data();
  VkShaderModule module = VK_NULL_HANDLE;
  check(vk_.vkCreateShaderModule(device_, &module_info, nullptr, &module), "vkCreateShaderModule");

  std::vector<VkSpecializationMapEntry> entries;
  for (std::uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, i * 4, 4});
  const VkSpecializationInfo special{static_cast<std::uint32_t>(entries.size()), entries.data(), constants.size() * 4,
                                     constants.data()};
  const Caps& caps = adapter_.caps;
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{};
  size.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  size.requiredSubgroupSize = caps.subgroup;
  VkComputePipelineCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &special;
  if (caps.fixed_subgroup) info.stage.pNext = &size;
  if (caps.full_subgroups && !constants.empty() && constants[0] % caps.subgroup == 0)
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  info.layout = layout_;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result = vk_.vkCreateComputePipelines(device_, cache_, 1, &info, nullptr, &pipeline);
  vk_.vkDestroyShaderModule(device_, module, nullptr);
  if (result < 0) throw failure(result, "vkCreateComputePipelines of '" + std::string(shader) + "'");
  return pipeline;
}

} // namespace seacliff::vulkan
