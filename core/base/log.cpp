#include "core/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace seacliff::log {
namespace {

std::uint32_t g_level = SCF_LOG_WARN;

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("seacliff", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace); // g_level has filtered already
    made->set_pattern("%v");
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

/// What the program does is told plainly; only what is wrong says how wrong, and debug text where it comes from.
std::string line(std::uint32_t level, std::string_view component, std::string_view message) {
  switch (level) {
  case SCF_LOG_ERROR: return fmt::format("error: {}", message);
  case SCF_LOG_WARN: return fmt::format("warning: {}", message);
  case SCF_LOG_INFO: return std::string(message);
  default: return fmt::format("{}: {}", component, message);
  }
}

} // namespace

void set_level(std::uint32_t level) { g_level = level; }
const std::uint32_t* level_address() { return &g_level; }

void write(std::uint32_t level, std::string_view component, std::string_view message) {
  if (level <= g_level) logger().log(spdlog_level(level), "{}", line(level, component, message));
}

} // namespace seacliff::log
