// Cases of random shape: what the fixed grids do not think of. Same op, seed and index, same case.
#pragma once

#include "ops/cases/cases.hpp"

namespace seacliff::ops {

/// `count` cases of one op; those with index below `count` are the same for a larger one. Empty when there is no such
/// op.
std::vector<Case> random_cases(std::string_view op, std::uint64_t seed, std::int64_t count);

} // namespace seacliff::ops
