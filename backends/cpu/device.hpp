// The one device of this backend: the processor, seen through one instruction set.
#pragma once

#include "isa_list.hpp"

#include <seacliff/sdk/device.hpp>

namespace seacliff::cpu {

/// The set of that name, or the best one for an empty name. Throws Failure(INVALID_ARGUMENT) naming those that run
/// here.
const Isa& choose_isa(std::string_view name);
/// The same, ready for all threads of the process. Where the operating system refuses it: for an empty name the best
/// set that it grants, else Failure(UNAVAILABLE).
const Isa& enabled_isa(std::string_view name);
sdk::DeviceDesc describe_device(const Isa& isa);

} // namespace seacliff::cpu
