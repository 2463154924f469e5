// Ctrl-C: the first asks for a clean stop, the second ends the program at once.
#pragma once

namespace seacliff::tools {

void install_interrupt_handler();
bool interrupted();

/// Exit code of a run that the user interrupted.
inline constexpr int k_exit_interrupted = 130;

} // namespace seacliff::tools
