// One more format for matmul.
#pragma once

#include "matmul.hpp"

namespace kernels {

struct F16Row {
  static constexpr DType k_dtype = DType::f16;
  static float dot(const std::byte* row, const float* x, std::int64_t k) {
    const auto* w = reinterpret_cast<const std::uint16_t*>(row);
    float sum = 0;
    for (std::int64_t i = 0; i < k; ++i) sum += seacliff::numeric::f16_to_f32(w[i]) * x[i];
    return sum;
  }
};

} // namespace kernels
