// Rotary positions and the round trips of cached rows: what rope_tail, kv_round and index_round do to one row, shared
// with the composites.
#pragma once

#include "isa.hpp"

#include <seacliff/sdk/kernel.hpp>

#include <vector>

namespace seacliff::cpu {

/// The attributes rot, base, yarn (factor, orig_ctx, beta_fast, beta_slow), shift, inverse.
class Rotary {
public:
  static constexpr std::int64_t k_most = 512; // rotated elements
  explicit Rotary(const sdk::NodeView& node);

  /// Angles of one position, as cosines and sines.
  struct Turn {
    float cos[k_most / 2], sin[k_most / 2];
  };
  void angles(std::int64_t pos, Turn& turn) const;
  /// Rotates the last `rot` of the n elements in place.
  void rotate(float* row, std::int64_t n, const Turn& turn) const;
  std::int64_t rot() const { return rot_; }

private:
  std::int64_t rot_, shift_;
  bool inverse_;
  std::vector<double> frequency_;
};
/// NO when a node rotates more than k_most elements or an odd number of them.
sdk::Claim can_rotate(const sdk::NodeView& node);

/// kv_round (attributes kv8, rot, f16) or index_round (idx4, f16) of one row in place.
class RoundTrip {
public:
  enum class Kind { kv, index };
  RoundTrip(const Isa& isa, const sdk::NodeView& node, Kind kind);
  void apply(float* row, std::int64_t n) const;

private:
  const Isa& isa_;
  Kind kind_;
  bool eight_, four_, half_;
  std::int64_t rot_;
};
sdk::Claim can_round(const sdk::NodeView& node, RoundTrip::Kind kind, std::int64_t dim);

} // namespace seacliff::cpu
