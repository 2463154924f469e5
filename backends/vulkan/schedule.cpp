// When launches of a program run: levels with a barrier between them, and what is done with the room on a level.
#include "ops/products.hpp"
#include "program.hpp"

#include <algorithm>

namespace seacliff::vulkan {
namespace {

/// The last level at which a piece of memory was read and written; -1: never.
struct Touch {
  std::int64_t read = -1, written = -1;
};

} // namespace

/// A launch stands on the first level behind all it depends on; launches of one level run side by side, with one
/// barrier between levels.
void Program::plan_levels() {
  std::vector<Touch> values(values_.size()), blocks(recording_.blocks.size());
  const auto touch_of = [&](const Place& place) -> Touch* {
    if (place.kind == Place::Kind::value) return &values[place.index];
    return place.kind == Place::Kind::block ? &blocks[place.index] : nullptr;
  };
  for (Launch& launch : launches_) {
    std::int64_t level = 0;
    for (const Use& use : launch.dispatch.at) {
      const Touch* touch = touch_of(use.place);
      if (touch == nullptr) continue;
      level = std::max(level, touch->written + 1);
      if (use.writes) level = std::max(level, touch->read + 1);
    }
    for (const Use& use : launch.dispatch.at) {
      Touch* touch = touch_of(use.place);
      if (touch == nullptr) continue;
      if (use.reads) touch->read = std::max(touch->read, level);
      if (use.writes) touch->written = std::max(touch->written, level);
    }
    launch.level = static_cast<std::uint32_t>(level);
  }
  if (is_few()) delay_launches();
  std::stable_sort(launches_.begin(), launches_.end(),
                   [](const Launch& a, const Launch& b) { return a.level < b.level; });
}

/// Weights that a launch reads, about.
std::uint64_t Program::load_of(const Launch& launch) const {
  constexpr std::uint64_t needed = std::uint64_t{1} << 26; // of what is read by need
  std::uint64_t bytes = 0;
  for (const Use& use : launch.dispatch.at)
    if (use.place.kind == Place::Kind::value && values_[use.place.index].role == SCF_ROLE_WEIGHT)
      bytes += values_[use.place.index].most_bytes();
  return launch.by_need ? std::min(bytes, needed) : bytes;
}

/// Launches that may wait go to a later level where memory has less to do, small ones as late as they may: what is long
/// and reads little then has something beside it.
void Program::delay_launches() {
  constexpr std::uint64_t small = std::uint64_t{1} << 20;
  constexpr std::int64_t never = INT64_MAX;
  struct Ahead {
    std::int64_t read = never, written = never; // the first level at which something later does it
  };
  std::vector<std::uint64_t> loads;
  for (const Launch& launch : launches_) {
    loads.resize(std::max<std::size_t>(loads.size(), launch.level + 1));
    loads[launch.level] += load_of(launch);
  }
  std::vector<Ahead> values(values_.size()), blocks(recording_.blocks.size());
  const auto ahead_of = [&](const Place& place) -> Ahead* {
    if (place.kind == Place::Kind::value) return &values[place.index];
    return place.kind == Place::Kind::block ? &blocks[place.index] : nullptr;
  };
  for (auto launch = launches_.rbegin(); launch != launches_.rend(); ++launch) {
    std::int64_t latest = never;
    for (const Use& use : launch->dispatch.at) {
      const Ahead* ahead = ahead_of(use.place);
      if (ahead == nullptr) continue;
      latest = std::min(latest, ahead->written - 1);
      if (use.writes) latest = std::min(latest, ahead->read - 1);
    }
    const std::uint64_t load = load_of(*launch);
    std::int64_t best = launch->level;
    if (latest != never && latest != never - 1)
      for (std::int64_t level = best + 1; level <= latest; ++level)
        if (load < small || loads[static_cast<std::size_t>(level)] + load < loads[launch->level])
          if (best == launch->level || load < small ||
              loads[static_cast<std::size_t>(level)] <= loads[static_cast<std::size_t>(best)])
            best = level;
    loads[launch->level] -= load;
    launch->level = static_cast<std::uint32_t>(best);
    loads[launch->level] += load;
    for (const Use& use : launch->dispatch.at) {
      Ahead* ahead = ahead_of(use.place);
      if (ahead == nullptr) continue;
      if (use.reads) ahead->read = std::min(ahead->read, best);
      if (use.writes) ahead->written = std::min(ahead->written, best);
    }
  }
}

/// Small grids first: they run beside the large ones, which would leave them no room until they end.
void Program::order_levels() {
  const auto size = [&](const Launch& launch) {
    std::uint64_t groups = 1;
    for (int axis = 0; axis < 3; ++axis) groups *= this->groups(launch, axis, launch.dispatch.groups[axis].count.most);
    return groups;
  };
  std::stable_sort(launches_.begin(), launches_.end(), [&](const Launch& a, const Launch& b) {
    return a.level != b.level ? a.level < b.level : size(a) < size(b);
  });
}

/// Products of one level with the same x become one launch.
void Program::join_launches() {
  std::vector<Launch> joined;
  for (Launch& launch : launches_) {
    const auto host = std::find_if(joined.begin(), joined.end(), [&](Launch& other) {
      return other.level == launch.level && join_products(other.dispatch, launch.dispatch);
    });
    if (host == joined.end())
      joined.push_back(std::move(launch));
    else
      host->weight_bytes += launch.weight_bytes;
  }
  launches_ = std::move(joined);
}

/// Whether no step has more tokens than weights are read once for.
bool Program::is_few() const {
  return std::all_of(symbols_.begin(), symbols_.end(), [](const Symbol& s) { return s.most <= k_few_tokens; });
}

/// Levels that read next to no weights wait for one small thing after another, and the memory has nothing to do: there,
/// weights of the next levels are brought into the cache, `at_once` bytes at most.
void Program::touch_ahead(std::uint64_t at_once) {
  constexpr std::uint64_t light = std::uint64_t{6} << 20;
  std::vector<LevelWeights> levels = weights_by_level();
  std::vector<Launch> more;
  for (std::uint32_t level = 0; level < levels.size(); ++level) {
    if (levels[level].by_need || levels[level].bytes > light) continue;
    Launch launch = touches_behind(levels, level, at_once);
    if (!launch.dispatch.at.empty()) more.push_back(std::move(launch));
  }
  for (Launch& launch : more) {
    launch.dispatch.constants = {256, static_cast<std::uint32_t>(launch.dispatch.at.size())};
    recording_.blocks.push_back(16); // a word that nobody reads
    const auto block = static_cast<std::uint32_t>(recording_.blocks.size() - 1);
    launch.dispatch.at.push_back(writes({Place::Kind::block, block, 0}));
    launch.dispatch.groups[0] = {fixed(128)};
    launches_.push_back(std::move(launch));
  }
  std::stable_sort(launches_.begin(), launches_.end(),
                   [](const Launch& a, const Launch& b) { return a.level < b.level; });
}

/// What launches of each level read as a whole.
std::vector<Program::LevelWeights> Program::weights_by_level() const {
  constexpr std::uint64_t least = std::uint64_t{1} << 18; // else it is not worth a range
  std::vector<LevelWeights> levels(launches_.empty() ? 0 : launches_.back().level + 1);
  for (const Launch& launch : launches_) {
    LevelWeights& level = levels[launch.level];
    level.node = launch.dispatch.node;
    level.by_need = level.by_need || (launch.by_need && launch.dispatch.shader != "gather_rows");
    for (const Use& use : launch.dispatch.at) {
      const bool weight = use.place.kind == Place::Kind::value && values_[use.place.index].role == SCF_ROLE_WEIGHT;
      if (!weight || launch.by_need) continue;
      const std::uint64_t bytes = values_[use.place.index].most_bytes() / 16 * 16;
      level.bytes += bytes;
      if (bytes >= least) level.ranges.push_back({use.place, bytes});
    }
  }
  return levels;
}

/// A launch without grid that touches weights of the levels behind this one, as far as they are not touched and, with
/// what is, fit into `at_once`.
Launch Program::touches_behind(std::vector<LevelWeights>& levels, std::uint32_t level, std::uint64_t at_once) const {
  constexpr std::uint32_t horizon = 3;
  constexpr std::size_t most_ranges = 8;
  const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(levels.size(), level + horizon + 1));
  std::uint64_t room = at_once;
  for (std::uint32_t ahead = level + 1; ahead < end; ++ahead)
    for (const TouchedRange& range : levels[ahead].ranges) room -= std::min(room, range.touched);
  Launch launch;
  launch.level = level;
  launch.dispatch.shader = "touch";
  launch.dispatch.node = levels[level].node;
  for (std::uint32_t ahead = level + 1; ahead < end && !levels[ahead].by_need; ++ahead)
    for (TouchedRange& range : levels[ahead].ranges) {
      const std::uint64_t bytes = std::min(range.bytes - range.touched, room) / 16 * 16;
      if (bytes == 0 || launch.dispatch.at.size() == most_ranges) continue;
      launch.dispatch.at.push_back(reads(range.place + range.touched));
      launch.dispatch.n.push_back(static_cast<std::uint32_t>(bytes / 16));
      range.touched += bytes;
      room -= bytes;
    }
  return launch;
}

} // namespace seacliff::vulkan
