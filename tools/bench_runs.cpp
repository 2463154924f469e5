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

std::string_view BenchResult::phase_name() const { return phase == BenchPhase::prefill ? "prefill" : "decode"; }
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
  contexts_[0] = sessions_.front()->snapshot();
}

std::vector<std::int32_t> Bench::tokens_at(std::size_t sequence, std::int64_t position, std::int64_t n) const {
  std::vector<std::int32_t> out(static_cast<std::size_t>(n));
  std::size_t at = static_cast<std::size_t>(position) + sequence * k_stride;
  for (std::int32_t& token : out) token = tokens_[at++ % tokens_.size()];
  return out;
}

void Bench::go_back(std::size_t sequences) {
  for (std::size_t i = 0; i < sequences; ++i) sessions_[i]->restore(contexts_.at(depth_));
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
  if (!contexts_.contains(depth)) {
    if (fill_seed_) {
      contexts_[depth] = graph::made_up_snapshot(model_, tokens_at(0, 0, depth), *fill_seed_);
    } else {
      depth_ = std::prev(contexts_.upper_bound(depth))->first;
      go_back(1);
      if (!feed_one(depth - depth_, graph::Want::none, nullptr, fmt::format("to depth {}", depth))) return false;
      contexts_[depth] = sessions_.front()->snapshot();
    }
  }
  settle(depth);
  return true;
}

void Bench::settle(std::int64_t depth) {
  depth_ = depth;
  if (!keep_contexts_)
    std::erase_if(contexts_, [&](const auto& kept) { return kept.first != 0 && kept.first != depth; });
}

bool Bench::repeat(BenchResult& line, bool counts) {
  return reach(line.depth) && (line.phase == BenchPhase::prefill ? prefill(line, counts) : decode(line, counts));
}

bool Bench::prefill(BenchResult& line, bool counts) {
  go_back(1);
  StepWork work;
  const Lap lap(yardstick_);
  if (!feed_one(line.tokens, graph::Want::last, &work, fmt::format("prefill {} at {}", line.tokens, depth_)))
    return false;
  if (counts) lap.add_to(line);
  line.work = work;
  return true;
}

std::vector<std::vector<std::int32_t>> Bench::ids_of(const BenchResult& line) const {
  std::vector<std::vector<std::int32_t>> ids;
  for (std::size_t s = 0; s < static_cast<std::size_t>(line.sequences); ++s)
    ids.push_back(tokens_at(s, line.depth, line.tokens));
  return ids;
}

bool Bench::decode(BenchResult& line, bool counts) {
  const auto ids = ids_of(line);
  go_back(ids.size());
  Progress progress(fmt::format("decode {} x {} at {}", line.tokens, line.sequences, depth_), line.tokens, "tok");
  const Lap lap(yardstick_);
  for (std::int64_t t = 0; t < line.tokens; ++t) {
    if (interrupted()) return false;
    decode_step(ids, static_cast<std::size_t>(t));
    progress.update(t + 1);
  }
  if (counts) lap.add_to(line);
  const StepWork step = step_work(inventory_, model_.hparams(), line.sequences, line.sequences);
  const auto steps = static_cast<double>(line.tokens);
  line.work = {step.weight_bytes * steps, step.flops * steps};
  return true;
}

void Bench::decode_step(const std::vector<std::vector<std::int32_t>>& ids, std::size_t step) {
  std::vector<graph::Feed> feeds;
  for (std::size_t s = 0; s < ids.size(); ++s)
    feeds.push_back({sessions_[s].get(), std::span(ids[s]).subspan(step, 1), graph::Want::last});
  graph::feed(model_, feeds, {});
}

void Bench::watch(BenchResult& line) {
  constexpr std::size_t most_steps = 8;
  if (!reach(line.depth)) return;
  const auto ids = ids_of(line);
  const std::size_t steps = std::min(ids.front().size(), most_steps);
  go_back(ids.size());
  double busy = 0, wall = 0; // seconds
  model_.profile(graph::Granularity::program, [&](const graph::StepRecord& step) {
    graph::PhaseProfile alone;
    alone.add(step);
    double outside = 0;
    busy += alone.total(&outside).seconds - outside;
    wall += static_cast<double>(step.end_ns - step.begin_ns) * 1e-9;
    line.launches = step.launches;
    line.barriers = step.barriers;
  });
  for (std::size_t t = 0; t < steps; ++t) decode_step(ids, t);
  model_.profile(graph::Granularity::off, {});
  if (wall > 0) line.idle = std::clamp(1 - busy / wall, 0.0, 1.0);
}

std::optional<BenchResult> Bench::advance(std::int64_t depth) {
  BenchResult result{BenchPhase::prefill, depth - depth_, depth_};
  go_back(1);
  const Lap lap(yardstick_);
  if (!feed_one(depth - depth_, graph::Want::last, &result.work, fmt::format("prefill to {}", depth)))
    return std::nullopt;
  lap.add_to(result);
  contexts_[depth] = sessions_.front()->snapshot();
  settle(depth);
  return result;
}

} // namespace seacliff::tools
