#include "ops/dtype/encode.hpp"
#include "ops/dtype/codec.hpp"
#include "ops/dtype/fit.hpp"

#include <cassert>
#include <cstring>

namespace seacliff::dtype {
namespace {

template <class Block>
void encode_blocks(DType dtype, std::span<const float> row, std::span<const float> importance, std::byte* bytes) {
  const std::size_t elems = dtype_info(dtype).block_elems;
  assert(row.size() % elems == 0 && (importance.empty() || importance.size() == row.size()));
  for (std::size_t at = 0; at < row.size(); at += elems, bytes += sizeof(Block))
    encode_block(row.data() + at, importance.empty() ? nullptr : importance.data() + at,
                 *reinterpret_cast<Block*>(bytes));
}

template <class Convert> void encode_halves(std::span<const float> row, std::byte* bytes, Convert convert) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::uint16_t bits = convert(row[i]);
    std::memcpy(bytes + 2 * i, &bits, 2);
  }
}

} // namespace

void encode_block(const float* x, const float*, blocks::Q8_0& out) {
  // Weights would change nothing: every element is coded to the nearest step.
  const float largest = numeric::detail::max_magnitude(x, 32, 0.0f);
  out.d = numeric::f32_to_f16(std::min(largest / 127.0f, 65504.0f));
  const float d = numeric::f16_to_f32(out.d);
  for (int i = 0; i < 32; ++i) out.q[i] = d > 0 ? static_cast<std::int8_t>(fit::nearest(x[i] / d, -127, 127)) : 0;
}

void encode_block(const float* x, const float* importance, blocks::MXFP4& out) {
  const float largest = numeric::detail::max_magnitude(x, 32, 0.0f);
  std::memset(&out, 0, sizeof out);
  if (!(largest > 0.0f) || !std::isfinite(largest)) return;
  // With largest = m·2^k, 1 <= m < 2: at k-2 it becomes 4..8, at k-1 2..4. One more to either side costs little.
  const int k = std::ilogb(largest);
  float least = INFINITY;
  for (int shift = k - 3; shift <= k; ++shift) {
    const int exponent = std::clamp(shift, -127, 125); // 6·2^125 is the largest that float32 holds
    const float scale = numeric::e8m0_to_f32(static_cast<std::uint8_t>(exponent + 127));
    const float to_error = std::ldexp(1.0f, exponent - k); // errors in units of 2^k: no overflow, nothing vanishes
    float error = 0;
    std::uint8_t code[32];
    for (int i = 0; i < 32; ++i) {
      const float scaled = x[i] / scale;
      code[i] = numeric::f32_to_e2m1(scaled);
      const float difference = (scaled - numeric::e2m1_to_f32(code[i])) * to_error;
      error += (importance == nullptr ? 1.0f : importance[i]) * difference * difference;
    }
    if (!(error < least)) continue;
    least = error;
    out.e = static_cast<std::uint8_t>(exponent + 127);
    for (int i = 0; i < 16; ++i) out.q[i] = static_cast<std::uint8_t>(code[i] | code[i + 16] << 4);
  }
}

void encode_row(DType dtype, std::span<const float> row, std::span<const float> importance, std::byte* bytes) {
  switch (dtype) {
  case DType::f32: std::memcpy(bytes, row.data(), row.size_bytes()); return;
  case DType::f16: return encode_halves(row, bytes, [](float v) { return numeric::f32_to_f16(v); });
  case DType::bf16: return encode_halves(row, bytes, [](float v) { return numeric::f32_to_bf16(v); });
  case DType::q8_0: return encode_blocks<blocks::Q8_0>(dtype, row, importance, bytes);
  case DType::q2_k: return encode_blocks<blocks::Q2_K>(dtype, row, importance, bytes);
  case DType::q3_k: return encode_blocks<blocks::Q3_K>(dtype, row, importance, bytes);
  case DType::q4_k: return encode_blocks<blocks::Q4_K>(dtype, row, importance, bytes);
  case DType::q5_k: return encode_blocks<blocks::Q5_K>(dtype, row, importance, bytes);
  case DType::q6_k: return encode_blocks<blocks::Q6_K>(dtype, row, importance, bytes);
  case DType::iq2_xxs: return encode_blocks<blocks::IQ2_XXS>(dtype, row, importance, bytes);
  case DType::mxfp4: return encode_blocks<blocks::MXFP4>(dtype, row, importance, bytes);
  case DType::i32: break;
  }
  assert(false && "not a floating format");
}

} // namespace seacliff::dtype
