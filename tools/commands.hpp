// One line per subcommand; each lives in a file of its own. `add_NAME` registers options and help text with `app`; when
// the user picks the subcommand, `action` becomes what to run, and its result the exit code.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace seacliff::tools {

void add_inspect(CLI::App& app, std::function<int()>& action);

} // namespace seacliff::tools
