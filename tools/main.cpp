// The `seacliff` program. Exit codes: 0 ok, 1 failure, 2 usage, 3 refused by --strict, 130 interrupted.
#include "graph/run/model.hpp"
#include "plugins/loader/crash.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/usage.hpp"

#include <fmt/color.h>
#include <unistd.h>

#include <cstdio>

namespace {

enum ExitCode { k_ok = 0, k_failure = 1, k_usage = 2, k_refused = 3 };

void report(const char* text) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  std::fflush(stdout);
  if (terminal)
    fmt::print(stderr, fmt::fg(fmt::terminal_color::red), "error: ");
  else
    fmt::print(stderr, "error: ");
  fmt::print(stderr, "{}\n", text);
}

int run(int argc, char** argv) {
  using namespace seacliff;
  CLI::App app{"Sea Cliff: DeepSeek V4 on whatever computes here", "seacliff"};
  app.set_version_flag("--version", "seacliff " SEACLIFF_VERSION);
  app.require_subcommand(1);
  tools::Action action;
  tools::add_run(app, action);
  tools::add_logits(app, action);
  tools::add_perplexity(app, action);
  tools::add_bench(app, action);
  tools::add_profile(app, action);
  tools::add_backends(app, action);
  tools::add_inspect(app, action);
  tools::add_graph(app, action);
  tools::add_quantize(app, action);
  tools::add_synth(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? k_ok : k_usage;
  }
  tools::install_interrupt_handler();
  plugins::install_crash_reporter();
  try {
    return action();
  } catch (const graph::StrictRefusal& refusal) {
    report(refusal.what());
    return k_refused;
  } catch (const tools::UsageError& error) {
    report(error.what());
    return k_usage;
  } catch (const Error& error) {
    report(error.what());
    return error.code() == Code::cancelled ? tools::k_exit_interrupted : k_failure;
  }
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    report("out of memory; lower --ctx");
  } catch (const std::exception& error) {
    report(error.what());
  }
  return k_failure;
}
