// What several kernels do to one row: norm, rotation, rounding.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace seacliff::reference {

/// 1/sqrt(mean(x²)+eps)
double rms_scale(std::span<const float> x, double eps);
/// In place; `weight` may be nullptr.
void rms_norm(std::span<float> x, const float* weight, double eps);

/// Rotary positions on the last *rot* elements of a row; frequencies and angles in float64.
class Rope {
public:
  explicit Rope(const sdk::NodeView& node);
  /// Rotates adjacent pairs by (pos+shift)·freq_i, or back.
  void apply(std::span<float> row, std::int64_t pos) const;

private:
  std::vector<double> freq_;
  std::int64_t shift_;
  bool inverse_;
};

/// What a cached key-value row goes through: E4M3 for the part not rotated, then f16.
class KvRound {
public:
  explicit KvRound(const sdk::NodeView& node)
      : rot_(node.attr_int("rot")), kv8_(node.attr_int("kv8") != 0), f16_(node.attr_int("f16") != 0) {}
  void apply(std::span<float> row) const;

private:
  std::int64_t rot_;
  bool kv8_, f16_;
};

/// What rows and queries of the indexer go through: rotation and E2M1, then f16.
class IndexRound {
public:
  explicit IndexRound(const sdk::NodeView& node) : idx4_(node.attr_int("idx4") != 0), f16_(node.attr_int("f16") != 0) {}
  IndexRound(bool idx4, bool f16) : idx4_(idx4), f16_(f16) {}
  void apply(std::span<float> row) const;

private:
  bool idx4_, f16_;
};

/// silu(min(g,c))·clamp(u,-c,c); c <= 1e-6: no clamp.
double swiglu(double g, double u, double clamp);

double sqrt_softplus(double x);

/// Indices of the k largest of score(0) ... score(n-1), descending, ties to the lower index; NaN counts as -inf.
void top_k(std::span<const double> score, std::span<std::int32_t> best);

} // namespace seacliff::reference
