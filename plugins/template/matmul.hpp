// matmul: (x[T,...,K], w[N,K]) -> [T,...,N], every row of x with every row of w. The one op of the template.
#pragma once

#include <seacliff/sdk/blocks.hpp>
#include <seacliff/sdk/kernel.hpp>
#include <seacliff/sdk/numeric.hpp>

namespace kernels {

using namespace seacliff::sdk;
using seacliff::DType;

/// How rows of one format are multiplied: `dot` of K elements with K floats. A new format is a new struct like these.
struct F32Row {
  static constexpr DType k_dtype = DType::f32;
  static float dot(const std::byte* row, const float* x, std::int64_t k) {
    const auto* w = reinterpret_cast<const float*>(row);
    float sum = 0;
    for (std::int64_t i = 0; i < k; ++i) sum += w[i] * x[i];
    return sum;
  }
};

struct Q8Row { // blocks of 32 bytes with one scale: value = d * q[i], see <seacliff/sdk/blocks.hpp>
  static constexpr DType k_dtype = DType::q8_0;
  static float dot(const std::byte* row, const float* x, std::int64_t k) {
    const auto* blocks = reinterpret_cast<const seacliff::blocks::Q8_0*>(row);
    float sum = 0;
    for (std::int64_t b = 0; b < k / 32; ++b) {
      float part = 0;
      for (std::int64_t i = 0; i < 32; ++i) part += static_cast<float>(blocks[b].q[i]) * x[32 * b + i];
      sum += seacliff::numeric::f16_to_f32(blocks[b].d) * part;
    }
    return sum;
  }
};

/// Why the loops stand in this order: a step reads every weight once and a handful of activations, so the time is that
/// of the weights. The outer loop is over rows of w: each is read from memory by one worker, once, and used for all
/// tokens while it is in the cache. The other order reads all of w again for every token.
template <typename Row> class Matmul final : public Kernel {
public:
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &w = call.input(1), &y = call.output(0);
    // Shares in multiples of 16 floats: no two workers write to one cache line.
    const auto [begin, end] = worker.share(w.rows(), 16);
    for (std::int64_t n = begin; n < end; ++n)
      for (std::int64_t t = 0; t < x.rows(); ++t) y.f32_row(t)[n] = Row::dot(w.row(n), x.f32_row(t), x.cols());
  }
};

/// Takes a node when the weight is in this format, else says why not.
template <typename Row> Claim claim_matmul(const NodeView& node) {
  const auto name = seacliff::dtype_info(Row::k_dtype).name;
  if (node.in(0).dtype() != DType::f32) return Claim::no("activations must be f32");
  if (node.in(1).dtype() != Row::k_dtype) return Claim::no("weights must be " + std::string(name));
  return Claim::ok(); // slow() for "correct, please avoid", preferred() to attract work
}

template <typename Row> std::unique_ptr<Kernel> make_matmul(const NodeView&) { return std::make_unique<Matmul<Row>>(); }

} // namespace kernels
