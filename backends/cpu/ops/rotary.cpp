#include "rotary.hpp"

#include <cmath>
#include <numbers>

namespace seacliff::cpu {

Rotary::Rotary(const sdk::NodeView& node)
    : rot_(node.attr_int("rot")), shift_(node.attr_int("shift")), inverse_(node.attr_int("inverse") != 0) {
  const double base = node.attr_float("base", 10000.0), rot = static_cast<double>(rot_);
  const bool yarn = node.attr_int("yarn") != 0;
  const double factor = node.attr_float("factor", 1.0), context = node.attr_float("orig_ctx", 1.0);
  const auto corner = [&](double beta) {
    return rot * std::log(context / (beta * 2.0 * std::numbers::pi)) / (2.0 * std::log(base));
  };
  const double low = yarn ? std::max(0.0, std::floor(corner(node.attr_float("beta_fast", 32.0)))) : 0.0;
  const double high = yarn ? std::min(rot - 1.0, std::ceil(corner(node.attr_float("beta_slow", 1.0)))) : 0.0;
  for (std::int64_t i = 0; i < rot_ / 2; ++i) {
    double f = std::pow(base, -2.0 * static_cast<double>(i) / rot);
    if (yarn) {
      const double ramp = 1.0 - std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
      f = f / factor * (1.0 - ramp) + f * ramp;
    }
    frequency_.push_back(f);
  }
}

void Rotary::angles(std::int64_t pos, Turn& turn) const {
  const auto p = static_cast<double>(std::max<std::int64_t>(0, pos + shift_));
  for (std::size_t i = 0; i < frequency_.size(); ++i) {
    const double angle = p * frequency_[i];
    turn.cos[i] = static_cast<float>(std::cos(angle));
    turn.sin[i] = static_cast<float>(inverse_ ? -std::sin(angle) : std::sin(angle));
  }
}

void Rotary::rotate(float* row, std::int64_t n, const Turn& turn) const {
  float* tail = row + n - rot_;
  for (std::int64_t i = 0; i < rot_ / 2; ++i) {
    const float a = tail[2 * i], b = tail[2 * i + 1];
    tail[2 * i] = a * turn.cos[i] - b * turn.sin[i];
    tail[2 * i + 1] = a * turn.sin[i] + b * turn.cos[i];
  }
}

sdk::Claim can_rotate(const sdk::NodeView& node) {
  const std::int64_t rot = node.attr_int("rot");
  if (rot < 0 || rot % 2 != 0 || rot > Rotary::k_most)
    return sdk::Claim::no("cannot rotate " + std::to_string(rot) + " elements");
  return sdk::Claim::ok();
}

RoundTrip::RoundTrip(const Isa& isa, const sdk::NodeView& node, Kind kind)
    : isa_(isa), kind_(kind), eight_(node.attr_int("kv8") != 0), four_(node.attr_int("idx4") != 0),
      half_(node.attr_int("f16") != 0), rot_(node.attr_int("rot")) {}

void RoundTrip::apply(float* row, std::int64_t n) const {
  if (kind_ == Kind::kv && eight_) isa_.round_kv8(row, n - rot_);
  if (kind_ == Kind::index && four_) isa_.round_idx4(row, n);
  if (!half_) return;
  constexpr std::int64_t piece = 256;
  std::byte bits[2 * piece];
  for (std::int64_t i = 0; i < n; i += piece) {
    const std::int64_t m = std::min(piece, n - i);
    isa_.to_half(row + i, bits, m);
    isa_.from_half(bits, row + i, m);
  }
}

sdk::Claim can_round(const sdk::NodeView& node, RoundTrip::Kind kind, std::int64_t dim) {
  const std::int64_t plain = dim - node.attr_int("rot");
  if (kind == RoundTrip::Kind::kv && node.attr_int("kv8") != 0 && (plain < 0 || plain % 64 != 0))
    return sdk::Claim::no("the E4M3 round trip needs whole blocks of 64, not " + std::to_string(plain));
  if (kind == RoundTrip::Kind::index && node.attr_int("idx4") != 0 && (dim < 32 || (dim & (dim - 1)) != 0))
    return sdk::Claim::no("the rotation needs a power of two of at least 32, not " + std::to_string(dim));
  return sdk::Claim::ok();
}

} // namespace seacliff::cpu
