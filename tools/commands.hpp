// One line per subcommand. Each registers itself and, when chosen, sets `action` to what runs it; the result of the
// action is the exit code.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace seacliff::tools {

using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action);
void add_logits(CLI::App& app, Action& action);
void add_perplexity(CLI::App& app, Action& action);
void add_backends(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_quantize(CLI::App& app, Action& action);
void add_graph(CLI::App& app, Action& action);
void add_synth(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_profile(CLI::App& app, Action& action);

} // namespace seacliff::tools
