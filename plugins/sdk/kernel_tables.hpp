// The tables behind KernelPlugin. Included by kernel_plugin.hpp; plugin authors need not read it.
#pragma once

#include <seacliff/sdk/kernel_plugin.hpp>

namespace seacliff::sdk::tables {

struct InstanceObject {
  scf_host host; // full size whatever the host's was
  std::unique_ptr<KernelPlugin> plugin;
  std::vector<DeviceDesc> devices;

  static InstanceObject* of(scf_instance* handle) { return reinterpret_cast<InstanceObject*>(handle); }
};

struct DeviceObject {
  InstanceObject* instance;
  DeviceDesc desc;
  Catalogue catalogue;
  ProfileLog profile;   // guarded by running
  std::mutex running{}; // held once per submit: there is one team

  const scf_host* host() const { return &instance->host; }
  static DeviceObject* of(scf_device* handle) { return reinterpret_cast<DeviceObject*>(handle); }
};

struct ProgramObject {
  DeviceObject* device;
  Segment segment;
  scf_need scratch; // in the heap that it computes in

  static ProgramObject* of(scf_program* handle) { return reinterpret_cast<ProgramObject*>(handle); }
};

struct QueueObject {
  DeviceObject* device;

  static QueueObject* of(scf_queue* handle) { return reinterpret_cast<QueueObject*>(handle); }
};

inline Timeline* timeline(scf_sema* handle) { return reinterpret_cast<Timeline*>(handle); }

// ---- instance and devices ----------------------------------------------------------------------------------------

template <typename Plugin>
scf_status* open(const scf_host* host, const scf_kv* pairs, std::uint32_t count, scf_instance** out) {
  return guard(host, [&] {
    auto instance = std::make_unique<InstanceObject>(InstanceObject{read_struct(host), nullptr, {}});
    instance->plugin = std::make_unique<Plugin>();
    instance->plugin->attach(&instance->host, Plugin::k_name);
    const std::vector<OptionSpec> known = instance->plugin->options();
    instance->plugin->configure(Options(pairs, count, known));
    instance->devices = instance->plugin->devices();
    *out = reinterpret_cast<scf_instance*>(instance.release());
  });
}

inline scf_status* close(scf_instance* handle) {
  if (handle == nullptr) return nullptr;
  const scf_host host = InstanceObject::of(handle)->host; // outlives the instance
  return guard(&host, [&] { delete InstanceObject::of(handle); });
}

inline scf_status* enumerate(scf_instance* handle, void (*sink)(void*, const scf_device_desc*), void* user) {
  InstanceObject* instance = InstanceObject::of(handle);
  return guard(&instance->host, [&] {
    for (const DeviceDesc& device : instance->devices) report(device, sink, user);
  });
}

inline scf_status* device_open(scf_instance* handle, scf_str id, const scf_kv* pairs, std::uint32_t count,
                               scf_device** out) {
  InstanceObject* instance = InstanceObject::of(handle);
  return guard(&instance->host, [&] {
    const Options none(pairs, count, {});
    for (const DeviceDesc& desc : instance->devices) {
      if (desc.id != view(id)) continue;
      if (!desc.reason_unusable.empty())
        throw Failure(SCF_UNAVAILABLE, "device '" + desc.id + "': " + desc.reason_unusable);
      Catalogue catalogue(&instance->host, instance->plugin->kernels(desc));
      *out = reinterpret_cast<scf_device*>(new DeviceObject{instance, desc, std::move(catalogue), {}});
      return;
    }
    throw Failure(SCF_NOT_FOUND, "there is no device '" + std::string(view(id)) + "'");
  });
}

inline scf_status* device_close(scf_device* handle) {
  delete DeviceObject::of(handle);
  return nullptr;
}

// ---- memory ------------------------------------------------------------------------------------------------------

inline const HeapDesc& heap(const DeviceObject& device, std::uint32_t id) {
  for (const HeapDesc& candidate : device.desc.heaps)
    if (candidate.id == id) return candidate;
  throw Failure(SCF_NOT_FOUND, "device '" + device.desc.id + "' has no heap " + std::to_string(id));
}

inline scf_status* buffer_alloc(scf_device* handle, std::uint32_t id, std::uint64_t bytes, std::uint64_t align,
                                scf_buffer** out) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(),
               [&] { *out = HostBuffer::allocate(device->host(), heap(*device, id), bytes, align)->handle(); });
}

inline void buffer_free(scf_buffer* handle) { HostBuffer::free(HostBuffer::of(handle)); }

inline scf_status* buffer_import(scf_device* handle, std::uint32_t id, void* data, std::uint64_t bytes,
                                 std::uint32_t flags, scf_buffer** out) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(),
               [&] { *out = HostBuffer::import(device->host(), heap(*device, id), data, bytes, flags)->handle(); });
}

inline scf_status* buffer_map(scf_buffer* handle, std::uint64_t offset, std::uint64_t bytes, void** out) {
  HostBuffer* buffer = HostBuffer::of(handle);
  if (!buffer->mappable)
    return make_status(buffer->host, SCF_FAILED_PRECONDITION, "memory of this heap cannot be mapped");
  if (!buffer->holds(offset, bytes))
    return make_status(buffer->host, SCF_OUT_OF_RANGE, "the window to map leaves the buffer");
  *out = buffer->data + offset;
  return nullptr;
}

inline scf_status* buffer_unmap(scf_buffer*) { return nullptr; }

inline scf_status* heap_budget(scf_device* handle, std::uint32_t id, std::uint64_t* out) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    const std::uint64_t now = host_heap().budget;
    *out = now != 0 ? now : heap(*device, id).budget;
  });
}

inline constexpr scf_memory_api k_memory{header<scf_memory_api>(SCF_KIND_MEMORY_API),
                                         buffer_alloc,
                                         buffer_free,
                                         buffer_import,
                                         buffer_map,
                                         buffer_unmap,
                                         nullptr /* coherent */,
                                         nullptr,
                                         heap_budget};

// ---- layouts -----------------------------------------------------------------------------------------------------

inline scf_status* layout_candidates(scf_device* handle, const scf_value* weight,
                                     void (*sink)(void*, const scf_layout_desc*), void* user) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    for (const LayoutDesc& layout : device->instance->plugin->layouts(device->desc, ValueView{weight})) {
      const scf_layout_desc desc{header<scf_layout_desc>(SCF_KIND_LAYOUT_DESC),
                                 str(layout.name),
                                 layout.id,
                                 0,
                                 layout.bytes,
                                 layout.align,
                                 layout.row_granularity};
      sink(user, &desc);
    }
  });
}

inline Range rows(std::uint64_t begin, std::uint64_t end) {
  return {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)};
}

inline scf_status* layout_repack(scf_device* handle, const scf_value* weight, std::uint32_t layout, std::uint64_t begin,
                                 std::uint64_t end, const void* src, void* dst) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    device->instance->plugin->repack(device->desc, ValueView{weight}, layout, rows(begin, end),
                                     static_cast<const std::byte*>(src), static_cast<std::byte*>(dst));
  });
}

inline scf_status* layout_unpack(scf_device* handle, const scf_value* weight, std::uint32_t layout, std::uint64_t begin,
                                 std::uint64_t end, const void* src, void* dst) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    device->instance->plugin->unpack(device->desc, ValueView{weight}, layout, rows(begin, end),
                                     static_cast<const std::byte*>(src), static_cast<std::byte*>(dst));
  });
}

inline constexpr scf_layout_api k_layout{header<scf_layout_api>(SCF_KIND_LAYOUT_API), layout_candidates, layout_repack,
                                         layout_unpack};

// ---- programs ----------------------------------------------------------------------------------------------------

/// Empty, or why no kernel may be asked about this node: a format or layout that this plugin does not know.
inline std::string foreign_operand(const scf_graph_view& graph, const scf_node& node, bool has_layouts) {
  const auto look = [&](std::uint32_t id) -> std::string {
    if (id == SCF_NONE) return {};
    if (id >= graph.n_values)
      throw Failure(SCF_INVALID_ARGUMENT,
                    "node '" + std::string(view(node.name)) + "' has an operand that is no value");
    const scf_value& value = strided(graph.values, graph.value_stride, id);
    if (find_dtype(value.dtype) == nullptr)
      return "format " + std::to_string(value.dtype) + " of '" + std::string(view(value.name)) + "' is unknown here";
    if (value.layout != 0 && !has_layouts) return "'" + std::string(view(value.name)) + "' is not in the file's layout";
    return {};
  };
  for (std::uint32_t i = 0; i < node.n_in + node.n_out; ++i) {
    std::string why = look(i < node.n_in ? node.in[i] : node.out[i - node.n_in]);
    if (!why.empty()) return why;
  }
  return {};
}

template <bool HasLayouts>
scf_status* propose(scf_device* handle, const scf_graph_view* graph, void (*sink)(void*, const scf_claim*),
                    void* user) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    for (std::uint32_t i = 0; i < graph->n_nodes; ++i) {
      const scf_node& node = strided(graph->nodes, graph->node_stride, i);
      std::string foreign = foreign_operand(*graph, node, HasLayouts);
      const Claim claim = foreign.empty() ? device->catalogue.ask(*graph, node).claim : Claim::no(std::move(foreign));
      const scf_claim said{
          header<scf_claim>(SCF_KIND_CLAIM), &node.id, 1, claim.level, {}, str(claim.reason), claim.est_us};
      sink(user, &said);
    }
  });
}

inline scf_status* compile(scf_device* handle, const scf_graph_view* graph, const scf_kv* pairs, std::uint32_t count,
                           scf_program** out) {
  DeviceObject* device = DeviceObject::of(handle);
  const scf_host* host = device->host();
  return guard(host, [&] {
    const Options none(pairs, count, {});
    Segment segment(*graph, device->catalogue, host->team_size(host->ctx, 0));
    const scf_need scratch{device->desc.heaps.at(0).id, 0, segment.scratch_bytes(), k_host_align};
    *out = reinterpret_cast<scf_program*>(new ProgramObject{device, std::move(segment), scratch});
  });
}

inline scf_status* requirements(scf_program* handle, scf_requirements* out) {
  const ProgramObject* program = ProgramObject::of(handle);
  scf_requirements need{};
  need.needs = &program->scratch;
  need.n_needs = program->scratch.bytes != 0 ? 1 : 0;
  need.launches = 1;
  need.barriers = program->segment.barriers();
  write_struct(out, need);
  return nullptr;
}

inline scf_status* instantiate(scf_program* handle, const scf_bindings* bindings, scf_exec** out) {
  const ProgramObject* program = ProgramObject::of(handle);
  const scf_host* host = program->device->host();
  return guard(host, [&] { *out = (new Exec(host, program->segment, read_struct(bindings)))->handle(); });
}

inline void exec_free(scf_exec* handle) { delete Exec::of(handle); }
inline void program_free(scf_program* handle) { delete ProgramObject::of(handle); }

// ---- queues ------------------------------------------------------------------------------------------------------

inline scf_status* queue_create(scf_device* handle, scf_queue** out) {
  DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] { *out = reinterpret_cast<scf_queue*>(new QueueObject{device}); });
}
inline void queue_free(scf_queue* handle) { delete QueueObject::of(handle); }

inline scf_status* sema_create(scf_device* handle, std::uint64_t initial, scf_sema** out) {
  const DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] { *out = reinterpret_cast<scf_sema*>(new Timeline(device->host(), initial)); });
}
inline void sema_free(scf_sema* handle) { delete timeline(handle); }
inline scf_status* sema_query(scf_sema* handle, std::uint64_t* out) { return timeline(handle)->query(out); }
inline scf_status* sema_wait(scf_sema* handle, std::uint64_t value, std::uint64_t timeout_ns) {
  return timeline(handle)->wait(value, timeout_ns);
}
inline scf_status* sema_signal(scf_sema* handle, std::uint64_t value) { return timeline(handle)->signal(value); }
inline void sema_fail(scf_sema* handle, scf_status* cause) { timeline(handle)->fail(cause); }

/// Waits, runs `body`, signals. A failed wait is no error of this call: its cause travels on through the signals.
/// Whatever `body` throws fails the signals and is returned. A signal that cannot be given fails its timeline.
template <typename Body> scf_status* ordered(const scf_host* host, const scf_submit& submit, Body&& body) {
  const auto fail_all = [&](const Status& cause) {
    for (std::uint64_t i = 0; i < submit.n_signals; ++i) timeline(submit.signals[i].sema)->fail(cause.clone());
  };
  for (std::uint64_t i = 0; i < submit.n_waits; ++i) {
    const scf_wait& wait = submit.waits[i];
    const Status cause(host, timeline(wait.sema)->wait(wait.value, Timeline::k_forever));
    if (cause.ok()) continue;
    fail_all(cause);
    return nullptr;
  }
  Status status(host, guard(host, body));
  if (!status.ok()) {
    fail_all(status);
    return status.release();
  }
  for (std::uint64_t i = 0; i < submit.n_signals; ++i) {
    Status refused(host, timeline(submit.signals[i].sema)->signal(submit.signals[i].value));
    if (!refused.ok()) timeline(submit.signals[i].sema)->fail(refused.release());
  }
  return nullptr;
}

inline scf_status* submit(scf_queue* queue, scf_exec* exec, const scf_submit* raw) {
  DeviceObject* device = QueueObject::of(queue)->device;
  const scf_submit step = read_struct(raw);
  return ordered(device->host(), step, [&] {
    const std::lock_guard lock(device->running);
    Exec::of(exec)->bind_step(step);
    Exec::of(exec)->run(device->profile);
  });
}

inline scf_status* copy(scf_queue* queue, scf_slice dst, scf_slice src, const scf_submit* raw) {
  const scf_submit step = read_struct(raw);
  return ordered(QueueObject::of(queue)->device->host(), step, [&] {
    if (dst.bytes != src.bytes) throw Failure(SCF_INVALID_ARGUMENT, "the two sides of a copy differ in size");
    std::memcpy(HostBuffer::writable(dst), HostBuffer::address(src), dst.bytes);
  });
}

inline constexpr scf_queue_api k_queue{header<scf_queue_api>(SCF_KIND_QUEUE_API),
                                       queue_create,
                                       queue_free,
                                       sema_create,
                                       sema_free,
                                       sema_query,
                                       sema_wait,
                                       sema_signal,
                                       sema_fail,
                                       submit,
                                       copy};

// ---- profile -----------------------------------------------------------------------------------------------------

inline scf_status* profile_begin(scf_device* handle, std::uint32_t granularity) {
  DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    if (granularity > SCF_PROFILE_NODE) throw Failure(SCF_INVALID_ARGUMENT, "there is no such profile granularity");
    const std::lock_guard lock(device->running);
    device->profile.begin(granularity, device->host()->team_size(device->host()->ctx, 0));
  });
}

inline scf_status* profile_drain(scf_device* handle, void (*sink)(void*, scf_exec*, const scf_profile_record*),
                                 void* user, std::uint64_t* lost) {
  DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    const std::lock_guard lock(device->running);
    const auto& tracks = device->profile.tracks();
    for (std::uint32_t worker = 0; worker < tracks.size(); ++worker) {
      for (const ProfileLog::Item& item : tracks[worker].records()) {
        scf_profile_record record{};
        record.h = header<scf_profile_record>(SCF_KIND_PROFILE_RECORD);
        record.first_node = item.first_node;
        record.n_nodes = item.n_nodes;
        record.worker = worker;
        record.t0 = item.t0;
        record.t1 = item.t1;
        record.bytes = item.bytes;
        sink(user, const_cast<Exec*>(item.exec)->handle(), &record);
      }
    }
    device->profile.clear();
    *lost = device->profile.lost();
  });
}

inline scf_status* profile_correlate(scf_device*, std::uint64_t* ticks, std::uint64_t* host_ns, double* ns_per_tick) {
  *ticks = *host_ns = clock_ns();
  *ns_per_tick = 1.0;
  return nullptr;
}

inline scf_status* profile_end(scf_device* handle) {
  DeviceObject* device = DeviceObject::of(handle);
  return guard(device->host(), [&] {
    const std::lock_guard lock(device->running);
    device->profile.end();
  });
}

inline constexpr scf_profile_api k_profile{header<scf_profile_api>(SCF_KIND_PROFILE_API), profile_begin, profile_drain,
                                           profile_correlate, profile_end};

// ---- the descriptor ----------------------------------------------------------------------------------------------

/// True when the plugin overrides layouts().
template <typename Plugin>
inline constexpr bool has_layouts = !std::is_same_v<decltype(&Plugin::layouts), decltype(&KernelPlugin::layouts)>;

template <typename Plugin>
inline constexpr scf_program_api k_program{header<scf_program_api>(SCF_KIND_PROGRAM_API),
                                           propose<has_layouts<Plugin>>,
                                           compile,
                                           requirements,
                                           instantiate,
                                           exec_free,
                                           program_free};

template <typename Plugin>
inline constexpr scf_plugin_api k_api{header<scf_plugin_api>(SCF_KIND_PLUGIN_API),
                                      open<Plugin>,
                                      close,
                                      enumerate,
                                      device_open,
                                      device_close,
                                      &k_memory,
                                      has_layouts<Plugin> ? &k_layout : nullptr,
                                      &k_program<Plugin>,
                                      &k_queue,
                                      &k_profile,
                                      nullptr};

constexpr std::uint64_t build_flags() {
  std::uint64_t flags = 0;
#if defined(__SANITIZE_ADDRESS__)
  flags |= SCF_BUILD_ASAN;
#endif
#if defined(__SANITIZE_THREAD__)
  flags |= SCF_BUILD_TSAN;
#endif
#if !defined(NDEBUG)
  flags |= SCF_BUILD_DEBUG;
#endif
  return flags;
}

template <typename Plugin>
inline constexpr scf_plugin k_plugin{header<scf_plugin>(SCF_KIND_PLUGIN),
                                     SCF_ABI_MINOR,
                                     0,
                                     build_flags(),
                                     {Plugin::k_name.data(), Plugin::k_name.size()},
                                     {Plugin::k_vendor.data(), Plugin::k_vendor.size()},
                                     {Plugin::k_version.data(), Plugin::k_version.size()},
                                     {nullptr, 0},
                                     &k_api<Plugin>};

} // namespace seacliff::sdk::tables

namespace seacliff::sdk {

/// The body of scf_plugin_query_v1.
template <typename Plugin> std::uint32_t query(const scf_host* host, const scf_plugin** out) {
  *out = &tables::k_plugin<Plugin>;
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}

} // namespace seacliff::sdk
