// Encoders of single blocks, one per family. Internal to ops/dtype.
#pragma once

#include <seacliff/sdk/blocks.hpp>

namespace seacliff::dtype {

// `x` holds the elements of the block, `importance` as many weights >= 0 or nullptr.

void encode_block(const float* x, const float* importance, blocks::Q8_0& out);
void encode_block(const float* x, const float* importance, blocks::MXFP4& out);
void encode_block(const float* x, const float* importance, blocks::Q2_K& out);
void encode_block(const float* x, const float* importance, blocks::Q3_K& out);
void encode_block(const float* x, const float* importance, blocks::Q4_K& out);
void encode_block(const float* x, const float* importance, blocks::Q5_K& out);
void encode_block(const float* x, const float* importance, blocks::Q6_K& out);
void encode_block(const float* x, const float* importance, blocks::IQ2_XXS& out);

} // namespace seacliff::dtype
