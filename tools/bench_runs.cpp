#include "tools/bench_runs.hpp"

#include "core/base/progress.hpp"
#include "graph/dump/profile.hpp"
#include "graph/run/made_up.hpp"
#include "tools/interrupt.hpp"

#include <algorithm>
#include <chrono>

namespace seacliff::tools {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr std::size_t k_stride = 977; // between the places where sequences begin: a prime, so that they stay apart

/// One repetition under the clock, and the memory's speed on either side of it.
class Lap {
public:
  explicit Lap(Yardstick& yardstick) : yardstick_(yardstick), gbps_before_(yardstick.gbps()), start_(Clock::now()) {}
  void add_to(BenchResult& result) const {
    result.seconds.push_back(since(start_));
    result.memory_gbps.push_back((gbps_before_ + yardstick_.gbps()) / 2);
  }

private:
  Yardstick& yardstick_;
  double gbps_before_;
  Clock::time_point start_;
};

} // namespace

double BenchResult::median_s() const { return median(seconds); }
double BenchResult::tokens_per_s() const { return static_cast<double>(tokens * sequences) / median_s(); }
double BenchResult::fastest() const {
  return static_cast<double>(tokens * sequences) / *std::min_element(seconds.begin(), seconds.end());
}
double BenchResult::slowest() const {
  return static_cast<double>(tokens * sequences) / *std::max_element(seconds.begin(), seconds.end());
}
double BenchResult::gbps() const { return work.weight_bytes / median_s() / 1e9; }
double BenchResult::memory_share() const {
  std::vector<double> shares;
  for (std::size_t i = 0; i < seconds.size(); ++i)
    shares.push_back(memory_gbps[i] > 0 ? work.weight_bytes / seconds[i] / 1e9 / memory_gbps[i] : 0);
  return median(std::move(shares));
}
double BenchResult::tflops() const { return work.flops / median_s() / 1e12; }

Bench::Bench(graph::Model& model, Yardstick& yardstick, std::vector<std::int32_t> tokens, std::int64_t sequences)
    : model_(model), yardstick_(yardstick), tokens_(std::move(tokens)),
      inventory_(take_inventory(model.file(), model.hparams(), TensorDirectory(model.file(), model.hparams()))) {
  for (std::int64_t i = 0; i < sequences; ++i) sessions_.push_back(std::make_unique<graph::Session>(model));
  at_depth_ = sessions_.front()->snapshot();
}

std::vector<std::int32_t> Bench::tokens_at(std::size_t sequence, std::int64_t position, std::int64_t n) const {
  std::vector<std::int32_t> out(static_cast<std::size_t>(n));
  std::size_t at = static_cast<std::size_t>(position) + sequence * k_stride;
  for (std::int32_t& token : out) token = tokens_[at++ % tokens_.size()];
  return out;
}

void Bench::go_back(std::size_t sequences) {
  for (std::size_t i = 0; i < sequences; ++i) sessions_[i]->restore(at_depth_);
}

bool Bench::feed_one(std::int64_t tokens, graph::Want want, StepWork* work, std::string_view label) {
  graph::Session& session = *sessions_.front();
  const auto ids = tokens_at(0, session.position(), tokens);
  const graph::Feed feed{&session, ids, want};
  Progress progress(label, tokens, "tok");
  std::int64_t before = 0;
  graph::feed(model_, {&feed, 1}, {}, 0, [&](std::int64_t done) {
    if (work != nullptr) {
      const StepWork step = step_work(inventory_, model_.hparams(), done - before, done == tokens ? 1 : 0);
      work->weight_bytes += step.weight_bytes;
      work->flops += step.flops;
    }
    before = done;
    progress.update(done);
    return !interrupted();
  });
  return before == tokens;
}

bool Bench::reach(std::int64_t depth) {
  if (depth == depth_) return true;
  if (fill_seed_) {
    at_depth_ = graph::made_up_snapshot(model_, tokens_at(0, 0, depth), *fill_seed_);
    depth_ = depth;
    go_back(1);
    return true;
  }
  if (depth < depth_) {
    at_depth_ = {};
    sessions_.front() = nullptr; // gives its slot back first
    sessions_.front() = std::make_unique<graph::Session>(model_);
  } else {
    go_back(1);
  }
  const std::int64_t more = depth - sessions_.front()->position();
  if (more > 0 && !feed_one(more, graph::Want::none, nullptr, fmt::format("to depth {}", depth))) return false;
  depth_ = depth;
  at_depth_ = sessions_.front()->snapshot();
  return true;
}

std::optional<BenchResult> Bench::prefill(std::int64_t tokens, const BenchRepeats& repeats) {
  BenchResult result{"prefill", tokens, depth_};
  for (std::int64_t i = 0; i < repeats.warmup + repeats.counted; ++i) {
    go_back(1);
    StepWork work;
    const Lap lap(yardstick_);
    if (!feed_one(tokens, graph::Want::last, &work, fmt::format("prefill {} at {}", tokens, depth_))) break;
    if (i < repeats.warmup) continue;
    lap.add_to(result);
    result.work = work;
  }
  go_back(1);
  return result.seconds.empty() ? std::nullopt : std::optional(std::move(result));
}

std::optional<BenchResult> Bench::decode(std::int64_t tokens, std::int64_t sequences, const BenchRepeats& repeats) {
  const auto count = static_cast<std::size_t>(sequences);
  const StepWork step = step_work(inventory_, model_.hparams(), sequences, sequences);
  const auto steps = static_cast<double>(tokens);
  BenchResult result{"decode", tokens, depth_, sequences};
  result.work = {step.weight_bytes * steps, step.flops * steps};

  std::vector<std::vector<std::int32_t>> ids;
  for (std::size_t s = 0; s < count; ++s) ids.push_back(tokens_at(s, depth_, tokens));
  for (std::int64_t i = 0; i < repeats.warmup + repeats.counted && !interrupted(); ++i) {
    go_back(count);
    Progress progress(fmt::format("decode {} x {} at {}", tokens, sequences, depth_), tokens, "tok");
    const Lap lap(yardstick_);
    std::size_t t = 0;
    for (; t < static_cast<std::size_t>(tokens) && !interrupted(); ++t) {
      decode_step(ids, t);
      progress.update(static_cast<std::int64_t>(t) + 1);
    }
    if (t < static_cast<std::size_t>(tokens)) break;
    if (i >= repeats.warmup) lap.add_to(result);
  }
  if (!result.seconds.empty() && !interrupted()) watch(ids, result);
  go_back(1);
  return result.seconds.empty() ? std::nullopt : std::optional(std::move(result));
}

void Bench::decode_step(const std::vector<std::vector<std::int32_t>>& ids, std::size_t step) {
  std::vector<graph::Feed> feeds;
  for (std::size_t s = 0; s < ids.size(); ++s)
    feeds.push_back({sessions_[s].get(), std::span(ids[s]).subspan(step, 1), graph::Want::last});
  graph::feed(model_, feeds, {});
}

void Bench::watch(const std::vector<std::vector<std::int32_t>>& ids, BenchResult& result) {
  constexpr std::size_t most_steps = 8;
  const std::size_t steps = std::min(ids.front().size(), most_steps);
  go_back(ids.size());
  double busy = 0, wall = 0; // seconds
  model_.profile(graph::Granularity::program, [&](const graph::StepRecord& step) {
    graph::PhaseProfile alone;
    alone.add(step);
    double outside = 0;
    busy += alone.total(&outside).seconds - outside;
    wall += static_cast<double>(step.end_ns - step.begin_ns) * 1e-9;
    result.launches = step.launches;
    result.barriers = step.barriers;
  });
  for (std::size_t t = 0; t < steps; ++t) decode_step(ids, t);
  model_.profile(graph::Granularity::off, {});
  if (wall > 0) result.idle = std::clamp(1 - busy / wall, 0.0, 1.0);
}

std::optional<BenchResult> Bench::advance(std::int64_t depth) {
  BenchResult result{"prefill", depth - depth_, depth_};
  const Lap lap(yardstick_);
  if (!feed_one(depth - depth_, graph::Want::last, &result.work, fmt::format("prefill to {}", depth)))
    return std::nullopt;
  lap.add_to(result);
  depth_ = depth;
  at_depth_ = sessions_.front()->snapshot();
  return result;
}

} // namespace seacliff::tools
