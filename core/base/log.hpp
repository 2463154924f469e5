// Log to stderr through spdlog.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <utility>

namespace seacliff::log {

/// SCF_LOG_ERROR ... SCF_LOG_TRACE; the default is SCF_LOG_WARN.
void set_level(std::uint32_t level);
/// For scf_host.log_level: lives for ever.
const std::uint32_t* level_address();
void write(std::uint32_t level, std::string_view component, std::string_view message);

template <typename... Args> void info(std::string_view component, fmt::format_string<Args...> f, Args&&... args) {
  if (*level_address() >= SCF_LOG_INFO) write(SCF_LOG_INFO, component, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args> void warn(std::string_view component, fmt::format_string<Args...> f, Args&&... args) {
  if (*level_address() >= SCF_LOG_WARN) write(SCF_LOG_WARN, component, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args> void debug(std::string_view component, fmt::format_string<Args...> f, Args&&... args) {
  if (*level_address() >= SCF_LOG_DEBUG) write(SCF_LOG_DEBUG, component, fmt::format(f, std::forward<Args>(args)...));
}

} // namespace seacliff::log
