#include "commands.hpp"

namespace seacliff::vulkan {
namespace {

void barrier(Device& device, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags written,
             VkPipelineStageFlags to, VkAccessFlags needed) {
  VkMemoryBarrier memory{};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  memory.srcAccessMask = written;
  memory.dstAccessMask = needed;
  device.vk().vkCmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

} // namespace

CommandPool::CommandPool(Device& device) : device_(device) {
  VkCommandPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  info.queueFamilyIndex = device.caps().queue_family;
  check(device.vk().vkCreateCommandPool(device.handle(), &info, nullptr, &handle_), "vkCreateCommandPool");
}

CommandPool::~CommandPool() { device_.vk().vkDestroyCommandPool(device_.handle(), handle_, nullptr); }

VkCommandBuffer CommandPool::make() {
  VkCommandBufferAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = handle_;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  check(device_.vk().vkAllocateCommandBuffers(device_.handle(), &info, &commands), "vkAllocateCommandBuffers");
  return commands;
}

void begin(Device& device, VkCommandBuffer commands) {
  VkCommandBufferBeginInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  info.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
  check(device.vk().vkBeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
}

void end(Device& device, VkCommandBuffer commands) {
  check(device.vk().vkEndCommandBuffer(commands), "vkEndCommandBuffer");
}

void full_barrier(Device& device, VkCommandBuffer commands) {
  barrier(device, commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT,
          VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT);
}

void level_barrier(Device& device, VkCommandBuffer commands) {
  barrier(device, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

void host_barrier(Device& device, VkCommandBuffer commands) {
  barrier(device, commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
          VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT);
}

VkQueryPool make_times(Device& device, std::uint32_t count) {
  VkQueryPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count;
  VkQueryPool pool = VK_NULL_HANDLE;
  check(device.vk().vkCreateQueryPool(device.handle(), &info, nullptr, &pool), "vkCreateQueryPool");
  return pool;
}

std::vector<std::uint64_t> read_times(Device& device, VkQueryPool pool, std::uint32_t count) {
  std::vector<std::uint64_t> ticks(count);
  check(device.vk().vkGetQueryPoolResults(device.handle(), pool, 0, count, count * 8, ticks.data(), 8,
                                          VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
        "vkGetQueryPoolResults");
  for (std::uint64_t& tick : ticks) tick = device.whole_ticks(tick);
  return ticks;
}

void submit(Device& device, const scf_submit& step, std::span<const VkCommandBuffer> commands, Sema& own,
            std::uint64_t own_value) {
  const std::lock_guard lock(device.queue_lock());
  std::vector<VkSemaphore> waits, signals;
  std::vector<std::uint64_t> wait_values, signal_values;
  // Command buffers begin with a full barrier: what this queue does before needs no semaphore.
  for (std::uint64_t i = 0; i < step.n_waits; ++i) {
    if (Sema::of(step.waits[i].sema)->is_queued(step.waits[i].value)) continue;
    waits.push_back(Sema::of(step.waits[i].sema)->handle());
    wait_values.push_back(step.waits[i].value);
  }
  for (std::uint64_t i = 0; i < step.n_signals; ++i) {
    signals.push_back(Sema::of(step.signals[i].sema)->handle());
    signal_values.push_back(step.signals[i].value);
  }
  signals.push_back(own.handle());
  signal_values.push_back(own_value);
  const std::vector<VkPipelineStageFlags> stages(waits.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);

  VkTimelineSemaphoreSubmitInfo values{};
  values.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
  values.waitSemaphoreValueCount = static_cast<std::uint32_t>(wait_values.size());
  values.pWaitSemaphoreValues = wait_values.data();
  values.signalSemaphoreValueCount = static_cast<std::uint32_t>(signal_values.size());
  values.pSignalSemaphoreValues = signal_values.data();
  VkSubmitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  info.pNext = &values;
  info.waitSemaphoreCount = static_cast<std::uint32_t>(waits.size());
  info.pWaitSemaphores = waits.data();
  info.pWaitDstStageMask = stages.data();
  info.commandBufferCount = static_cast<std::uint32_t>(commands.size());
  info.pCommandBuffers = commands.data();
  info.signalSemaphoreCount = static_cast<std::uint32_t>(signals.size());
  info.pSignalSemaphores = signals.data();

  // Promised and submitted in one: whoever hears of the promise submits behind us, so no wait ever stands before its
  // signal in a queue.
  std::vector<Sema*> promised;
  const auto promise = [&](Sema& sema, std::uint64_t value) {
    sdk::check(device.host(), sema.promise(value));
    promised.push_back(&sema);
  };
  try {
    for (std::uint64_t i = 0; i < step.n_signals; ++i) promise(*Sema::of(step.signals[i].sema), step.signals[i].value);
    promise(own, own_value);
    check(device.vk().vkQueueSubmit(device.queue(), 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
  } catch (const sdk::Failure& failed) {
    for (Sema* sema : promised) sema->abandon(sdk::make_status(device.host(), failed));
    throw;
  }
}

} // namespace seacliff::vulkan
