// Rows of weights, states and batches.
#pragma once

#include "ops/dtype/codec.hpp"

#include <seacliff/sdk/kernel.hpp>
#include <seacliff/sdk/numeric.hpp>

#include <cmath>
#include <cstring>

namespace seacliff::reference {

using sdk::Kernel;
using sdk::KernelCall;
using sdk::NodeView;
using sdk::Range;
using sdk::Tensor;
using sdk::Worker;

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// a·b in float64, as eight interleaved partial sums.
template <class A> double dot(const A* a, const float* b, std::int64_t n) {
  double part[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; ++lane)
      part[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
  for (int lane = 0; i < n; ++i, ++lane) part[lane] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]));
}

/// Decodes row `r` of a weight.
inline void decode(const Tensor& w, std::int64_t r, float* out) {
  dtype::decode_row(w.dtype, w.row(r), {out, static_cast<std::size_t>(w.cols())});
}

/// y[t·y_stride + n] = w_n·x_t for the rows n of `rows`; each weight row is decoded once, into `row`.
template <class X, class Y>
void product(const X* x, std::int64_t tokens, const Tensor& w, Range rows, float* row, Y* y, std::int64_t y_stride) {
  const std::int64_t k = w.cols();
  for (std::int64_t n = rows.begin; n < rows.end; ++n) {
    decode(w, n, row);
    for (std::int64_t t = 0; t < tokens; ++t) y[t * y_stride + n] = static_cast<Y>(dot(x + t * k, row, k));
  }
}

/// Row `r` of a STATE in f32 or f16.
inline void load_row(const Tensor& state, std::int64_t r, float* out) {
  const std::int64_t n = state.cols();
  if (state.dtype == DType::f32) {
    std::memcpy(out, state.row(r), static_cast<std::size_t>(n) * sizeof(float));
    return;
  }
  const auto* from = reinterpret_cast<const std::uint16_t*>(state.row(r));
  for (std::int64_t i = 0; i < n; ++i) out[i] = numeric::f16_to_f32(from[i]);
}

inline void store_row(const Tensor& state, std::int64_t r, const float* row) {
  const std::int64_t n = state.cols();
  if (state.dtype == DType::f32) {
    std::memcpy(state.row(r), row, static_cast<std::size_t>(n) * sizeof(float));
    return;
  }
  auto* to = reinterpret_cast<std::uint16_t*>(state.row(r));
  for (std::int64_t i = 0; i < n; ++i) to[i] = numeric::f32_to_f16(row[i]);
}

/// The ragged batch: which sequence a token belongs to, and where its run lies.
class Batch {
public:
  Batch(const Tensor& pos, const Tensor& seq) : pos_(pos.i32()), seq_(seq.i32()) {}

  std::int64_t pos(std::int64_t t) const { return pos_[t]; }
  std::int64_t slot(std::int64_t t) const { return seq_[3 * t]; }
  std::int64_t first(std::int64_t t) const { return seq_[3 * t + 1]; } // batch index of the run's first token
  std::int64_t last(std::int64_t t) const { return seq_[3 * t + 2]; }
  /// Whether token t is the last of a window of `ratio` positions.
  bool ends_window(std::int64_t t, std::int64_t ratio) const { return (pos(t) + 1) % ratio == 0; }

private:
  const std::int32_t* pos_;
  const std::int32_t* seq_;
};

/// Compressed rows that token t sees, of the `rows` that the cache can hold.
inline std::int64_t visible_rows(const Batch& batch, std::int64_t t, std::int64_t ratio, std::int64_t rows) {
  return std::min((batch.pos(t) + 1) / ratio, rows);
}

} // namespace seacliff::reference
