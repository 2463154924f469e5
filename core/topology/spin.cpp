#include "core/topology/spin.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>

namespace seacliff {
namespace {

using Clock = std::chrono::steady_clock;

long futex(const std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  static_assert(sizeof word == sizeof value);
  return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

} // namespace

void Signal::wake_all() const { futex(word_, FUTEX_WAKE, INT_MAX); }

std::uint32_t Signal::wait_long(std::uint32_t old, Patience patience) const {
  const Clock::time_point start = Clock::now();
  const auto spin_until = start + std::chrono::microseconds(patience.spin_us);
  const auto yield_until = spin_until + std::chrono::microseconds(patience.yield_us);
  Clock::time_point now = start;
  while (now < spin_until) {
    for (std::uint32_t i = 0; i < 16; ++i) {
      if (const std::uint32_t value = load(); value != old) return value;
      cpu_relax();
    }
    now = Clock::now();
  }
  while (now < yield_until) {
    if (const std::uint32_t value = load(); value != old) return value;
    sched_yield();
    now = Clock::now();
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  std::uint32_t value = word_.load(std::memory_order_seq_cst);
  while (value == old) {
    futex(word_, FUTEX_WAIT, old); // returns at once when the word has changed, or early: look again
    value = word_.load(std::memory_order_seq_cst);
  }
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
  return value;
}

} // namespace seacliff
