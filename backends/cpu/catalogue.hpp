// The operations of this backend for one instruction set.
#pragma once

#include "isa_list.hpp"

#include <seacliff/sdk/kernel.hpp>

namespace seacliff::cpu {

/// Every op of docs/ops.md. The span lives as long as the library.
std::span<const sdk::KernelEntry> catalogue(const Isa& isa);

} // namespace seacliff::cpu
