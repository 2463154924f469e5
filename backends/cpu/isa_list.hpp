// The instruction sets in this library, and which of them this machine can run.
#pragma once

#include "isa.hpp"

#include <span>
#include <string>
#include <string_view>

namespace seacliff::cpu {

/// All sets compiled in, slowest first; the first is `scalar` and runs everywhere.
std::span<const Isa* const> compiled_isas();
/// Whether processor and operating system both support the set of that name (detect_*.cpp).
bool runs_here(std::string_view name);
/// Makes the set of that name usable in every thread of this process: some must be asked for from the operating system.
/// False when it does not run here or the system refuses. To be called before the first kernel of the set.
bool enable(std::string_view name);
/// The last one that runs here; nothing is enabled.
const Isa& best_isa();
/// nullptr when there is no such set or this machine lacks it.
const Isa* find_isa(std::string_view name);
/// Those that run here, separated by blanks.
std::string usable_isa_names();

} // namespace seacliff::cpu
