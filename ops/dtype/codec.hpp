// Exact decode and careful encode of every block format. Sources: ggml's block layouts, the GGUF documentation, OCP
// MX v1.0 for E2M1/E8M0. Decoding is bit-exact; encoding searches for the scales that lose least.
#pragma once

#include <seacliff/sdk/dtype.hpp>
#include <seacliff/sdk/numeric.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace seacliff::dtype {

using namespace numeric; // the scalar conversions, under this name too

/// Decodes `out.size()` elements (a multiple of the block size) from `bytes`. i32 is not decoded (assert).
void decode_row(DType dtype, const std::byte* bytes, std::span<float> out);

/// Encodes a row whose length is a multiple of the block size. `importance` (may be empty) is a weight >= 0 per element
/// of the row for its squared error; without it all elements weigh the same. Values should be finite.
void encode_row(DType dtype, std::span<const float> row, std::span<const float> importance, std::byte* bytes);

} // namespace seacliff::dtype
