#include "core/text/sampler.hpp"

#include "core/base/status.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace seacliff {

Rng::Rng(std::uint64_t seed) : state_(seed == 0 ? 0x9e3779b97f4a7c15u : seed) {}

std::uint64_t Rng::next() {
  state_ ^= state_ >> 12;
  state_ ^= state_ << 25;
  state_ ^= state_ >> 27;
  return state_ * 0x2545f4914f6cdd1du;
}

float Rng::uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }

std::uint64_t time_seed() {
  return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

std::int32_t greedy(std::span<const float> logits) {
  std::int32_t best = -1;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (std::isfinite(logits[i]) && (best < 0 || logits[i] > logits[static_cast<std::size_t>(best)]))
      best = static_cast<std::int32_t>(i);
  return best;
}

namespace {

constexpr std::size_t most_top_k = 1024;

/// Likelier first; on ties the lower id.
constexpr auto likelier = [](const auto& a, const auto& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
};

} // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), rng_(options.seed) {
  const auto finite = [](double value, const char* name) {
    if (!std::isfinite(value))
      throw Error(Code::invalid_argument, fmt::format("sampling option {} is {}", name, value), "give a number");
  };
  finite(options.temperature, "temperature");
  finite(options.top_p, "top_p");
  finite(options.min_p, "min_p");
  options_.min_p = std::min(options_.min_p, 1.0); // the likeliest, whose p is 1, always stays
}

std::int32_t Sampler::sample(std::span<const float> logits) {
  const std::int32_t best = greedy(logits);
  if (best < 0)
    throw Error(Code::data_loss, "no logit is a finite number", "check the model file with `seacliff compare`");
  if (options_.temperature <= 0) return best;
  const float largest = logits[static_cast<std::size_t>(best)];
  items_.clear();
  if (options_.top_k > 0)
    keep_top_k(logits);
  else if (options_.top_p < 1)
    keep_top_p(logits, largest);
  else
    keep_all(logits, largest);
  return draw();
}

/// min_p alone: candidates stay in the order of the vocabulary.
void Sampler::keep_all(std::span<const float> logits, float largest) {
  // Far below the cut an exponential need not be computed; the margin is wide against rounding.
  const double floor = options_.min_p > 0 ? std::log(options_.min_p) - 1e-3 : -1e4;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double x = (static_cast<double>(logits[i]) - largest) / options_.temperature;
    if (!std::isfinite(logits[i]) || x < floor) continue;
    const double p = std::exp(x);
    if (p >= options_.min_p) items_.push_back({static_cast<std::int32_t>(i), logits[i], p});
  }
}

/// top_p, with probabilities over the whole vocabulary.
void Sampler::keep_top_p(std::span<const float> logits, float largest) {
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i])) continue;
    const double p = std::exp((static_cast<double>(logits[i]) - largest) / options_.temperature);
    total += p;
    // The others could never be kept: no need to sort them.
    if (p >= options_.min_p) items_.push_back({static_cast<std::int32_t>(i), logits[i], p});
  }
  cut(total);
}

void Sampler::keep_top_k(std::span<const float> logits) {
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (std::isfinite(logits[i])) items_.push_back({static_cast<std::int32_t>(i), logits[i], 0});
  const std::size_t k = std::min({static_cast<std::size_t>(options_.top_k), most_top_k, items_.size()});
  std::partial_sort(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(k), items_.end(), likelier);
  items_.resize(k);
  double total = 0;
  for (Item& item : items_) {
    item.p = std::exp((static_cast<double>(item.logit) - items_.front().logit) / options_.temperature);
    total += item.p;
  }
  cut(total);
}

/// Sorts the candidates, drops those below min_p and all after the one that makes the kept share reach top_p.
void Sampler::cut(double total) {
  // A heap, because the share is usually reached after a few.
  const auto after = [](const Item& a, const Item& b) { return likelier(b, a); };
  std::make_heap(items_.begin(), items_.end(), after);
  std::vector<Item> kept;
  double share = 0;
  for (auto end = items_.end(); end != items_.begin();) {
    std::pop_heap(items_.begin(), end, after);
    const Item& item = *--end;
    if (!kept.empty() && item.p < options_.min_p) break;
    kept.push_back(item);
    share += item.p / total;
    if (options_.top_p < 1 && share >= options_.top_p) break;
  }
  items_.swap(kept);
}

std::int32_t Sampler::draw() {
  double total = 0;
  for (const Item& item : items_) total += item.p;
  double left = rng_.uniform() * total;
  for (const Item& item : items_) {
    left -= item.p;
    if (left <= 0) return item.id;
  }
  return items_.back().id; // rounding
}

} // namespace seacliff
