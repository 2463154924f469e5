#include "plugins/loader/crash.hpp"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <initializer_list>
#include <ucontext.h>

namespace seacliff::plugins {
namespace {

/// Sanitizers report crashes themselves, and better.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool k_sanitized = true;
#else
constexpr bool k_sanitized = false;
#endif

thread_local const char* t_plugin = nullptr;
thread_local const char* t_entry = nullptr;

void say(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return; // there is nobody left to tell
}

/// The library that the instruction lies in; nullptr where it is the program or unknown.
const char* library_of([[maybe_unused]] const ucontext_t* context) {
#if defined(__x86_64__)
  auto* at = reinterpret_cast<void*>(context->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  auto* at = reinterpret_cast<void*>(context->uc_mcontext.pc);
#else
  void* at = nullptr;
#endif
  Dl_info info{};
  return at != nullptr && dladdr(at, &info) != 0 ? info.dli_fname : nullptr;
}

/// The default action stands again (SA_RESETHAND): the program dies when this returns.
void last_words(int number, siginfo_t*, void* context) {
  const char* name = sigabbrev_np(number);
  say("\nfatal: SIG");
  say(name == nullptr ? "?" : name);
  if (t_plugin != nullptr) {
    say(" inside plugin '");
    say(t_plugin);
    say("', ");
    say(t_entry);
    say("()");
  }
  if (const char* library = library_of(static_cast<const ucontext_t*>(context))) {
    say(", in code of ");
    say(library);
  }
  if (t_plugin != nullptr) say("; `seacliff-conform` shows what is wrong with a plugin");
  say("\n");
  raise(number);
}

} // namespace

InPlugin::InPlugin(const char* plugin, const char* entry) noexcept : plugin_before_(t_plugin), entry_before_(t_entry) {
  t_plugin = plugin;
  t_entry = entry;
}

InPlugin::~InPlugin() {
  t_plugin = plugin_before_;
  t_entry = entry_before_;
}

void install_crash_reporter() {
  if (k_sanitized) return;
  struct sigaction action {};
  action.sa_sigaction = last_words;
  action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaction(number, &action, nullptr);
}

} // namespace seacliff::plugins
