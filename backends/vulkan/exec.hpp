// A program with its memory bound: recorded once, replayed by every step.
#pragma once

#include "commands.hpp"
#include "memory.hpp"
#include "program.hpp"

#include <cstring>
#include <memory>
#include <vector>

namespace seacliff::vulkan {

/// The object behind a scf_exec. Throws Failure(invalid_argument) that names a WEIGHT or STATE without a binding, or a
/// slice that is too small.
class Exec {
public:
  Exec(Program& program, const scf_bindings& bindings);
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;
  ~Exec();

  /// Tells the device this step's symbols and addresses, and submits. Throws Failure that names what is missing or too
  /// small; then nothing was submitted.
  void run(const scf_submit& step);
  /// Waits for the last run that was timed and writes it to the device's log.
  void collect_times();

  static Exec* of(scf_exec* handle) { return reinterpret_cast<Exec*>(handle); }
  scf_exec* as_handle() { return reinterpret_cast<scf_exec*>(this); }

private:
  static constexpr std::uint64_t k_slots = 4; // steps that may be on their way at once

  void bind(const scf_bindings& bindings);
  /// A recording of all launches: with grids as they are when all symbols are at their largest, or read from the step's
  /// block; with or without timestamps between the launches.
  enum Kind : std::uint32_t { k_full = 0, k_varying = 1, k_full_timed = 2, k_varying_timed = 3 };

  void record_tells();
  VkCommandBuffer recording(Kind kind);
  void record_launches(VkCommandBuffer commands, Kind kind);
  /// Makes recordings again that have other slices in them than this step.
  void keep_recordings();
  std::uint64_t resolve(const Place& place) const;
  std::uint32_t resolve(const Word& word, bool varying) const;
  void fill(const scf_submit& step);
  /// Into next_.
  template <typename Number> void put(std::uint64_t offset, Number number) {
    std::memcpy(next_.data() + offset, &number, sizeof number);
  }
  std::int64_t value_of(const Symbol& symbol, const scf_submit& step) const;
  void wait_for(std::uint64_t step);

  Program& program_;
  Device& device_;
  std::vector<std::uint64_t> bound_; // by value: addresses of WEIGHT and STATE
  std::uint64_t scratch_ = 0;        // address
  std::unique_ptr<Buffer> slots_;    // the host's side of the step's block, k_slots times
  std::unique_ptr<Buffer> block_;    // the device's
  CommandPool pool_;
  VkCommandBuffer tell_[k_slots] = {}; // slot to block
  VkCommandBuffer recordings_[4] = {}; // by Kind, made when first wanted
  std::vector<std::byte> recorded_io_; // addresses of inputs and outputs in them; empty: there is no recording yet
  bool alternates_ = false;            // slices have changed: recordings look addresses up in the step's block
  VkQueryPool times_ = VK_NULL_HANDLE;
  std::uint32_t timing_ = SCF_PROFILE_OFF; // granularity of the run whose times are not collected yet
  Sema done_;
  std::uint64_t steps_ = 0;
  std::vector<std::int64_t> symbols_;  // of this step, as program_.symbols()
  std::vector<std::byte> told_, next_; // the step's block as the device has it, and as it shall be
};

/// The device's clock, read by an empty submit.
std::uint64_t timestamp_now(Device& device);

} // namespace seacliff::vulkan
