// Scratch memory of a kernel, cut into arrays. scratch_bytes and run cut in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace seacliff::reference {

/// Bytes that an array of `n` elements takes of the scratch.
template <class T> constexpr std::uint64_t scratch_for(std::int64_t n) {
  return (static_cast<std::uint64_t>(n) * sizeof(T) + 63) / 64 * 64;
}

class Scratch {
public:
  explicit Scratch(std::span<std::byte> memory) : next_(memory.data()) {}

  /// An array shared by all workers.
  template <class T> T* take(std::int64_t n) {
    T* array = reinterpret_cast<T*>(next_);
    next_ += scratch_for<T>(n);
    return array;
  }
  /// One array for each of `workers`; the one of `worker`.
  template <class T> T* take_own(std::int64_t n, std::uint32_t worker, std::uint32_t workers) {
    std::byte* first = next_;
    next_ += scratch_for<T>(n) * workers;
    return reinterpret_cast<T*>(first + scratch_for<T>(n) * worker);
  }

private:
  std::byte* next_;
};

} // namespace seacliff::reference
