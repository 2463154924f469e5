#include "core/topology/topology.hpp"

#include "core/base/status.hpp"
#include "core/memory/memory_limit.hpp"

#include <fmt/format.h>
#include <hwloc.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace seacliff {
namespace {

using Bitmap = std::unique_ptr<hwloc_bitmap_s, void (*)(hwloc_bitmap_t)>;

Bitmap make_bitmap() { return {hwloc_bitmap_alloc(), hwloc_bitmap_free}; }

struct Core {
  std::vector<std::uint32_t> cpus; // the core's logical CPUs, numbers of the operating system
  std::uint32_t node = 0;          // index among the NUMA nodes
};

std::string plural(std::uint32_t n, const char* thing) { return fmt::format("{} {}{}", n, thing, n == 1 ? "" : "s"); }

} // namespace

struct Topology::Impl {
  hwloc_topology_t handle = nullptr;
  bool synthetic = false;
  std::vector<Core> cores;
  std::vector<std::size_t> core_of_cpu; // logical CPUs in order, core by core
  std::uint32_t nodes = 1;
  std::uint32_t default_workers = 1;
  std::uint64_t memory = 0;

  ~Impl() {
    if (handle != nullptr) hwloc_topology_destroy(handle);
  }

  void load(const std::string& source);
  void restrict_to_affinity() const;
  void collect();
  std::uint32_t node_of(hwloc_obj_t core) const;
};

void Topology::Impl::load(const std::string& source) {
  const Error failure(Code::unavailable, "hwloc cannot read the machine's topology",
                      "check that /sys is mounted, or describe the machine with an hwloc XML file");
  if (hwloc_topology_init(&handle) != 0) {
    handle = nullptr;
    throw failure;
  }
  synthetic = !source.empty();
  if (synthetic) {
    std::error_code error;
    const bool is_file = std::filesystem::is_regular_file(source, error);
    const int rc =
        is_file ? hwloc_topology_set_xml(handle, source.c_str()) : hwloc_topology_set_synthetic(handle, source.c_str());
    if (rc != 0 || hwloc_topology_load(handle) != 0) {
      throw Error(Code::invalid_argument,
                  fmt::format("topology '{}' is neither a readable hwloc XML file nor a synthetic description", source),
                  "give a file made by lstopo, or a description such as 'numa:2 core:8 pu:2'");
    }
    return;
  }
  if (hwloc_topology_load(handle) != 0) throw failure;
  restrict_to_affinity();
}

void Topology::Impl::restrict_to_affinity() const {
  // hwloc leaves out what a cpuset forbids, not what taskset or a batch system took away.
  const Bitmap mask = make_bitmap();
  if (mask == nullptr || hwloc_get_cpubind(handle, mask.get(), HWLOC_CPUBIND_THREAD) != 0) return;
  if (hwloc_bitmap_iszero(mask.get())) return;
  hwloc_topology_restrict(handle, mask.get(), 0); // refused when nothing would be left: then we keep all
}

std::uint32_t Topology::Impl::node_of(hwloc_obj_t core) const {
  for (std::uint32_t i = 0; i < nodes; ++i) {
    const hwloc_obj_t node = hwloc_get_obj_by_type(handle, HWLOC_OBJ_NUMANODE, i);
    if (node != nullptr && hwloc_bitmap_isincluded(core->cpuset, node->cpuset)) return i;
  }
  return 0;
}

void Topology::Impl::collect() {
  nodes = static_cast<std::uint32_t>(std::max(1, hwloc_get_nbobjs_by_type(handle, HWLOC_OBJ_NUMANODE)));
  // Some virtual machines show no cores: then each logical CPU counts as one.
  const hwloc_obj_type_t type = hwloc_get_nbobjs_by_type(handle, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  for (hwloc_obj_t object = hwloc_get_next_obj_by_type(handle, type, nullptr); object != nullptr;
       object = hwloc_get_next_obj_by_type(handle, type, object)) {
    Core core;
    core.node = node_of(object);
    for (int cpu = hwloc_bitmap_first(object->cpuset); cpu >= 0; cpu = hwloc_bitmap_next(object->cpuset, cpu)) {
      core.cpus.push_back(static_cast<std::uint32_t>(cpu));
    }
    if (core.cpus.empty()) continue;
    core_of_cpu.insert(core_of_cpu.end(), core.cpus.size(), cores.size());
    cores.push_back(std::move(core));
  }
  if (cores.empty()) throw Error(Code::unavailable, "the topology has no CPU that this process may use");

  default_workers = static_cast<std::uint32_t>(cores.size());
  memory = hwloc_get_root_obj(handle)->total_memory;
  if (synthetic) return;
  if (const double quota = cgroup_cpus(); quota > 0) {
    // More workers than the quota pays for would be stopped in the middle of a barrier.
    const double whole = std::max(1.0, std::floor(quota + 0.01));
    default_workers = static_cast<std::uint32_t>(std::min<double>(whole, default_workers));
  }
}

Topology::Topology(const std::string& source) : impl_(std::make_unique<Impl>()) {
  impl_->load(source);
  impl_->collect();
}

Topology::~Topology() = default;

std::uint32_t Topology::physical_cores() const { return static_cast<std::uint32_t>(impl_->cores.size()); }
std::uint32_t Topology::logical_cpus() const { return static_cast<std::uint32_t>(impl_->core_of_cpu.size()); }
std::uint32_t Topology::numa_nodes() const { return impl_->nodes; }
std::uint32_t Topology::default_workers() const { return impl_->default_workers; }
bool Topology::synthetic() const { return impl_->synthetic; }

std::uint64_t Topology::memory_total() const {
  if (impl_->synthetic) return impl_->memory;
  // The nodes' own figures may be older than MemTotal where a virtual machine grows.
  const MemoryLimit limit = memory_limit();
  const std::uint64_t machine = std::max(impl_->memory, limit.machine);
  return limit.cgroup == 0 ? machine : std::min(machine, limit.cgroup);
}

std::uint64_t Topology::memory_available() const { return impl_->synthetic ? impl_->memory : memory_limit().available; }

std::string Topology::summary() const {
  const double gib = static_cast<double>(memory_total()) / (1024.0 * 1024.0 * 1024.0);
  return fmt::format("{}, {}, {:.1f} GiB", plural(physical_cores(), "core"), plural(numa_nodes(), "NUMA node"), gib);
}

std::vector<std::uint32_t> Topology::cpus_of_worker(std::uint32_t i, std::uint32_t n) const {
  if (n == 0 || i >= n) {
    throw Error(Code::invalid_argument, fmt::format("there is no worker {} in a team of {}", i, n));
  }
  const std::uint64_t n_cores = impl_->cores.size();
  const std::uint64_t n_cpus = impl_->core_of_cpu.size();
  if (n <= n_cores) return {impl_->cores[i * n_cores / n].cpus.front()};
  if (n > n_cpus) return {};
  const std::size_t at = i * n_cpus / n;
  const std::size_t core = impl_->core_of_cpu[at];
  const auto first = std::lower_bound(impl_->core_of_cpu.begin(), impl_->core_of_cpu.end(), core);
  return {impl_->cores[core].cpus[at - static_cast<std::size_t>(first - impl_->core_of_cpu.begin())]};
}

std::uint32_t Topology::node_of_worker(std::uint32_t i, std::uint32_t n) const {
  const std::vector<std::uint32_t> cpus = cpus_of_worker(i, n);
  if (cpus.empty()) return 0;
  const auto owns = [&cpus](const Core& core) {
    return std::find(core.cpus.begin(), core.cpus.end(), cpus.front()) != core.cpus.end();
  };
  return std::find_if(impl_->cores.begin(), impl_->cores.end(), owns)->node;
}

bool Topology::bind_thread(const std::vector<std::uint32_t>& cpus) const {
  if (impl_->synthetic || cpus.empty()) return false;
  const Bitmap set = make_bitmap();
  if (set == nullptr) return false;
  for (const std::uint32_t cpu : cpus) {
    if (hwloc_bitmap_set(set.get(), cpu) != 0) return false;
  }
  return hwloc_set_cpubind(impl_->handle, set.get(), HWLOC_CPUBIND_THREAD) == 0;
}

} // namespace seacliff
