// What was timed since the last drain.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <cstdint>
#include <mutex>
#include <vector>

namespace seacliff::vulkan {

class Exec;

/// Records in memory taken at begin(); those that do not fit are counted. Thread-safe.
class ProfileLog {
public:
  struct Item {
    Exec* exec = nullptr;
    std::uint32_t first_node = 0, n_nodes = 0;
    std::uint64_t t0 = 0, t1 = 0, bytes = 0;
  };

  void begin(std::uint32_t granularity);
  std::uint32_t granularity() const;
  void add(const Item& item);
  /// An exec whose last run is not in the log yet. It is asked for its records by take().
  void expect(Exec* exec);
  void forget(Exec* exec);
  /// Empties the log. `lost`: since begin().
  std::vector<Item> take(std::uint64_t* lost);

private:
  static constexpr std::size_t k_capacity = 1 << 17;

  mutable std::mutex lock_;
  std::uint32_t granularity_ = SCF_PROFILE_OFF;
  std::vector<Item> items_;
  std::vector<Exec*> expected_;
  std::uint64_t lost_ = 0;
};

} // namespace seacliff::vulkan
