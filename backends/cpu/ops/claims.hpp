// What the operations ask of a node before they take it.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <initializer_list>

namespace seacliff::cpu {

/// The named inputs are weights in the file's layout, in a format there is a kernel for, with whole blocks per row.
sdk::Claim with_weights(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs);
/// The named inputs are STATE in f32 or f16; absent ones are fine.
sdk::Claim with_states(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs);
/// The first that declines, else OK.
sdk::Claim all_of(std::initializer_list<sdk::Claim> claims);

} // namespace seacliff::cpu
