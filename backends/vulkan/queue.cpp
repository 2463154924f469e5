// Queues and semaphores of the ABI. All queues of a device share its one VkQueue, in the order of their submits.
#include "exec.hpp"

#include <seacliff/sdk/table.hpp>

namespace seacliff::vulkan {
namespace {

/// The object behind a scf_queue: command buffers for copies, used in turn.
class Queue {
public:
  explicit Queue(Device& device)
      : device_(device), pool_(device), done_(device, 0), kernel_(device.pipelines().get("copy", {256})) {
    for (VkCommandBuffer& commands : copies_) commands = pool_.make();
  }
  ~Queue() { device_.drain(); }

  Device& device() const { return device_; }

  void copy(const scf_slice& dst, const scf_slice& src, const scf_submit& step) {
    if (dst.bytes != src.bytes) throw sdk::Failure(SCF_INVALID_ARGUMENT, "the two sides of a copy differ in size");
    if (dst.bytes == 0) return submit(device_, step, {}, done_, ++count_);
    const Buffer &to = Buffer::of(dst), &from = Buffer::of(src);
    if (count_ >= k_copies) sdk::check(device_.host(), done_.wait(count_ + 1 - k_copies, ~std::uint64_t{0}));
    VkCommandBuffer commands = copies_[count_ % k_copies];
    begin(device_, commands);
    full_barrier(device_, commands);
    if (is_large(dst, src)) {
      record_kernel(commands, to.address() + dst.offset, from.address() + src.offset, dst.bytes);
    } else {
      const VkBufferCopy region{from.start() + src.offset, to.start() + dst.offset, dst.bytes};
      device_.vk().vkCmdCopyBuffer(commands, from.handle(), to.handle(), 1, &region);
    }
    host_barrier(device_, commands);
    end(device_, commands);
    submit(device_, step, {&commands, 1}, done_, count_ + 1);
    ++count_;
  }

  static Queue* of(scf_queue* handle) { return reinterpret_cast<Queue*>(handle); }

private:
  static constexpr std::uint64_t k_copies = 16; // on their way at once

  /// Worth a kernel: within the device's memory, and whole sixteens.
  static bool is_large(const scf_slice& dst, const scf_slice& src) {
    constexpr std::uint64_t least = std::uint64_t{1} << 20, most = std::uint64_t{1} << 34;
    return Buffer::of(dst).is_local() && Buffer::of(src).is_local() && dst.bytes >= least && dst.bytes <= most &&
           (dst.bytes | dst.offset | src.offset) % 16 == 0;
  }
  void record_kernel(VkCommandBuffer commands, std::uint64_t to, std::uint64_t from, std::uint64_t bytes) const {
    constexpr std::uint32_t groups = 2048;
    PushBlock push{};
    push.at[0] = from;
    push.at[1] = to;
    push.n[0] = static_cast<std::uint32_t>(bytes / 16);
    const DeviceCalls& vk = device_.vk();
    vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel_);
    vk.vkCmdPushConstants(commands, device_.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
    vk.vkCmdDispatch(commands, groups, 1, 1);
  }

  Device& device_;
  CommandPool pool_;
  Sema done_;
  VkPipeline kernel_;
  VkCommandBuffer copies_[k_copies] = {};
  std::uint64_t count_ = 0;
};

// ---- the entries of scf_queue_api ----------------------------------------------------------------------------------

scf_status* queue_create(scf_device* handle, scf_queue** out) {
  Device* device = Device::of(handle);
  return guarded(device, [&] { *out = reinterpret_cast<scf_queue*>(new Queue(*device)); });
}
void queue_free(scf_queue* handle) { delete Queue::of(handle); }

scf_status* sema_create(scf_device* handle, std::uint64_t initial, scf_sema** out) {
  Device* device = Device::of(handle);
  return guarded(device, [&] { *out = (new Sema(*device, initial))->as_handle(); });
}
void sema_free(scf_sema* handle) { delete Sema::of(handle); }
scf_status* sema_query(scf_sema* handle, std::uint64_t* out) { return Sema::of(handle)->query(out); }
scf_status* sema_wait(scf_sema* handle, std::uint64_t value, std::uint64_t timeout_ns) {
  return Sema::of(handle)->wait(value, timeout_ns);
}
scf_status* sema_signal(scf_sema* handle, std::uint64_t value) { return Sema::of(handle)->signal(value); }
void sema_fail(scf_sema* handle, scf_status* cause) { Sema::of(handle)->fail(cause); }

scf_status* submit_exec(scf_queue* queue, scf_exec* exec, const scf_submit* raw) {
  const scf_submit step = sdk::read_struct(raw);
  return ordered(Queue::of(queue)->device(), step, [&] { Exec::of(exec)->run(step); });
}

scf_status* copy(scf_queue* handle, scf_slice dst, scf_slice src, const scf_submit* raw) {
  Queue* queue = Queue::of(handle);
  const scf_submit step = sdk::read_struct(raw);
  return ordered(queue->device(), step, [&] { queue->copy(dst, src, step); });
}

} // namespace

const scf_queue_api k_queue{sdk::header<scf_queue_api>(SCF_KIND_QUEUE_API),
                            queue_create,
                            queue_free,
                            sema_create,
                            sema_free,
                            sema_query,
                            sema_wait,
                            sema_signal,
                            sema_fail,
                            submit_exec,
                            copy};

} // namespace seacliff::vulkan
