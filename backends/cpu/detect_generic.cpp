// Machines without a set of their own.
#include "isa_list.hpp"

namespace seacliff::cpu {

bool runs_here(std::string_view name) { return name == "scalar"; }

} // namespace seacliff::cpu
