// Last words. A plugin is native code in this process: what it does to itself it does to us. This names it.
#pragma once

namespace seacliff::plugins {

/// While it lives, this thread runs code of a plugin. Both texts must live as long as it.
class InPlugin {
public:
  InPlugin(const char* plugin, const char* entry) noexcept;
  ~InPlugin();
  InPlugin(const InPlugin&) = delete;
  InPlugin& operator=(const InPlugin&) = delete;

private:
  const char *plugin_before_, *entry_before_;
};

/// From now on a program that dies of SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT says on standard error which plugin's
/// code ran, and which file the code lies in; it dies all the same. Does nothing in builds with a sanitizer, which tell
/// more.
void install_crash_reporter();

} // namespace seacliff::plugins
