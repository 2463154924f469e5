#include "profile.hpp"

#include "exec.hpp"

#include <seacliff/sdk/table.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace seacliff::vulkan {

void ProfileLog::begin(std::uint32_t granularity) {
  const std::lock_guard lock(lock_);
  granularity_ = granularity;
  items_.clear();
  items_.shrink_to_fit();
  expected_.clear();
  lost_ = 0;
  if (granularity != SCF_PROFILE_OFF) items_.reserve(k_capacity);
}

std::uint32_t ProfileLog::granularity() const {
  const std::lock_guard lock(lock_);
  return granularity_;
}

void ProfileLog::add(const Item& item) {
  const std::lock_guard lock(lock_);
  if (items_.size() < k_capacity)
    items_.push_back(item);
  else
    ++lost_;
}

void ProfileLog::expect(Exec* exec) {
  const std::lock_guard lock(lock_);
  expected_.push_back(exec);
}

void ProfileLog::forget(Exec* exec) {
  const std::lock_guard lock(lock_);
  std::erase(expected_, exec);
}

std::vector<ProfileLog::Item> ProfileLog::take(std::uint64_t* lost) {
  std::vector<Exec*> expected;
  {
    const std::lock_guard lock(lock_);
    expected = std::exchange(expected_, {});
  }
  for (Exec* exec : expected) exec->collect_times();
  const std::lock_guard lock(lock_);
  std::vector<Item> items(items_); // the memory taken at begin() stays
  items_.clear();
  *lost = lost_;
  return items;
}

// ---- the entries of scf_profile_api --------------------------------------------------------------------------------

namespace {

scf_status* begin(scf_device* handle, std::uint32_t granularity) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    if (granularity > SCF_PROFILE_NODE)
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "there is no such profile granularity");
    if (device->caps().timestamp_bits == 0)
      throw sdk::Failure(SCF_UNIMPLEMENTED, "the queue of this device writes no timestamps");
    device->profile().begin(granularity);
  });
}

scf_status* drain(scf_device* handle, void (*sink)(void*, scf_exec*, const scf_profile_record*), void* user,
                  std::uint64_t* lost) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    for (const ProfileLog::Item& item : device->profile().take(lost)) {
      scf_profile_record record{};
      record.h = sdk::header<scf_profile_record>(SCF_KIND_PROFILE_RECORD);
      record.first_node = item.first_node;
      record.n_nodes = item.n_nodes;
      record.t0 = item.t0;
      record.t1 = item.t1;
      record.bytes = item.bytes;
      sink(user, item.exec->as_handle(), &record);
    }
  });
}

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

scf_status* correlate(scf_device* handle, std::uint64_t* ticks, std::uint64_t* host_ns, double* ns_per_tick) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    *ns_per_tick = device->caps().ns_per_tick;
    if (device->caps().calibrated) {
      const VkCalibratedTimestampInfoEXT infos[] = {
          {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr, VK_TIME_DOMAIN_DEVICE_EXT},
          {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr, VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
      std::uint64_t stamps[2] = {}, deviation = 0;
      check(device->vk().vkGetCalibratedTimestampsEXT(device->handle(), 2, infos, stamps, &deviation),
            "vkGetCalibratedTimestampsEXT");
      *ticks = stamps[0];
      *host_ns = stamps[1];
      return;
    }
    // A timestamp of its own between two looks at the clock.
    const std::uint64_t before = now_ns();
    *ticks = timestamp_now(*device);
    *host_ns = before + (now_ns() - before) / 2;
  });
}

scf_status* end(scf_device* handle) {
  Device* device = Device::of(handle);
  return guarded(device, [&] { device->profile().begin(SCF_PROFILE_OFF); });
}

} // namespace

const scf_profile_api k_profile{sdk::header<scf_profile_api>(SCF_KIND_PROFILE_API), begin, drain, correlate, end};

} // namespace seacliff::vulkan
