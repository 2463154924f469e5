// The oracle: a kernel for every op of the catalogue, written to be read. Weights are decoded exactly, sums are kept in
// float64, int8 activations (act8) are never used. Sees the SDK and the formats only.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <span>

namespace seacliff::reference {

/// One entry per op, primitives and composites. They claim every node whose formats are known, as SLOW.
std::span<const sdk::KernelEntry> reference_kernels();
/// nullptr when there is no such op.
const sdk::KernelEntry* find_kernel(std::string_view op);

} // namespace seacliff::reference
