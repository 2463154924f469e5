#include "plugins/loader/plugin.hpp"

#include "core/base/log.hpp"
#include "plugins/loader/crash.hpp"
#include "plugins/loader/tables.hpp"

#include <seacliff/sdk/table.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <exception>

namespace seacliff::plugins {
namespace {

/// Names beyond this are a plugin's mistake; the cut keeps one from flooding the screen.
constexpr std::uint64_t k_longest_text = 4096;

std::string text(scf_str s) {
  return s.ptr == nullptr ? std::string() : std::string(s.ptr, std::min(s.len, k_longest_text));
}

scf_str str(std::string_view s) { return {s.data(), s.size()}; }

/// Calls an entry of a plugin, `entry` being a literal. Its status becomes an Error; so does an exception, which should
/// not have crossed.
template <typename Entry> void call(const Plugin& plugin, std::string_view entry, Entry&& body) {
  scf_status* status = nullptr;
  std::optional<std::string> crossed;
  try {
    const InPlugin mark(plugin.name().c_str(), entry.data());
    status = body();
  } catch (const std::exception& error) {
    crossed = error.what();
  } catch (...) {
    crossed = "of unknown type";
  }
  if (crossed)
    throw Error(
        Status{Code::internal,
               fmt::format("{}: {}: an exception crossed the plugin boundary ({})", plugin.name(), entry, *crossed),
               "this is a defect of the plugin",
               {{"exception", *crossed}}});
  if (status != nullptr) check(status, fmt::format("{}: {}", plugin.name(), entry));
}

/// For destructors: a plugin that fails to let go is reported, no more.
template <typename Body> void quietly(Body&& body) noexcept {
  try {
    body();
  } catch (const std::exception& error) {
    try {
      log::warn("plugins", "{}", error.what());
    } catch (...) {
    }
  } catch (...) {
  }
}

/// Collects what a plugin reports. The entry point given to the plugin never throws through its frames.
template <typename Item, typename Fn> struct Sink {
  Fn take;
  std::exception_ptr failure{};

  static void entry(void* user, const Item* item) {
    auto& self = *static_cast<Sink*>(user);
    if (self.failure) return;
    try {
      self.take(sdk::read_struct(item));
    } catch (...) {
      self.failure = std::current_exception();
    }
  }
  void finish() const {
    if (failure) std::rethrow_exception(failure);
  }
};
template <typename Item, typename Fn> Sink<Item, Fn> make_sink(Fn take) { return {std::move(take)}; }

std::vector<scf_kv> pairs(const Options& options) {
  std::vector<scf_kv> result;
  for (const Option& option : options) {
    scf_kv pair{str(option.key), SCF_KV_STR, 0, {}};
    if (const auto* integer = std::get_if<std::int64_t>(&option.value)) {
      pair.type = SCF_KV_INT;
      pair.v.i = *integer;
    } else if (const auto* real = std::get_if<double>(&option.value)) {
      pair.type = SCF_KV_FLOAT;
      pair.v.f = *real;
    } else {
      pair.v.s = str(std::get<std::string>(option.value));
    }
    result.push_back(pair);
  }
  return result;
}

HeapInfo heap_info(const scf_heap_desc& h) {
  const auto align = [](std::uint64_t n) { return std::max<std::uint64_t>(n, 1); };
  return {h.id,
          h.kind,
          h.total,
          h.budget,
          h.max_alloc,
          h.max_binding,
          align(h.bind_align),
          h.import_kinds,
          align(h.import_align),
          h.flags,
          h.numa_node,
          h.read_gbps};
}

DeviceInfo device_info(const scf_device_desc& d) {
  DeviceInfo info;
  info.id = text(d.id);
  info.name = text(d.name);
  info.driver = text(d.driver);
  info.detail = text(d.detail);
  info.reason_unusable = text(d.reason_unusable);
  std::copy(std::begin(d.phys_uuid), std::end(d.phys_uuid), info.phys_uuid.begin());
  info.kind = d.kind;
  info.flags = d.flags;
  info.numa_node = d.numa_node;
  for (std::uint32_t i = 0; i < d.n_heaps; ++i) info.heaps.push_back(heap_info(sdk::read_struct(d.heaps[i])));
  if (!info.usable() && info.reason_unusable.empty()) info.reason_unusable = "the plugin gives no reason";
  return info;
}

/// Heaps in host memory beside a device's own are what bytes pass through.
std::uint64_t sum(const std::vector<HeapInfo>& heaps, std::uint64_t HeapInfo::*field) {
  std::uint64_t all = 0, own = 0;
  for (const HeapInfo& heap : heaps) {
    all += heap.*field;
    if (heap.kind == SCF_HEAP_DEVICE_LOCAL) own += heap.*field;
  }
  const bool has_own =
      std::any_of(heaps.begin(), heaps.end(), [](const HeapInfo& heap) { return heap.kind == SCF_HEAP_DEVICE_LOCAL; });
  return has_own ? own : all;
}

} // namespace

Option parse_option(std::string_view text) {
  const std::size_t is = text.find('=');
  if (is == std::string_view::npos || is == 0)
    throw Error(Code::invalid_argument, fmt::format("option '{}' is not KEY=VALUE", text));
  const std::string_view value = text.substr(is + 1);
  std::int64_t integer = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), integer);
  const bool number = ec == std::errc() && end == value.data() + value.size() && !value.empty();
  Option option{std::string(text.substr(0, is)), integer};
  if (!number) option.value = std::string(value);
  return option;
}

std::uint64_t DeviceInfo::memory_total() const { return sum(heaps, &HeapInfo::total); }
std::uint64_t DeviceInfo::memory_budget() const { return sum(heaps, &HeapInfo::budget); }

const HeapInfo& DeviceInfo::own_heap() const {
  if (heaps.empty()) throw Error(Code::internal, fmt::format("device {} is usable and has no heap", id));
  return heaps.front();
}

const HeapInfo& DeviceInfo::heap(std::uint32_t heap_id) const {
  for (const HeapInfo& info : heaps)
    if (info.id == heap_id) return info;
  throw Error(Code::not_found, fmt::format("{} has no heap {}", id, heap_id));
}

const HeapInfo* DeviceInfo::import_heap() const {
  const auto takes = [](const HeapInfo& info) { return info.imports(); };
  const auto found = std::find_if(heaps.begin(), heaps.end(), takes);
  return found == heaps.end() ? nullptr : &*found;
}

std::string_view device_kind_name(std::uint32_t kind) {
  switch (kind) {
  case SCF_DEVICE_CPU: return "cpu";
  case SCF_DEVICE_GPU: return "gpu";
  case SCF_DEVICE_IGPU: return "igpu";
  case SCF_DEVICE_ACCEL: return "accel";
  default: return "unknown";
  }
}

// ---- Plugin ------------------------------------------------------------------------------------------------------

struct Plugin::Impl {
  std::shared_ptr<HostServices> host;
  Tables tables;
  std::string name, vendor, version, path;
  scf_instance* instance = nullptr;
  std::vector<DeviceInfo> devices;
};

Plugin::Plugin(std::shared_ptr<HostServices> host, const scf_plugin* plugin, std::string path, const Options& options)
    : impl_(std::make_unique<Impl>()) {
  const scf_plugin desc = sdk::read_struct(plugin);
  impl_->host = std::move(host);
  impl_->name = text(desc.name);
  impl_->vendor = text(desc.vendor);
  impl_->version = text(desc.version);
  impl_->path = std::move(path);
  if (impl_->name.empty()) throw Error(Code::incompatible, "the plugin has no name");
  impl_->tables = normalise(desc);

  const std::vector<scf_kv> opts = pairs(options);
  call(*this, "open", [&] {
    return tables().api.open(impl_->host->table(), opts.data(), static_cast<std::uint32_t>(opts.size()),
                             &impl_->instance);
  });
  try {
    auto sink = make_sink<scf_device_desc>([&](const scf_device_desc& d) { impl_->devices.push_back(device_info(d)); });
    call(*this, "enumerate", [&] { return tables().api.enumerate(impl_->instance, sink.entry, &sink); });
    sink.finish();
  } catch (...) {
    quietly([&] { call(*this, "close", [&] { return tables().api.close(impl_->instance); }); });
    throw;
  }
}

Plugin::~Plugin() {
  quietly([&] { call(*this, "close", [&] { return tables().api.close(impl_->instance); }); });
}

const std::string& Plugin::name() const { return impl_->name; }
const std::string& Plugin::vendor() const { return impl_->vendor; }
const std::string& Plugin::version() const { return impl_->version; }
const std::string& Plugin::path() const { return impl_->path; }
const std::vector<DeviceInfo>& Plugin::devices() const { return impl_->devices; }
const Tables& Plugin::tables() const { return impl_->tables; }
const HostServices& Plugin::host() const { return *impl_->host; }

std::string Plugin::full_id(const DeviceInfo& device) const {
  const std::string prefix = name() + ":";
  return device.id.starts_with(prefix) ? device.id : prefix + device.id;
}

std::shared_ptr<Device> Plugin::open_device(std::string_view id, const Options& options) {
  const auto info = std::find_if(devices().begin(), devices().end(), [&](const DeviceInfo& d) { return d.id == id; });
  if (info == devices().end()) throw Error(Code::not_found, fmt::format("{} has no device '{}'", name(), id));
  for (const HeapInfo& heap : info->heaps)
    if (!std::has_single_bit(heap.bind_align) || !std::has_single_bit(heap.import_align))
      throw Error(Code::internal, fmt::format("an alignment of heap {} of {} is no power of two", heap.id, id),
                  "this is a defect of the plugin");
  const std::vector<scf_kv> opts = pairs(options);
  scf_device* handle = nullptr;
  call(*this, "device_open", [&] {
    return tables().api.device_open(impl_->instance, str(id), opts.data(), static_cast<std::uint32_t>(opts.size()),
                                    &handle);
  });
  return std::make_shared<Device>(shared_from_this(), handle, *info);
}

// ---- Device ------------------------------------------------------------------------------------------------------

Device::~Device() {
  quietly([&] { call(*plugin_, "device_close", [&] { return tables().api.device_close(handle_); }); });
}

Buffer Device::alloc(std::uint64_t bytes, std::uint64_t align) { return alloc(bytes, align, info_.own_heap().id); }

Buffer Device::alloc(std::uint64_t bytes, std::uint64_t align, std::uint32_t heap) {
  scf_buffer* handle = nullptr;
  call(*plugin_, "alloc", [&] { return tables().memory.alloc(handle_, heap, bytes, align, &handle); });
  const auto is_it = [&](const HeapInfo& info) { return info.id == heap && info.mappable(); };
  const bool mappable = tables().memory.map != nullptr && std::any_of(info_.heaps.begin(), info_.heaps.end(), is_it);
  return {shared_from_this(), handle, bytes, mappable};
}

std::optional<Buffer> Device::import_host(const void* data, std::uint64_t bytes, bool read_only, Code* why) {
  const HeapInfo* heap = info_.import_heap();
  if (tables().memory.import_host == nullptr || heap == nullptr) return std::nullopt;
  if (reinterpret_cast<std::uintptr_t>(data) % heap->import_align != 0 || bytes % heap->import_align != 0 ||
      (heap->max_alloc != 0 && bytes > heap->max_alloc))
    return std::nullopt;
  const std::uint32_t flags = read_only ? std::uint32_t{SCF_BUFFER_READ_ONLY} : 0;
  scf_buffer* handle = nullptr;
  try {
    call(*plugin_, "import_host", [&] {
      return tables().memory.import_host(handle_, heap->id, const_cast<void*>(data), bytes, flags, &handle);
    });
  } catch (const Error& error) {
    log::info("plugins", "{} does not take {} bytes of host memory in place: {}", full_id(), bytes, error.what());
    if (why != nullptr) *why = error.code();
    return std::nullopt;
  }
  return Buffer(shared_from_this(), handle, bytes, heap->mappable() && tables().memory.map != nullptr);
}

std::uint64_t Device::budget(std::uint32_t heap) const {
  std::uint64_t free_bytes = 0;
  if (tables().memory.budget != nullptr) {
    call(*plugin_, "budget", [&] { return tables().memory.budget(handle_, heap, &free_bytes); });
    return free_bytes;
  }
  return info_.heap(heap).budget;
}

std::vector<ClaimInfo> Device::propose(const scf_graph_view& view) const {
  std::vector<ClaimInfo> claims;
  auto sink = make_sink<scf_claim>([&](const scf_claim& c) {
    claims.push_back({{c.nodes, c.nodes + c.n_nodes}, c.level, text(c.pattern), text(c.reason), c.est_us});
  });
  call(*plugin_, "propose", [&] { return tables().program.propose(handle_, &view, sink.entry, &sink); });
  sink.finish();
  return claims;
}

std::shared_ptr<Program> Device::compile(const scf_graph_view& view, const Options& options) {
  const std::vector<scf_kv> opts = pairs(options);
  scf_program* handle = nullptr;
  call(*plugin_, "compile", [&] {
    return tables().program.compile(handle_, &view, opts.data(), static_cast<std::uint32_t>(opts.size()), &handle);
  });
  return std::make_shared<Program>(shared_from_this(), handle);
}

Queue Device::create_queue() {
  scf_queue* handle = nullptr;
  call(*plugin_, "queue_create", [&] { return tables().queue.queue_create(handle_, &handle); });
  return {shared_from_this(), handle};
}

Semaphore Device::create_semaphore(std::uint64_t initial) {
  scf_sema* handle = nullptr;
  call(*plugin_, "sema_create", [&] { return tables().queue.sema_create(handle_, initial, &handle); });
  return {shared_from_this(), handle};
}

bool Device::has_layouts() const { return tables().has_layout(); }

std::vector<LayoutInfo> Device::layouts(const scf_value& weight) const {
  std::vector<LayoutInfo> result;
  if (!has_layouts()) return result;
  auto sink = make_sink<scf_layout_desc>([&](const scf_layout_desc& d) {
    result.push_back({text(d.name), d.id, d.flags, d.bytes, d.align, std::max<std::uint64_t>(d.row_granularity, 1)});
  });
  call(*plugin_, "layouts", [&] { return tables().layout.candidates(handle_, &weight, sink.entry, &sink); });
  sink.finish();
  return result;
}

void Device::repack(const scf_value& weight, std::uint32_t id, std::uint64_t begin, std::uint64_t end, const void* src,
                    void* dst) const {
  if (!has_layouts()) throw Error(Code::unimplemented, fmt::format("{} has no layouts of its own", full_id()));
  call(*plugin_, "repack", [&] { return tables().layout.repack(handle_, &weight, id, begin, end, src, dst); });
}

void Device::unpack(const scf_value& weight, std::uint32_t id, std::uint64_t begin, std::uint64_t end, const void* src,
                    void* dst) const {
  if (!has_layouts()) throw Error(Code::unimplemented, fmt::format("{} has no layouts of its own", full_id()));
  call(*plugin_, "unpack", [&] { return tables().layout.unpack(handle_, &weight, id, begin, end, src, dst); });
}

bool Device::has_profile() const { return tables().has_profile(); }

void Device::profile_begin(std::uint32_t granularity) {
  if (!has_profile()) throw Error(Code::unimplemented, fmt::format("{} cannot profile", full_id()));
  call(*plugin_, "profile_begin", [&] { return tables().profile.begin(handle_, granularity); });
  profile_began_ = profile_correlate();
}

std::uint64_t Device::profile_drain(const std::function<void(scf_exec*, const scf_profile_record&)>& sink) {
  if (!has_profile()) return 0;
  struct Call {
    const std::function<void(scf_exec*, const scf_profile_record&)>& take;
    std::exception_ptr failure{};
  } state{sink};
  const auto entry = [](void* user, scf_exec* exec, const scf_profile_record* record) {
    auto& self = *static_cast<Call*>(user);
    if (self.failure) return;
    try {
      self.take(exec, sdk::read_struct(record));
    } catch (...) {
      self.failure = std::current_exception();
    }
  };
  std::uint64_t lost = 0;
  call(*plugin_, "profile_drain", [&] { return tables().profile.drain(handle_, entry, &state, &lost); });
  if (state.failure) std::rethrow_exception(state.failure);
  return lost;
}

ClockPair Device::profile_correlate() const {
  ClockPair pair;
  if (!has_profile()) return pair;
  call(*plugin_, "profile_correlate",
       [&] { return tables().profile.correlate(handle_, &pair.device_ticks, &pair.host_ns, &pair.ns_per_tick); });
  return pair;
}

ClockLine::ClockLine(const ClockPair& from, const ClockPair& to) : to_(to), ns_per_tick_(to.ns_per_tick) {
  constexpr std::uint64_t k_apart_ns = 1'000'000;
  if (to.device_ticks > from.device_ticks && to.host_ns > from.host_ns + k_apart_ns)
    ns_per_tick_ =
        static_cast<double>(to.host_ns - from.host_ns) / static_cast<double>(to.device_ticks - from.device_ticks);
}

std::uint64_t ClockLine::host_ns(std::uint64_t ticks) const {
  const auto since = static_cast<double>(static_cast<std::int64_t>(ticks - to_.device_ticks));
  return to_.host_ns + static_cast<std::uint64_t>(static_cast<std::int64_t>(since * ns_per_tick_));
}

void Device::profile_end() {
  if (has_profile()) call(*plugin_, "profile_end", [&] { return tables().profile.end(handle_); });
}

// ---- Buffer ------------------------------------------------------------------------------------------------------

Buffer::Buffer(std::shared_ptr<Device> device, scf_buffer* handle, std::uint64_t bytes, bool mappable)
    : device_(std::move(device)), handle_(handle), bytes_(bytes), mappable_(mappable) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    reset();
    device_ = std::move(other.device_);
    handle_ = std::exchange(other.handle_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    mappable_ = other.mappable_;
    mapped_ = std::exchange(other.mapped_, nullptr);
  }
  return *this;
}

void Buffer::reset() noexcept {
  if (handle_ == nullptr) return;
  quietly([&] { unmap(); });
  quietly([&] {
    call(device_->plugin(), "free", [&] {
      device_->tables().memory.free(handle_);
      return nullptr;
    });
  });
  handle_ = nullptr;
  bytes_ = 0;
  device_.reset();
}

scf_slice Buffer::slice(std::uint64_t offset, std::uint64_t bytes) const {
  if (offset > bytes_ || bytes > bytes_ - offset)
    throw Error(Code::out_of_range, fmt::format("{} bytes at {} leave a buffer of {} bytes", bytes, offset, bytes_));
  return {handle_, offset, bytes};
}

std::byte* Buffer::map() {
  if (mapped_ != nullptr) return mapped_;
  if (handle_ == nullptr) throw Error(Code::failed_precondition, "an empty buffer cannot be mapped");
  const Tables& tables = device_->tables();
  if (tables.memory.map == nullptr)
    throw Error(Code::unimplemented, fmt::format("memory of {} cannot be mapped", device_->full_id()));
  void* address = nullptr;
  call(device_->plugin(), "map", [&] { return tables.memory.map(handle_, 0, bytes_, &address); });
  mapped_ = static_cast<std::byte*>(address);
  return mapped_;
}

void Buffer::unmap() {
  if (mapped_ == nullptr) return;
  mapped_ = nullptr;
  call(device_->plugin(), "unmap", [&] { return device_->tables().memory.unmap(handle_); });
}

void Buffer::flush(std::uint64_t offset, std::uint64_t bytes) {
  if (handle_ == nullptr || device_->tables().memory.flush == nullptr) return;
  call(device_->plugin(), "flush", [&] { return device_->tables().memory.flush(handle_, offset, bytes); });
}

void Buffer::invalidate(std::uint64_t offset, std::uint64_t bytes) {
  if (handle_ == nullptr || device_->tables().memory.invalidate == nullptr) return;
  call(device_->plugin(), "invalidate", [&] { return device_->tables().memory.invalidate(handle_, offset, bytes); });
}

// ---- Semaphore ---------------------------------------------------------------------------------------------------

Semaphore& Semaphore::operator=(Semaphore&& other) noexcept {
  if (this != &other) {
    reset();
    device_ = std::move(other.device_);
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

void Semaphore::reset() noexcept {
  if (handle_ != nullptr) device_->tables().queue.sema_free(handle_);
  handle_ = nullptr;
  device_.reset();
}

std::uint64_t Semaphore::value() const {
  std::uint64_t value = 0;
  call(device_->plugin(), "semaphore", [&] { return device_->tables().queue.sema_query(handle_, &value); });
  return value;
}

void Semaphore::wait(std::uint64_t value, std::uint64_t timeout_ns) const {
  call(device_->plugin(), "wait", [&] { return device_->tables().queue.sema_wait(handle_, value, timeout_ns); });
}

void Semaphore::signal(std::uint64_t value) {
  call(device_->plugin(), "signal", [&] { return device_->tables().queue.sema_signal(handle_, value); });
}

void Semaphore::fail(const Status& cause) {
  call(device_->plugin(), "fail", [&] {
    device_->tables().queue.sema_fail(handle_, make_status(cause));
    return nullptr;
  });
}

// ---- Program, Exec, Queue ----------------------------------------------------------------------------------------

Program::~Program() { device_->tables().program.program_free(handle_); }

Requirements Program::requirements() const {
  scf_requirements out{};
  out.h = {sizeof(out), SCF_KIND_REQUIREMENTS, nullptr};
  call(device_->plugin(), "requirements", [&] { return device_->tables().program.requirements(handle_, &out); });
  Requirements result{{out.needs, out.needs + out.n_needs}, out.launches, out.barriers};
  for (scf_need& need : result.needs) {
    const std::uint64_t least = device_->info().heap(need.heap).bind_align;
    if (need.align != 0 && !std::has_single_bit(need.align))
      throw Error(Code::internal, fmt::format("{}: a program needs memory aligned to {}, which is no power of two",
                                              device_->plugin().name(), need.align));
    need.align = std::max(need.align, least);
  }
  return result;
}

Exec Program::instantiate(std::span<const scf_binding> bindings, std::span<const scf_slice> needs) {
  const scf_bindings all{
      {sizeof(scf_bindings), SCF_KIND_BINDINGS, nullptr}, bindings.data(), bindings.size(), needs.data(), needs.size()};
  scf_exec* handle = nullptr;
  call(device_->plugin(), "instantiate", [&] { return device_->tables().program.instantiate(handle_, &all, &handle); });
  return {shared_from_this(), handle};
}

Exec& Exec::operator=(Exec&& other) noexcept {
  if (this != &other) {
    reset();
    program_ = std::move(other.program_);
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

void Exec::reset() noexcept {
  if (handle_ != nullptr) program_->device().tables().program.exec_free(handle_);
  handle_ = nullptr;
  program_.reset();
}

Queue& Queue::operator=(Queue&& other) noexcept {
  if (this != &other) {
    reset();
    device_ = std::move(other.device_);
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

void Queue::reset() noexcept {
  if (handle_ != nullptr) device_->tables().queue.queue_free(handle_);
  handle_ = nullptr;
  device_.reset();
}

void Queue::submit(const Exec& exec, std::span<const scf_dim> dims, std::span<const scf_binding> io,
                   std::span<const scf_wait> waits, std::span<const scf_wait> signals) {
  const scf_submit step{{sizeof(scf_submit), SCF_KIND_SUBMIT, nullptr},
                        dims.data(),
                        dims.size(),
                        io.data(),
                        io.size(),
                        waits.data(),
                        waits.size(),
                        signals.data(),
                        signals.size()};
  call(device_->plugin(), "submit", [&] { return device_->tables().queue.submit(handle_, exec.handle(), &step); });
}

bool Queue::copy(scf_slice dst, scf_slice src, std::span<const scf_wait> waits, std::span<const scf_wait> signals) {
  if (device_->tables().queue.copy == nullptr) return false;
  const scf_submit step{{sizeof(scf_submit), SCF_KIND_SUBMIT, nullptr},
                        nullptr,
                        0,
                        nullptr,
                        0,
                        waits.data(),
                        waits.size(),
                        signals.data(),
                        signals.size()};
  call(device_->plugin(), "copy", [&] { return device_->tables().queue.copy(handle_, dst, src, &step); });
  return true;
}

} // namespace seacliff::plugins
