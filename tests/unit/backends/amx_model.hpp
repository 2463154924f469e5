// The set `amx` on a model of its tile instructions.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <optional>
#include <string_view>

namespace seacliff::cpu {

/// The kernel of `op` on the model; none where `amx` has no code of its own.
std::optional<sdk::KernelEntry> amx_model_kernel(std::string_view op);

} // namespace seacliff::cpu
