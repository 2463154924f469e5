// Sizes for people.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace seacliff {

/// "512 B", "1.5 MiB", "23.5 GiB": binary units, one digit after the point from KiB on.
inline std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024.0;
  std::size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < std::size(units); ++unit) value /= 1024.0; // 1023.95 would print as 1024.0
  return fmt::format("{:.1f} {}", value, units[unit]);
}

} // namespace seacliff
