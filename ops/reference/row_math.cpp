#include "ops/reference/row_math.hpp"

#include <seacliff/sdk/numeric.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace seacliff::reference {
namespace {

void round_f16(std::span<float> x) {
  for (float& v : x) v = numeric::f16_to_f32(numeric::f32_to_f16(v));
}

} // namespace

double rms_scale(std::span<const float> x, double eps) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v) * v;
  return 1.0 / std::sqrt(sum / static_cast<double>(x.size()) + eps);
}

void rms_norm(std::span<float> x, const float* weight, double eps) {
  const double scale = rms_scale(x, eps);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(x[i] * scale * (weight ? weight[i] : 1.0f));
}

Rope::Rope(const sdk::NodeView& node) : shift_(node.attr_int("shift")), inverse_(node.attr_int("inverse") != 0) {
  const std::int64_t rot = node.attr_int("rot");
  const double base = node.attr_float("base");
  freq_.resize(static_cast<std::size_t>(rot / 2));
  for (std::size_t i = 0; i < freq_.size(); ++i)
    freq_[i] = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(rot));
  if (node.attr_int("yarn") == 0) return;

  // YaRN: pairs that turn often within the original context keep their frequency, slow ones are stretched by `factor`,
  // a ramp lies between.
  const double factor = node.attr_float("factor"), context = node.attr_float("orig_ctx");
  const auto pair_that_turns = [&](double times) {
    return static_cast<double>(rot) * std::log(context / (times * 2.0 * std::numbers::pi)) / (2.0 * std::log(base));
  };
  const double low = std::max(0.0, std::floor(pair_that_turns(node.attr_float("beta_fast"))));
  const double high = std::min(static_cast<double>(rot - 1), std::ceil(pair_that_turns(node.attr_float("beta_slow"))));
  for (std::size_t i = 0; i < freq_.size(); ++i) {
    const double along = std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
    freq_[i] = freq_[i] / factor * along + freq_[i] * (1.0 - along);
  }
}

void Rope::apply(std::span<float> row, std::int64_t pos) const {
  const double at = static_cast<double>(std::max<std::int64_t>(pos + shift_, 0));
  const std::span<float> tail = row.last(2 * freq_.size());
  for (std::size_t i = 0; i < freq_.size(); ++i) {
    const double angle = at * freq_[i];
    const double c = std::cos(angle), s = inverse_ ? -std::sin(angle) : std::sin(angle);
    const double a = tail[2 * i], b = tail[2 * i + 1];
    tail[2 * i] = static_cast<float>(a * c - b * s);
    tail[2 * i + 1] = static_cast<float>(a * s + b * c);
  }
}

void KvRound::apply(std::span<float> row) const {
  if (kv8_) numeric::kv8_round_trip(row.first(row.size() - static_cast<std::size_t>(rot_)));
  if (f16_) round_f16(row);
}

void IndexRound::apply(std::span<float> row) const {
  if (idx4_) numeric::idx4_round_trip(row);
  if (f16_) round_f16(row);
}

double swiglu(double g, double u, double clamp) {
  if (clamp > 1e-6) {
    g = std::min(g, clamp);
    u = std::clamp(u, -clamp, clamp);
  }
  return g / (1.0 + std::exp(-g)) * u;
}

double sqrt_softplus(double x) {
  // exp(x) overflows only far beyond the point where softplus(x) is x.
  return std::sqrt(x > 40.0 ? x : std::log1p(std::exp(x)));
}

void top_k(std::span<const double> score, std::span<std::int32_t> best) {
  constexpr double never = -std::numeric_limits<double>::infinity();
  for (std::size_t slot = 0; slot < best.size(); ++slot) {
    const std::span<std::int32_t> taken = best.first(slot);
    std::int32_t winner = -1;
    double winning = never;
    for (std::size_t i = 0; i < score.size(); ++i) {
      const double s = std::isnan(score[i]) ? never : score[i];
      const auto index = static_cast<std::int32_t>(i);
      if ((winner < 0 || s > winning) && std::ranges::find(taken, index) == taken.end()) {
        winner = index;
        winning = s;
      }
    }
    best[slot] = winner;
  }
}

} // namespace seacliff::reference
