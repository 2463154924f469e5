#include "core/base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace seacliff::log {
namespace {

std::uint32_t g_level = SCF_LOG_WARN;

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>(
        "seacliff", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(spdlog::color_mode::automatic));
    made->set_level(spdlog::level::trace); // g_level has filtered already
    made->set_pattern("%^%l%$: %v");
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(std::uint32_t level) {
  switch (level) {
  case SCF_LOG_ERROR: return spdlog::level::err;
  case SCF_LOG_WARN: return spdlog::level::warn;
  case SCF_LOG_INFO: return spdlog::level::info;
  case SCF_LOG_DEBUG: return spdlog::level::debug;
  default: return spdlog::level::trace;
  }
}

} // namespace

void set_level(std::uint32_t level) { g_level = level; }
const std::uint32_t* level_address() { return &g_level; }

void write(std::uint32_t level, std::string_view component, std::string_view message) {
  if (level <= g_level) logger().log(spdlog_level(level), "{}: {}", component, message);
}

} // namespace seacliff::log
