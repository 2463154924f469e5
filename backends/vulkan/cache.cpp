// What the device's cache holds, found out by reading.
#include "commands.hpp"
#include "memory.hpp"

namespace seacliff::vulkan {
namespace {

constexpr std::uint32_t k_pieces = 8, k_threads = 256, k_groups = 1024;

/// Eight pieces one after another: all of them, or one eight times.
void read_pieces(Device& device, VkCommandBuffer commands, const Buffer& buffer, bool again) {
  const DeviceCalls& vk = device.vk();
  PushBlock push{};
  for (std::uint32_t i = 0; i < k_pieces; ++i) {
    push.at[i] = buffer.address() + (again ? 0 : i * Device::k_ahead);
    push.n[i] = static_cast<std::uint32_t>(Device::k_ahead / 16);
  }
  push.at[k_pieces] = buffer.address(); // never written
  full_barrier(device, commands);
  vk.vkCmdPushConstants(commands, device.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
  vk.vkCmdDispatch(commands, k_groups, 1, 1);
}

/// How much faster it is again.
double gain(Device& device) {
  const Buffer buffer(device, k_device_heap, k_pieces * Device::k_ahead, 0);
  constexpr std::uint32_t stamps = 3;
  const DeviceCalls& vk = device.vk();
  CommandPool pool(device);
  Sema done(device, 0);
  const VkPipeline touch = device.pipelines().get("touch", {k_threads, k_pieces});
  const VkQueryPool times = make_times(device, stamps);
  const VkCommandBuffer commands = pool.make();
  begin(device, commands);
  vk.vkCmdResetQueryPool(commands, times, 0, stamps);
  vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, touch);
  for (int warm_up = 0; warm_up < 8; ++warm_up) read_pieces(device, commands, buffer, false);
  const auto stamp = [&](std::uint32_t query) {
    vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, times, query);
  };
  stamp(0);
  read_pieces(device, commands, buffer, false);
  stamp(1);
  read_pieces(device, commands, buffer, true);
  stamp(2);
  end(device, commands);
  submit(device, scf_submit{}, {&commands, 1}, done, 1);
  const sdk::Status lost(device.host(), done.wait(1, ~std::uint64_t{0}));
  double gain = 0;
  if (lost.ok()) {
    const auto ticks = read_times(device, times, stamps);
    if (ticks[2] > ticks[1]) gain = static_cast<double>(ticks[1] - ticks[0]) / static_cast<double>(ticks[2] - ticks[1]);
  }
  vk.vkDestroyQueryPool(device.handle(), times, nullptr);
  return gain;
}

} // namespace

bool Device::caches_pieces() {
  std::call_once(looked_, [this] {
    constexpr double enough = 1.3;
    if (adapter_.desc.kind != SCF_DEVICE_GPU || caps().timestamp_bits == 0) return;
    try {
      const double faster = gain(*this);
      caches_pieces_ = faster > enough;
      instance().log(SCF_LOG_DEBUG, "pieces of memory are " + std::to_string(faster) + " times as fast to read again");
    } catch (const sdk::Failure& failure) {
      if (failure.code() != SCF_RESOURCE_EXHAUSTED) throw;
    }
  });
  return caches_pieces_;
}

} // namespace seacliff::vulkan
