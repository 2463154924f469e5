// IQ2_XXS. For a given scale the best of the 256 codebook entries is found exactly: the error of an entry is the sum of
// two table look-ups, one per half of four elements (81 combinations of the three levels each).
#include "ops/dtype/encode.hpp"
#include "ops/dtype/fit.hpp"

#include <span>
#include <utility>

namespace seacliff::dtype {
namespace {

using fit::SuperBlock;

constexpr int k_groups = 8;                                      // per super-block, each with a scale of its own
constexpr std::array<float, 3> k_levels{1.0f, 3.125f, 5.375f};   // grid values / 8
constexpr std::array<float, 4> k_starts{5.6f, 4.6f, 3.7f, 2.8f}; // largest magnitude / scale

struct Halves {
  std::uint8_t low, high; // base-3 number of four elements, first element lowest
};

constexpr Halves halves_of(std::uint64_t entry) {
  unsigned digits[2] = {0, 0}, power = 1;
  for (unsigned j = 0; j < 4; ++j, power *= 3)
    for (unsigned h = 0; h < 2; ++h) {
      const unsigned magnitude = entry >> 8 * (4 * h + j) & 255;
      digits[h] += power * (magnitude == 8 ? 0 : magnitude == 25 ? 1 : 2);
    }
  return {static_cast<std::uint8_t>(digits[0]), static_cast<std::uint8_t>(digits[1])};
}

/// The codebook sorted by low half: `entry` and its `high` half; those of low half l are at first[l]..first[l+1]-1.
struct Index {
  std::array<std::uint8_t, 256> entry{}, high{};
  std::array<std::uint16_t, 82> first{};
};

constexpr Index k_index = [] {
  Index index;
  unsigned at = 0;
  for (unsigned low = 0; low < 81; ++low) {
    index.first[low] = static_cast<std::uint16_t>(at);
    for (unsigned e = 0; e < 256; ++e) {
      const Halves halves = halves_of(blocks::iq2xxs_grid[e]);
      if (halves.low != low) continue;
      index.entry[at] = static_cast<std::uint8_t>(e);
      index.high[at++] = halves.high;
    }
  }
  index.first[81] = static_cast<std::uint16_t>(at);
  return index;
}();

/// Four octets of elements that share a scale: magnitudes with an even number of minus signs taken off.
struct Group {
  std::array<float, 32> wx, w;            // wx < 0 where the sign had to be flipped
  std::array<std::uint8_t, 4> sign_index; // into `blocks::ksigns`
  float largest = 0;

  Group(const float* x, const float* weight) {
    for (int o = 0; o < 4; ++o) {
      unsigned signs = 0;
      int cheapest = 8 * o;
      for (int i = 8 * o; i < 8 * o + 8; ++i) {
        w[i] = weight[i];
        wx[i] = weight[i] * std::abs(x[i]);
        largest = std::max(largest, std::abs(x[i]));
        if (x[i] < 0) signs |= 1u << i % 8;
        if (wx[i] < wx[cheapest]) cheapest = i; // the price of a wrong sign grows with w·|x|
      }
      if (std::popcount(signs) % 2 != 0) {
        signs ^= 1u << cheapest % 8;
        wx[cheapest] = -wx[cheapest];
      }
      sign_index[o] = static_cast<std::uint8_t>(signs & 127);
    }
  }
};

using Entries = std::array<std::uint8_t, 4>;

/// Costs of the 81 combinations of four elements at a scale, less the constant part.
struct HalfCosts {
  float cost[81];
  float least = 0;
  unsigned best = 0; // combination of the least cost

  HalfCosts(const float* wx, const float* w, float scale) {
    float level[4][3];
    for (unsigned j = 0, power = 1; j < 4; ++j, power *= 3) {
      for (int k = 0; k < 3; ++k) {
        const float magnitude = scale * k_levels[k];
        level[j][k] = magnitude * (w[j] * magnitude - 2 * wx[j]);
      }
      const unsigned second = level[j][1] < level[j][0] ? 1 : 0;
      const unsigned k = level[j][2] < level[j][second] ? 2 : second;
      best += power * k;
    }
    float low[9], high[9];
    for (int k = 0; k < 9; ++k) {
      low[k] = level[0][k % 3] + level[1][k / 3];
      high[k] = level[2][k % 3] + level[3][k / 3];
    }
    for (int h = 0; h < 9; ++h)
      for (int l = 0; l < 9; ++l) cost[9 * h + l] = low[l] + high[h];
    least = cost[best];
  }
};

struct Choice {
  float cost = INFINITY;
  unsigned entry = 0;

  /// Tries the entries whose low half is `half`, unless none can win.
  void consider(const HalfCosts& low, const HalfCosts& high, unsigned half) {
    const float base = low.cost[half];
    if (base + high.least >= cost) return;
    for (unsigned at = k_index.first[half]; at < k_index.first[half + 1]; ++at) {
      const float sum = base + high.cost[k_index.high[at]];
      if (sum >= cost) continue;
      cost = sum;
      entry = k_index.entry[at];
    }
  }
};

/// The best entries at `scale`; returns the weighted squared error less the part that no choice can change.
float search(const Group& group, float scale, Entries& entries) {
  float total = 0;
  for (int o = 0; o < 4; ++o) {
    const HalfCosts low(&group.wx[8 * o], &group.w[8 * o], scale);
    const HalfCosts high(&group.wx[8 * o + 4], &group.w[8 * o + 4], scale);
    Choice choice;
    choice.consider(low, high, low.best); // a good bound first
    for (unsigned half = 0; half < 81; ++half) choice.consider(low, high, half);
    entries[o] = static_cast<std::uint8_t>(choice.entry);
    total += choice.cost;
  }
  return total;
}

struct Moments {
  float gx = 0, gg = 0; // sums of w·x·level and w·level²
};

Moments moments(const Group& group, const Entries& entries) {
  Moments m;
  for (int i = 0; i < 32; ++i) {
    const float level = static_cast<float>(blocks::iq2xxs_grid[entries[i / 8]] >> 8 * (i % 8) & 255) * 0.125f;
    m.gx += group.wx[i] * level;
    m.gg += group.w[i] * level * level;
  }
  return m;
}

/// Best real-valued scale of a group.
float group_scale(const Group& group) {
  float best = 0, least = 0; // scale 0 has cost 0
  Entries entries{}, best_entries{};
  for (const float start : k_starts) {
    const float scale = group.largest / start;
    const float cost = search(group, scale, entries);
    if (cost < least) {
      least = cost;
      best = scale;
      best_entries = entries;
    }
  }
  for (int round = 0; round < 2 && best > 0; ++round) { // best scale of these entries, best entries of that scale
    const Moments m = moments(group, best_entries);
    const float scale = m.gx / m.gg;
    if (!(scale > 0)) break;
    best = scale;
    if (search(group, scale, entries) >= least) break;
    best_entries = entries;
  }
  return best;
}

struct State {
  float d = 0;
  std::uint16_t d_bits = 0;
  std::array<unsigned, k_groups> code{};
  std::array<Entries, k_groups> entries{};
  float error = 0;
};

State settle(const SuperBlock& block, std::span<const Group> groups, std::span<const float> wanted, float d) {
  State state;
  state.d = d;
  state.d_bits = block.store(state.d);
  if (!(state.d > 0)) return state;
  for (int g = 0; g < k_groups; ++g) {
    const int code0 = static_cast<int>(fit::nearest((wanted[g] / state.d - 1) * 0.5f, 0, 15));
    float least = INFINITY;
    for (int code = std::max(0, code0 - 1); code <= std::min(15, code0 + 1); ++code) {
      Entries entries{};
      const float cost = search(groups[g], state.d * static_cast<float>(2 * code + 1), entries);
      if (!(cost < least)) continue;
      least = cost;
      state.code[g] = static_cast<unsigned>(code);
      state.entries[g] = entries;
    }
    state.error += least;
  }
  return state;
}

float refactor(std::span<const Group> groups, const State& state) {
  double gx = 0, gg = 0;
  for (int g = 0; g < k_groups; ++g) {
    const Moments m = moments(groups[g], state.entries[g]);
    const double factor = 2 * state.code[g] + 1;
    gx += factor * m.gx;
    gg += factor * factor * m.gg;
  }
  return gg > 0 ? static_cast<float>(gx / gg) : 0;
}

template <std::size_t... I> std::array<Group, sizeof...(I)> split(const SuperBlock& block, std::index_sequence<I...>) {
  return {Group(&block.x[32 * I], &block.w[32 * I])...};
}

} // namespace

void encode_block(const float* x, const float* importance, blocks::IQ2_XXS& out) {
  const SuperBlock block(x, importance);
  const auto groups = split(block, std::make_index_sequence<k_groups>{});
  std::array<float, k_groups> wanted{};
  float largest = 0;
  for (int g = 0; g < k_groups; ++g) {
    wanted[g] = block.unit > 0 ? group_scale(groups[g]) : 0;
    largest = std::max(largest, wanted[g]);
  }
  State state = settle(block, groups, wanted, largest / 31), best = state;
  for (int round = 0; round < 2 && best.d > 0; ++round) {
    state = settle(block, groups, wanted, refactor(groups, state));
    if (!(state.error < best.error)) break;
    best = state;
  }
  out.d = best.d_bits;
  for (int g = 0; g < k_groups; ++g) {
    std::uint32_t indices = 0, rest = best.code[g] << 28;
    for (int o = 0; o < 4; ++o) {
      indices |= std::uint32_t{best.entries[g][o]} << 8 * o;
      rest |= std::uint32_t{groups[g].sign_index[o]} << 7 * o;
    }
    out.qs[g][0] = indices;
    out.qs[g][1] = rest;
  }
}

} // namespace seacliff::dtype
