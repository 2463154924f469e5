// A loaded plugin and what it makes, as owning C++ objects. Every failure is an Error that names plugin and call.
//
// Ownership: each object keeps alive what it was made by (Exec -> Program -> Device -> Plugin -> HostServices), so they
// may be destroyed in any order. Before an object goes, the host has waited for the work that uses it (rule O5).
#pragma once

#include "plugins/loader/host.hpp"

#include <seacliff/abi/scf_abi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace seacliff::plugins {

class Device;
class Program;
struct Tables; // the plugin's tables, normalised to full size (rule E8)

/// A key a plugin does not know is Error(invalid_argument).
struct Option {
  std::string key;
  std::variant<std::int64_t, double, std::string> value;
};
using Options = std::vector<Option>;
/// Of "KEY=VALUE"; whole numbers become numbers. Throws Error(invalid_argument).
Option parse_option(std::string_view text);

struct HeapInfo {
  std::uint32_t id = 0, kind = SCF_HEAP_HOST;
  std::uint64_t total = 0, budget = 0, max_alloc = 0, max_binding = 0; // bytes; 0: no limit known
  std::uint64_t bind_align = 1, import_kinds = 0, import_align = 1;    // powers of two once the device is open
  std::uint32_t flags = 0;                                             // SCF_HEAP_*
  std::int32_t numa_node = -1;
  double read_gbps = 0; // hint, 0: unknown

  bool mappable() const { return (flags & SCF_HEAP_MAPPABLE) != 0; }
  bool imports() const { return (import_kinds & SCF_IMPORT_HOST_POINTER) != 0; }
  /// Bytes of the largest value that can lie in it; 0: no limit.
  std::uint64_t largest_value() const {
    return max_alloc == 0 || max_binding == 0 ? std::max(max_alloc, max_binding) : std::min(max_alloc, max_binding);
  }
};

struct DeviceInfo {
  std::string id;   // as the plugin says it: "cpu:0", "pci:0000:c1:00.0"
  std::string name; // for people
  std::string driver, detail;
  std::string reason_unusable; // empty when usable
  std::array<std::uint8_t, 16> phys_uuid{};
  std::uint32_t kind = 0, flags = 0; // SCF_DEVICE_*
  std::int32_t numa_node = -1;
  std::vector<HeapInfo> heaps;

  bool usable() const { return (flags & SCF_DEVICE_USABLE) != 0; }
  bool software() const { return (flags & SCF_DEVICE_SOFTWARE) != 0; }
  bool last_resort() const { return (flags & SCF_DEVICE_LAST_RESORT) != 0; }
  bool unified_memory() const { return (flags & SCF_DEVICE_UNIFIED_MEMORY) != 0; }
  bool asynchronous() const { return (flags & SCF_DEVICE_ASYNC) != 0; }
  /// The heap that values are bound from. Throws Error(internal) when a usable device has none.
  const HeapInfo& own_heap() const;
  const HeapInfo& heap(std::uint32_t heap_id) const; // throws Error(not_found)
  /// The first heap that takes host memory; nullptr: none.
  const HeapInfo* import_heap() const;
  std::uint64_t memory_total() const;  // bytes of its own heaps; of all, when it computes in host memory
  std::uint64_t memory_budget() const; // likewise
};

/// "cpu", "gpu", "igpu", "accel".
std::string_view device_kind_name(std::uint32_t kind);

/// An opened plugin. Made by PluginSet (loader.hpp); the library stays in memory for ever, close() is called when the
/// last object of the plugin goes.
class Plugin : public std::enable_shared_from_this<Plugin> {
public:
  /// Checks and normalises the tables and opens the plugin. Throws Error: incompatible, invalid_argument (unknown
  /// option, missing table entry), or what open() says.
  Plugin(std::shared_ptr<HostServices> host, const scf_plugin* plugin, std::string path, const Options& options);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  const std::string& name() const;
  const std::string& vendor() const;
  const std::string& version() const;
  const std::string& path() const; // of the library
  /// Everything the plugin sees, the unusable ones too; asked once, at load.
  const std::vector<DeviceInfo>& devices() const;
  /// "cpu:0" stays, "pci:..." becomes "vulkan:pci:...": unique over all plugins, what users type.
  std::string full_id(const DeviceInfo& device) const;
  std::shared_ptr<Device> open_device(std::string_view id, const Options& options = {});

  const Tables& tables() const; // every required entry is set
  const HostServices& host() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Device or host memory. Empty after a move.
class Buffer {
public:
  Buffer() = default;
  /// `mappable`: as its heap says.
  Buffer(std::shared_ptr<Device> device, scf_buffer* handle, std::uint64_t bytes, bool mappable);
  ~Buffer() { reset(); }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;

  explicit operator bool() const { return handle_ != nullptr; }
  scf_buffer* handle() const { return handle_; }
  std::uint64_t bytes() const { return bytes_; }
  bool mappable() const { return mappable_; }
  scf_slice slice() const { return {handle_, 0, bytes_}; }
  /// Throws Error(out_of_range) when the slice leaves the buffer.
  scf_slice slice(std::uint64_t offset, std::uint64_t bytes) const;
  /// Host address of the whole buffer, valid until unmap() or destruction. Throws Error(unimplemented) when the device
  /// has no mappable memory.
  std::byte* map();
  void unmap();
  void flush(std::uint64_t offset, std::uint64_t bytes);      // after writing through map(); no-op when coherent
  void invalidate(std::uint64_t offset, std::uint64_t bytes); // before reading through map(); no-op when coherent

private:
  void reset() noexcept;

  std::shared_ptr<Device> device_;
  scf_buffer* handle_ = nullptr;
  std::uint64_t bytes_ = 0;
  bool mappable_ = false;
  std::byte* mapped_ = nullptr;
};

/// A timeline: a value that only grows, or a failure that every waiter receives with its first cause. Thread-safe.
class Semaphore {
public:
  static constexpr std::uint64_t k_forever = std::numeric_limits<std::uint64_t>::max();

  Semaphore() = default;
  Semaphore(std::shared_ptr<Device> device, scf_sema* handle) : device_(std::move(device)), handle_(handle) {}
  ~Semaphore() { reset(); }
  Semaphore(Semaphore&& other) noexcept { *this = std::move(other); }
  Semaphore& operator=(Semaphore&& other) noexcept;

  scf_sema* handle() const { return handle_; }
  scf_wait at(std::uint64_t value) const { return {handle_, value}; } // for Queue::submit
  std::uint64_t value() const;                                        // throws the cause of a failure
  /// Throws the cause of a failure, or Error(deadline_exceeded).
  void wait(std::uint64_t value, std::uint64_t timeout_ns = k_forever) const;
  void signal(std::uint64_t value);
  void fail(const Status& cause);

private:
  void reset() noexcept;

  std::shared_ptr<Device> device_;
  scf_sema* handle_ = nullptr;
};

struct Requirements {
  std::vector<scf_need> needs;              // checked: the heap is there, the alignment is a power of two
  std::uint64_t launches = 0, barriers = 0; // per submit, 0: unknown
};

/// A program with its weights, state and needs bound.
class Exec {
public:
  Exec() = default;
  Exec(std::shared_ptr<Program> program, scf_exec* handle) : program_(std::move(program)), handle_(handle) {}
  ~Exec() { reset(); }
  Exec(Exec&& other) noexcept { *this = std::move(other); }
  Exec& operator=(Exec&& other) noexcept;

  explicit operator bool() const { return handle_ != nullptr; }
  scf_exec* handle() const { return handle_; }

private:
  void reset() noexcept;

  std::shared_ptr<Program> program_;
  scf_exec* handle_ = nullptr;
};

/// A compiled segment.
class Program : public std::enable_shared_from_this<Program> {
public:
  Program(std::shared_ptr<Device> device, scf_program* handle) : device_(std::move(device)), handle_(handle) {}
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Device& device() const { return *device_; }
  Requirements requirements() const;
  /// `bindings`: every WEIGHT and STATE of the segment; the buffers must outlive the Exec. `needs`: as requirements()
  /// asked, one slice each.
  Exec instantiate(std::span<const scf_binding> bindings, std::span<const scf_slice> needs);

private:
  std::shared_ptr<Device> device_;
  scf_program* handle_;
};

/// One thread at a time submits to a queue. Submits of one queue run in order.
class Queue {
public:
  Queue() = default;
  Queue(std::shared_ptr<Device> device, scf_queue* handle) : device_(std::move(device)), handle_(handle) {}
  ~Queue() { reset(); }
  Queue(Queue&& other) noexcept { *this = std::move(other); }
  Queue& operator=(Queue&& other) noexcept;

  /// `io`: every INPUT and OUTPUT of the segment; `dims`: every symbol it uses. Waits and signals are semaphores of
  /// this device's plugin. A failure of the work itself arrives through the signals. No allocation in here.
  void submit(const Exec& exec, std::span<const scf_dim> dims, std::span<const scf_binding> io,
              std::span<const scf_wait> waits, std::span<const scf_wait> signals);
  /// False when the device has no copy entry: map both sides instead.
  bool copy(scf_slice dst, scf_slice src, std::span<const scf_wait> waits, std::span<const scf_wait> signals);

private:
  void reset() noexcept;

  std::shared_ptr<Device> device_;
  scf_queue* handle_ = nullptr;
};

/// What a device says about a node, or about a group of nodes that it would fuse.
struct ClaimInfo {
  std::vector<std::uint32_t> nodes; // node ids of the view
  std::uint32_t level = SCF_CLAIM_NO;
  std::string pattern, reason;
  double est_us = 0;
};

struct LayoutInfo {
  std::string name; // "cpu.q8_0.r8/1"
  std::uint32_t id = 0, flags = 0;
  std::uint64_t bytes = 0, align = 0, row_granularity = 1;
};

struct ClockPair {
  std::uint64_t device_ticks = 0, host_ns = 0;
  double ns_per_tick = 1; // nominal
};

/// Device ticks as the host's time: the line through two moments on both clocks, which is truer than the nominal rate.
class ClockLine {
public:
  /// The nominal rate of `to` where the two are less than a millisecond apart.
  ClockLine(const ClockPair& from, const ClockPair& to);
  std::uint64_t host_ns(std::uint64_t ticks) const;

private:
  ClockPair to_;
  double ns_per_tick_;
};

class Device : public std::enable_shared_from_this<Device> {
public:
  Device(std::shared_ptr<Plugin> plugin, scf_device* handle, DeviceInfo info)
      : plugin_(std::move(plugin)), handle_(handle), info_(std::move(info)) {}
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceInfo& info() const { return info_; }
  const Plugin& plugin() const { return *plugin_; }
  const Tables& tables() const { return plugin_->tables(); }
  std::string full_id() const { return plugin_->full_id(info_); }
  scf_device* handle() const { return handle_; }

  /// In the heap that values are bound from, or in another. `align` 0: as slices that are bound need it.
  Buffer alloc(std::uint64_t bytes, std::uint64_t align = 0);
  Buffer alloc(std::uint64_t bytes, std::uint64_t align, std::uint32_t heap);
  /// Uses host pages in place, as memory of info().import_heap(); they must outlive the buffer. Empty when the device
  /// takes none, or not these: alignment, size, or what the log (level info) says; `why` is then the plugin's code, if
  /// it was asked.
  std::optional<Buffer> import_host(const void* data, std::uint64_t bytes, bool read_only, Code* why = nullptr);
  std::uint64_t budget(std::uint32_t heap) const; // free bytes now

  /// One entry per node or group, in the plugin's order. Thread-safe.
  std::vector<ClaimInfo> propose(const scf_graph_view& view) const;
  /// Throws Error(unimplemented) with detail "node" when the plugin takes back its claim of that node.
  std::shared_ptr<Program> compile(const scf_graph_view& view, const Options& options = {});
  Queue create_queue();
  Semaphore create_semaphore(std::uint64_t initial = 0);

  bool has_layouts() const;
  std::vector<LayoutInfo> layouts(const scf_value& weight) const; // best first. Thread-safe.
  /// Rows [begin, end) from the file's bytes into layout `id`. Thread-safe.
  void repack(const scf_value& weight, std::uint32_t id, std::uint64_t begin, std::uint64_t end, const void* src,
              void* dst) const;
  void unpack(const scf_value& weight, std::uint32_t id, std::uint64_t begin, std::uint64_t end, const void* src,
              void* dst) const;

  bool has_profile() const;
  void profile_begin(std::uint32_t granularity); // SCF_PROFILE_*
  /// Drain before an Exec that ran goes. Returns the number of records lost so far.
  std::uint64_t profile_drain(const std::function<void(scf_exec*, const scf_profile_record&)>& sink);
  ClockPair profile_correlate() const;
  /// From profile_begin to now.
  ClockLine profile_clock() const { return {profile_began_, profile_correlate()}; }
  void profile_end();

private:
  std::shared_ptr<Plugin> plugin_;
  scf_device* handle_;
  DeviceInfo info_;
  ClockPair profile_began_;
};

} // namespace seacliff::plugins
