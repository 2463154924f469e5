// Machines without a set of their own.
#include "isa_list.hpp"

namespace seacliff::cpu {

bool runs_here(std::string_view name) { return name == "scalar"; }
bool enable(std::string_view name) { return runs_here(name); }

} // namespace seacliff::cpu
