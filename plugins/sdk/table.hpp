// Growable structs at the boundary (rules E2-E5): read what the writer knew, write what the reader has room for.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <algorithm>
#include <cstring>

namespace seacliff::sdk {

/// A header for a struct that this side writes.
template <typename T> constexpr scf_hdr header(std::uint32_t kind) {
  return {static_cast<std::uint32_t>(sizeof(T)), kind, nullptr};
}

/// A copy of full size: fields that the writer did not know are zero, fields that we do not know are dropped.
template <typename T> T read_struct(const T* from) {
  T result;
  std::memset(static_cast<void*>(&result), 0, sizeof(T));
  std::memcpy(static_cast<void*>(&result), from, std::min<std::size_t>(sizeof(T), from->h.size));
  return result;
}

/// Fills a struct of the other side, whose `h.size` says how much room there is.
template <typename T> void write_struct(T* to, const T& from) {
  const scf_hdr h = to->h;
  std::memcpy(static_cast<void*>(to), &from, std::min<std::size_t>(sizeof(T), h.size));
  to->h = {std::min(h.size, static_cast<std::uint32_t>(sizeof(T))), h.kind, h.next};
}

/// Item `i` of an array whose element size the writer chose (rule E11).
template <typename T> const T& strided(const T* base, std::uint32_t stride, std::uint64_t i) {
  return *reinterpret_cast<const T*>(reinterpret_cast<const unsigned char*>(base) + i * stride);
}

} // namespace seacliff::sdk
