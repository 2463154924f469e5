// What a plugin says about itself: devices with their heaps, options with their meaning.
#pragma once

#include <seacliff/sdk/status.hpp>
#include <seacliff/sdk/table.hpp>

#include <array>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::sdk {

struct HeapDesc {
  std::uint32_t id = 0, kind = SCF_HEAP_HOST;
  std::uint64_t total = 0, budget = 0, max_alloc = 0, max_binding = 0; // bytes; 0: no limit known
  std::uint64_t bind_align = 1, import_kinds = SCF_IMPORT_HOST_POINTER, import_align = 1;
  std::uint32_t flags = SCF_HEAP_MAPPABLE | SCF_HEAP_COHERENT;
  std::int32_t numa_node = -1;
  double read_gbps = 0;
};

struct DeviceDesc {
  std::string id;   // stable across runs: "cpu:0"
  std::string name; // for people
  std::string driver, detail;
  std::string reason_unusable; // one sentence; then SCF_DEVICE_USABLE is not set
  std::array<std::uint8_t, 16> phys_uuid{};
  std::uint32_t kind = SCF_DEVICE_CPU;
  std::uint32_t flags = SCF_DEVICE_USABLE | SCF_DEVICE_UNIFIED_MEMORY;
  std::int32_t numa_node = -1;
  std::vector<HeapDesc> heaps;
};

/// Main memory as the kernel reports it; zeros where it does not.
inline HeapDesc host_heap() {
  HeapDesc heap;
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  std::uint64_t kib = 0;
  while (in >> key >> kib && std::getline(in, unit)) {
    if (key == "MemTotal:") heap.total = kib * 1024;
    if (key == "MemAvailable:") heap.budget = kib * 1024;
  }
  return heap;
}

/// Hands a description to the host's sink.
inline void report(const DeviceDesc& device, void (*sink)(void*, const scf_device_desc*), void* user) {
  std::vector<scf_heap_desc> heaps;
  for (const HeapDesc& heap : device.heaps)
    heaps.push_back({header<scf_heap_desc>(SCF_KIND_HEAP_DESC), heap.id, heap.kind, heap.total, heap.budget,
                     heap.max_alloc, heap.max_binding, heap.bind_align, heap.import_kinds, heap.import_align,
                     heap.flags, heap.numa_node, heap.read_gbps});
  std::vector<const scf_heap_desc*> pointers;
  for (const scf_heap_desc& heap : heaps) pointers.push_back(&heap);

  scf_device_desc desc{};
  desc.h = header<scf_device_desc>(SCF_KIND_DEVICE_DESC);
  desc.id = str(device.id);
  desc.name = str(device.name);
  desc.driver = str(device.driver);
  desc.reason_unusable = str(device.reason_unusable);
  std::copy(device.phys_uuid.begin(), device.phys_uuid.end(), desc.phys_uuid);
  desc.kind = device.kind;
  desc.flags = device.reason_unusable.empty() ? device.flags : device.flags & ~std::uint32_t{SCF_DEVICE_USABLE};
  desc.numa_node = device.numa_node;
  desc.n_heaps = static_cast<std::uint32_t>(pointers.size());
  desc.heaps = pointers.data();
  desc.detail = str(device.detail);
  sink(user, &desc);
}

/// An option that a plugin takes, with one line for people.
struct OptionSpec {
  std::string_view key, doc;
};

/// The options handed to open(), each checked against the plugin's list.
class Options {
public:
  /// Throws Failure(INVALID_ARGUMENT) naming a key that is not in `known`, and what is.
  Options(const scf_kv* pairs, std::uint32_t count, std::span<const OptionSpec> known) : pairs_(pairs, count) {
    for (const scf_kv& pair : pairs_) {
      const auto same = [&](const OptionSpec& spec) { return spec.key == view(pair.key); };
      if (std::any_of(known.begin(), known.end(), same)) continue;
      std::string message = "unknown option '" + std::string(view(pair.key)) + "'; ";
      message += known.empty() ? "there are none here" : "known:";
      for (const OptionSpec& spec : known) message += " " + std::string(spec.key);
      throw Failure(SCF_INVALID_ARGUMENT, message);
    }
  }

  std::string get_string(std::string_view key, std::string_view missing = {}) const {
    const scf_kv* pair = find(key, SCF_KV_STR);
    return std::string(pair != nullptr ? view(pair->v.s) : missing);
  }
  std::int64_t get_int(std::string_view key, std::int64_t missing = 0) const {
    const scf_kv* pair = find(key, SCF_KV_INT);
    return pair != nullptr ? pair->v.i : missing;
  }
  double get_float(std::string_view key, double missing = 0) const {
    const scf_kv* pair = find(key, SCF_KV_FLOAT);
    return pair != nullptr ? pair->v.f : missing;
  }

private:
  const scf_kv* find(std::string_view key, std::uint32_t type) const {
    static constexpr std::string_view names[] = {"", "an integer", "a number", "a string"};
    for (const scf_kv& pair : pairs_) {
      if (view(pair.key) != key) continue;
      if (pair.type == type) return &pair;
      throw Failure(SCF_INVALID_ARGUMENT, "option '" + std::string(key) + "' must be " + std::string(names[type]));
    }
    return nullptr;
  }

  std::span<const scf_kv> pairs_;
};

} // namespace seacliff::sdk
