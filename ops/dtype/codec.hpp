// Exact decode and careful encode of every block format. Sources: ggml's block layouts, the GGUF documentation, OCP
// MX v1.0 for E2M1/E8M0. Decoding is bit-exact; encoding searches for the scales that lose least.
#pragma once

#include <seacliff/sdk/dtype.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace seacliff::dtype {

/// Decodes `out.size()` elements (a multiple of the block size) from `blocks`. i32 is not decoded (assert).
void decode_row(DType dtype, const std::byte* blocks, std::span<float> out);

/// Encodes a row whose length is a multiple of the block size. `importance` (may be empty) is a weight per element of
/// the row, larger is dearer; without it the encoder derives weights from the values, as ggml's does.
void encode_row(DType dtype, std::span<const float> row, std::span<const float> importance, std::byte* blocks);

float f16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_f16(float value); // round to nearest, ties to even; overflow to infinity
float bf16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_bf16(float value); // round to nearest, ties to even
float e8m0_to_f32(std::uint8_t bits);   // 2^(bits-127); 0 gives the subnormal 2^-127; 255 gives NaN
float e4m3_to_f32(std::uint8_t bits);   // OCP E4M3FN
float e2m1_to_f32(std::uint8_t code);   // low nibble
float round_e4m3(float value);          // nearest representable, ties to even, saturating at 448
float round_e2m1(float value);          // nearest of {0,.5,1,1.5,2,3,4,6} with sign, ties to the even code

} // namespace seacliff::dtype
