// rms_norm: (x[...,D], w[D]?) -> x / sqrt(mean(x^2) + eps) * w. With `heads` or `flatten` the output has another shape
// over the same bytes: what is normalised is always a row of the output.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <cmath>

namespace kernels {

using namespace seacliff::sdk;
using seacliff::DType;

/// One row of `d` elements; `w` may be nullptr.
inline void normalise(const float* x, const float* w, float* y, std::int64_t d, float eps) {
  float squares = 0;
  for (std::int64_t i = 0; i < d; ++i) squares += x[i] * x[i];
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(d) + eps);
  for (std::int64_t i = 0; i < d; ++i) y[i] = x[i] * scale * (w != nullptr ? w[i] : 1.0f);
}

class RmsNorm final : public Kernel {
public:
  explicit RmsNorm(double eps) : eps_(static_cast<float>(eps)) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &w = call.input(1), &y = call.output(0);
    const float* weight = w ? w.f32() : nullptr; // an absent optional operand is false
    const auto [begin, end] = worker.share(y.rows());
    for (std::int64_t r = begin; r < end; ++r) normalise(x.f32() + r * y.cols(), weight, y.f32_row(r), y.cols(), eps_);
  }

private:
  float eps_;
};

inline Claim claim_rms_norm(const NodeView& node) {
  if (node.in(0).dtype() != DType::f32) return Claim::no("activations must be f32");
  if (node.in(1) && node.in(1).dtype() != DType::f32) return Claim::no("weights must be f32");
  return Claim::ok();
}

inline std::unique_ptr<Kernel> make_rms_norm(const NodeView& node) {
  return std::make_unique<RmsNorm>(node.attr_float("eps")); // attributes are read here, once, not in run
}

} // namespace kernels
