#include "plugins/conformance/process_state.hpp"

#include <fmt/ranges.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cfenv>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <set>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

extern char** environ;

namespace seacliff::conform {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> thread_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator("/proc/self/task")) {
    std::ifstream in(entry.path() / "comm");
    std::string name;
    if (std::getline(in, name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> open_descriptors() {
  std::vector<std::string> targets;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code ec;
    const fs::path target = fs::read_symlink(entry.path(), ec);
    if (!ec && target.string().find("/proc/") != 0) targets.push_back(target.string()); // not the listing itself
  }
  std::sort(targets.begin(), targets.end());
  return targets;
}

std::vector<std::string> signal_handlers() {
  std::vector<std::string> handled;
  for (int number = 1; number < 65; ++number) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0) continue;
    const char* name = sigabbrev_np(number);
    if (action.sa_handler != SIG_DFL)
      handled.push_back(fmt::format("{} {}", name == nullptr ? std::to_string(number) : name,
                                    reinterpret_cast<const void*>(action.sa_handler)));
  }
  return handled;
}

std::string blocked_signals() {
  sigset_t set;
  pthread_sigmask(SIG_BLOCK, nullptr, &set);
  std::string text;
  for (int number = 1; number < 65; ++number)
    if (sigismember(&set, number) == 1) text += fmt::format("{} ", number);
  return text;
}

/// What is in one list and not in the other, as text; empty when they are equal.
std::string difference(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::vector<std::string> more, fewer;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(more));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(fewer));
  std::string text;
  if (!more.empty()) text += fmt::format("added {}", fmt::join(more, ", "));
  if (!fewer.empty()) text += fmt::format("{}removed {}", text.empty() ? "" : "; ", fmt::join(fewer, ", "));
  return text;
}

std::uint32_t float_control() {
  auto mode = static_cast<std::uint32_t>(std::fegetround());
#if defined(__SSE2__)
  constexpr std::uint32_t k_flags = 0x3f; // exceptions seen so far
  mode |= (_mm_getcsr() & ~k_flags) << 16U;
#endif
  return mode;
}

} // namespace

ProcessState ProcessState::now() {
  ProcessState state;
  state.threads = thread_names();
  state.descriptors = open_descriptors();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) state.environment.emplace_back(*entry);
  std::sort(state.environment.begin(), state.environment.end());
  state.signals = signal_handlers();
  state.signal_mask = blocked_signals();
  state.locale = std::setlocale(LC_ALL, nullptr);
  std::error_code ec;
  state.directory = fs::current_path(ec).string();
  state.file_mask = umask(0);
  umask(static_cast<mode_t>(state.file_mask));
  state.float_mode = float_control();
  return state;
}

void compare(Trial& trial, const ProcessState& before, const ProcessState& after, const std::string& when) {
  const auto lists = [&](const char* check, const auto& a, const auto& b) {
    const std::string text = difference(a, b);
    if (!text.empty()) trial.fail(check, fmt::format("{} changed the {}: {}", when, check, text));
  };
  lists("threads", before.threads, after.threads);
  lists("descriptors", before.descriptors, after.descriptors);
  lists("environment", before.environment, after.environment);
  lists("signals", before.signals, after.signals);
  trial.expect(before.signal_mask == after.signal_mask, "signals", when + " changed which signals are blocked");
  trial.expect(before.locale == after.locale, "locale", fmt::format("{} set the locale to {}", when, after.locale));
  trial.expect(before.directory == after.directory && before.file_mask == after.file_mask, "directory",
               when + " changed the current directory or the file mask");
  trial.expect(before.float_mode == after.float_mode, "float-mode",
               when + " changed how floats are rounded (flush-to-zero comes with -ffast-math at link time)");
}

std::uint64_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void begin_without_malloc_caches(char** argv) {
  constexpr const char *k_name = "GLIBC_TUNABLES", *k_cache = "glibc.malloc.tcache_count";
  const char* given = std::getenv(k_name);
  std::string tunables = given == nullptr ? "" : given;
  if (tunables.find(k_cache) != std::string::npos) return;
  if (!tunables.empty()) tunables += ':';
  tunables += fmt::format("{}=0", k_cache);
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  if (!ec && setenv(k_name, tunables.c_str(), 1) == 0) execv(self.c_str(), argv);
}

bool is_mapped(const std::string& file) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.ends_with(file)) return true;
  return false;
}

} // namespace seacliff::conform
