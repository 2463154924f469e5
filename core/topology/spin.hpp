// Waiting for a word of memory to change: spin first, then yield, then sleep in the kernel.
#pragma once

#include <atomic>
#include <cstdint>

namespace seacliff {

/// Tells the core that this is a spin loop, so that its sibling thread runs faster meanwhile.
inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How long a waiter stays awake. Spinning is right when each waiter has a core to itself.
struct Patience {
  std::uint32_t spin_us = 0;  // busy, answers within a fraction of a microsecond
  std::uint32_t yield_us = 0; // then gives the core to others between looks; then sleeps
};

/// A word that one thread changes and others wait for. Each lies on a cache line of its own.
class alignas(64) Signal {
public:
  std::uint32_t load() const { return word_.load(std::memory_order_acquire); }
  /// Changes the word and wakes those who sleep. What the caller wrote before is visible to those who see the change.
  void store(std::uint32_t value) {
    word_.store(value, std::memory_order_seq_cst);
    // Total order with the sleeper's count-then-look: either we see the sleeper or it sees the new word.
    if (sleepers_.load(std::memory_order_seq_cst) != 0) wake_all();
  }
  /// Returns once the word differs from `old`; returns the new value.
  std::uint32_t wait(std::uint32_t old, Patience patience) const {
    for (std::uint32_t i = 0; i < 256; ++i) {
      if (const std::uint32_t now = load(); now != old) return now;
      cpu_relax();
    }
    return wait_long(old, patience);
  }

private:
  void wake_all() const;
  std::uint32_t wait_long(std::uint32_t old, Patience patience) const;

  std::atomic<std::uint32_t> word_{0};
  mutable std::atomic<std::uint32_t> sleepers_{0};
};

} // namespace seacliff
