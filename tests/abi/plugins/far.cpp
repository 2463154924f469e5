// Every op of the reference kernels on a device whose memory is not the host's. Options say how its memory is:
//   mappable N     1: device memory can be mapped; else copies are the only way
//   pinned N       1: no memory can be mapped; host memory is imported to copy from and to
//   max_alloc N    bytes of the largest buffer
//   max_binding N  bytes of the largest value
//   bind_align N   what offsets of slices must be multiples of
//   total N        bytes of device memory
//   unified N      1: it computes in host memory, and imports it
//   import_align N what imports must be multiples of
//   claim TEXT     "slow", "preferred": of all its claims
// It refuses slices that break its rules, so a host that does not keep them fails. FAR_ASYNC: with a thread per queue.
#include "async_queue.hpp"

#include "ops/reference/kernels.hpp"

#include <atomic>
#include <map>

namespace {

using namespace seacliff::sdk;

constexpr OptionSpec k_options[] = {
    {"mappable", "1: device memory can be mapped"},
    {"max_alloc", "bytes of the largest buffer"},
    {"max_binding", "bytes of the largest value"},
    {"bind_align", "of offsets"},
    {"total", "bytes of device memory"},
    {"unified", "1: it computes in host memory"},
    {"import_align", "of imported pointers and lengths"},
    {"claim", "slow or preferred"},
    {"pinned", "1: only imports are seen by both sides"},
};

class Far final : public KernelPlugin {
public:
  static constexpr std::string_view k_name = "far", k_vendor = "Sea Cliff tests", k_version = "1.0.0";

  std::vector<OptionSpec> options() const override { return {std::begin(k_options), std::end(k_options)}; }

  void configure(const Options& options) override {
    const auto number = [&](std::string_view key, std::int64_t missing = 0) {
      return static_cast<std::uint64_t>(options.get_int(key, missing));
    };
    own_.kind = SCF_HEAP_DEVICE_LOCAL;
    own_.total = own_.budget = number("total", std::int64_t{1} << 30);
    own_.max_alloc = number("max_alloc");
    own_.max_binding = number("max_binding");
    own_.bind_align = number("bind_align", 1);
    own_.flags = number("mappable") != 0 ? SCF_HEAP_MAPPABLE | SCF_HEAP_COHERENT : 0;
    own_.import_kinds = 0;
    host_ = host_heap();
    host_.id = 1;
    host_.import_kinds = 0;
    if (number("pinned") != 0) {
      host_.flags = 0;
      own_.import_kinds = SCF_IMPORT_HOST_POINTER;
      own_.import_align = 4096;
    }
    unified_ = number("unified") != 0;
    if (unified_) {
      own_.kind = SCF_HEAP_HOST;
      own_.import_kinds = SCF_IMPORT_HOST_POINTER;
      own_.import_align = number("import_align", 1);
      own_.flags = SCF_HEAP_MAPPABLE | SCF_HEAP_COHERENT;
    }
    const std::string gladly = options.get_string("claim");
    claim = gladly == "slow" ? SCF_CLAIM_SLOW : gladly == "preferred" ? SCF_CLAIM_PREFERRED : SCF_CLAIM_OK;
  }

  std::vector<DeviceDesc> devices() override {
    DeviceDesc device;
    device.id = "far:0";
    device.name = "reference kernels in memory of their own";
    device.kind = SCF_DEVICE_ACCEL;
    device.flags = SCF_DEVICE_USABLE;
    if (unified_) device.flags |= SCF_DEVICE_UNIFIED_MEMORY;
#ifdef FAR_ASYNC
    device.flags |= SCF_DEVICE_ASYNC;
#endif
    device.heaps = {own_, host_};
    return {device};
  }
  std::span<const KernelEntry> kernels(const DeviceDesc&) override { return seacliff::reference::reference_kernels(); }

  std::uint32_t claim = SCF_CLAIM_OK;
  std::atomic<std::uint64_t> used{0}; // bytes of the first heap that buffers hold

private:
  HeapDesc own_, host_;
  bool unified_ = false;
};

Far& plugin_of(scf_device* device) { return static_cast<Far&>(*tables::DeviceObject::of(device)->instance->plugin); }
const HeapDesc& own_heap(const tables::DeviceObject& device) { return device.desc.heaps[0]; }

/// What a value may lie in.
void check_value(const tables::DeviceObject& device, const scf_slice& slice, const char* what) {
  const HeapDesc& heap = own_heap(device);
  if (slice.bytes == 0) return;
  if (slice.offset % heap.bind_align != 0)
    throw Failure(SCF_INVALID_ARGUMENT, std::string(what) + ": offset " + std::to_string(slice.offset) +
                                            " is no multiple of " + std::to_string(heap.bind_align));
  if (heap.max_binding != 0 && slice.bytes > heap.max_binding)
    throw Failure(SCF_INVALID_ARGUMENT, std::string(what) + ": " + std::to_string(slice.bytes) + " bytes in one slice");
  const HostBuffer* buffer = HostBuffer::of(slice.buf);
  if (heap.kind == SCF_HEAP_DEVICE_LOCAL && heap.flags == 0 && buffer->mappable)
    throw Failure(SCF_INVALID_ARGUMENT, std::string(what) + " is bound from another heap than the first");
}

scf_status* instantiate(scf_program* program, const scf_bindings* bindings, scf_exec** out) {
  const tables::DeviceObject& device = *tables::ProgramObject::of(program)->device;
  scf_status* refused = guard(device.host(), [&] {
    for (std::uint64_t i = 0; i < bindings->n_items; ++i)
      check_value(device, bindings->items[i].slice, "a weight or state");
    for (std::uint64_t i = 0; i < bindings->n_needs; ++i)
      if (bindings->needs[i].offset % own_heap(device).bind_align != 0)
        throw Failure(SCF_INVALID_ARGUMENT, "the scratch is not aligned");
  });
  return refused != nullptr ? refused : tables::instantiate(program, bindings, out);
}

scf_status* checked_submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
#ifdef FAR_ASYNC
  const scf_host* host = async::AsyncQueue::of(queue)->host();
  const tables::DeviceObject& device = async::AsyncQueue::of(queue)->device();
#else
  const tables::DeviceObject& device = *tables::QueueObject::of(queue)->device;
  const scf_host* host = device.host();
#endif
  const Status refused(host, guard(host, [&] {
                         for (std::uint64_t i = 0; i < step->n_io; ++i)
                           check_value(device, step->io[i].slice, "an input or output");
                       }));
  if (!refused.ok()) {
    for (std::uint64_t i = 0; i < step->n_signals; ++i) tables::sema_fail(step->signals[i].sema, refused.clone());
    return refused.clone();
  }
#ifdef FAR_ASYNC
  return async::submit(queue, exec, step);
#else
  return tables::submit(queue, exec, step);
#endif
}

scf_status* propose(scf_device* device, const scf_graph_view* graph, void (*sink)(void*, const scf_claim*),
                    void* user) {
  struct Through {
    void (*sink)(void*, const scf_claim*);
    void* user;
    std::uint32_t level;
  } through{sink, user, plugin_of(device).claim};
  const auto change = [](void* raw, const scf_claim* claim) {
    const auto& t = *static_cast<Through*>(raw);
    scf_claim changed = *claim;
    if (changed.level != SCF_CLAIM_NO) changed.level = t.level;
    t.sink(t.user, &changed);
  };
  return tables::propose<false>(device, graph, change, &through);
}

/// Device memory runs out.
struct Taken {
  Far* plugin;
  std::uint64_t bytes;
};
std::mutex g_lock;
std::map<scf_buffer*, Taken> g_taken;

scf_status* alloc(scf_device* device, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align, scf_buffer** out) {
  Far& plugin = plugin_of(device);
  const HeapDesc& own = own_heap(*tables::DeviceObject::of(device));
  if (heap != own.id) return tables::buffer_alloc(device, heap, bytes, align, out);
  if (bytes > own.total - std::min<std::uint64_t>(own.total, plugin.used))
    return make_status(tables::DeviceObject::of(device)->host(), SCF_RESOURCE_EXHAUSTED, "device memory is full");
  if (scf_status* status = tables::buffer_alloc(device, heap, bytes, align, out)) return status;
  plugin.used += bytes;
  const std::lock_guard lock(g_lock);
  g_taken[*out] = {&plugin, bytes};
  return nullptr;
}

void release(scf_buffer* buffer) {
  {
    const std::lock_guard lock(g_lock);
    if (const auto found = g_taken.find(buffer); found != g_taken.end()) {
      found->second.plugin->used -= found->second.bytes;
      g_taken.erase(found);
    }
  }
  tables::buffer_free(buffer);
}

scf_status* budget(scf_device* device, std::uint32_t heap, std::uint64_t* out) {
  const HeapDesc& own = own_heap(*tables::DeviceObject::of(device));
  if (heap != own.id) return tables::heap_budget(device, heap, out);
  *out = own.total - std::min<std::uint64_t>(own.total, plugin_of(device).used);
  return nullptr;
}

scf_plugin_api make_api() {
  static scf_memory_api memory = tables::k_memory;
  memory.alloc = alloc;
  memory.free = release;
  memory.budget = budget;
  static scf_program_api program = tables::k_program<Far>;
  program.propose = propose;
  program.instantiate = instantiate;
#ifdef FAR_ASYNC
  static scf_queue_api queue = async::k_queue;
#else
  static scf_queue_api queue = tables::k_queue;
#endif
  queue.submit = checked_submit;
  scf_plugin_api api = tables::k_api<Far>;
  api.memory = &memory;
  api.program = &program;
  api.queue = &queue;
  return api;
}

} // namespace

extern "C" SCF_EXPORT std::uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
  static const scf_plugin_api api = make_api();
  static const scf_plugin plugin = [] {
    scf_plugin made = tables::k_plugin<Far>;
    made.api = &api;
    return made;
  }();
  *out = &plugin;
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}
