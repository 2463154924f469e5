// How far a kernel may be from the reference, op by op.
#pragma once

#include "ops/cases/run_case.hpp"

#include <optional>

namespace seacliff::ops {

/// An element may differ by of_rms·R + relative·|expected|, R being the root mean square of the elements expected (of
/// a STATE: of those that the op changed; the others must not change). A share `outliers` of the elements may differ by
/// outlier_of_rms·R + outlier_relative·|expected|: where values are rounded to few bits, a last-bit difference before
/// can become a whole step. `all_of_rms`, where it is not 0, bounds the root mean square of all differences by a share
/// of R: roundings are as often up as down, a systematic error is not.
struct Tolerance {
  double of_rms = 0, relative = 0;
  double outliers = 0, outlier_of_rms = 0, outlier_relative = 0;
  double all_of_rms = 0;
};

/// For one output of a case. Outputs in i32 are equal or, where they are the result of a choice, as `find_mismatch`
/// says.
Tolerance tolerance_for(const Case& test, std::size_t output);

/// The first thing wrong with `got`, in one sentence; nothing when it passes. `expected` comes from the reference
/// kernels, which are also used to judge near-ties: a choice (top_k, top_k_rows, index_select, route) passes when what
/// was taken scores as well as what was left, up to the noise of the scores.
std::optional<std::string> find_mismatch(const Case& test, const Outputs& expected, const Outputs& got,
                                         std::span<const sdk::KernelEntry> reference);

} // namespace seacliff::ops
