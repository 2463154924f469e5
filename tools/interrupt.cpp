#include "tools/interrupt.hpp"

#include <csignal>

namespace seacliff::tools {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void on_interrupt(int) {
  g_interrupted = 1;
  std::signal(SIGINT, SIG_DFL);
}

} // namespace

void install_interrupt_handler() { std::signal(SIGINT, on_interrupt); }
bool interrupted() { return g_interrupted != 0; }

} // namespace seacliff::tools
