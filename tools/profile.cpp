// `seacliff profile`: where the time of a step goes.
#include "graph/dump/profile.hpp"
#include "core/base/progress.hpp"
#include "core/model/inventory.hpp"
#include "graph/run/made_up.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/measuring.hpp"
#include "tools/model_options.hpp"
#include "tools/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>

namespace seacliff::tools {
namespace {

using graph::Granularity;
using graph::ProfileBy;

struct Options {
  CommonOptions common;
  std::int64_t prefill = 512, decode = 32, depth = 0, step = 512, repeats = 3, trace_steps = 8;
  Granularity granularity = Granularity::node;
  std::vector<ProfileBy> by;
  std::string trace;
  std::uint64_t seed = 1;
  bool fill = false, json = false;
};

/// The trace file, when one is wanted: the first steps of each phase.
class TraceFile {
public:
  TraceFile(const std::string& path, std::int64_t steps) : path_(path), steps_(steps) {
    if (path.empty()) return;
    file_.open(path, std::ios::binary | std::ios::trunc);
    if (!file_) throw Error(Code::permission_denied, fmt::format("cannot write '{}'", path), "check the folder");
    writer_.emplace(file_);
  }

  void begin(std::string phase) {
    phase_ = std::move(phase);
    seen_ = 0;
  }
  void add(const graph::StepRecord& step) {
    if (writer_ && seen_ < steps_) writer_->add(step, fmt::format("{} step {}", phase_, seen_));
    ++seen_;
  }
  void finish() {
    if (!writer_) return;
    writer_->finish();
    file_.close();
    if (!file_) throw Error(Code::data_loss, fmt::format("'{}' could not be written", path_), "check the space there");
  }

private:
  std::string path_, phase_;
  std::int64_t steps_, seen_ = 0;
  std::ofstream file_;
  std::optional<graph::TraceWriter> writer_;
};

/// One sequence at a depth, to which it goes back after every pass.
class Profiler {
public:
  Profiler(graph::Model& model, Yardstick& yardstick, const Options& options, TraceFile& trace)
      : model_(model), yardstick_(yardstick), o_(options), trace_(trace), tokens_(random_tokens(model, options.seed)),
        session_(model) {}

  /// False: interrupted.
  bool reach_depth() {
    if (o_.fill) {
      at_depth_ = graph::made_up_snapshot(model_, tokens_at(0, o_.depth), o_.seed);
      return true;
    }
    const bool done = o_.depth == 0 || feed(o_.depth, 0, graph::Want::none, fmt::format("to depth {}", o_.depth));
    at_depth_ = session_.snapshot();
    return done;
  }

  /// Passes over `n` tokens, `chunk` in a step: one to warm up, then in turn without and with profiling. False:
  /// interrupted before the first one was done.
  bool measure(std::int64_t n, std::int64_t chunk, const std::string& phase, graph::PhaseProfile& profile) {
    trace_.begin(phase);
    records_.clear();
    bool done = pass(n, chunk, phase, o_.granularity);
    for (std::int64_t i = 0; i < o_.repeats && done; ++i) {
      yardstick_.gbps();
      done = pass(n, chunk, phase, Granularity::off);
      for (std::size_t r = 0; done && r < n_records_; ++r) profile.add_plain(records_[r]);
      done = done && pass(n, chunk, phase, o_.granularity);
      for (std::size_t r = 0; done && r < n_records_; ++r) {
        profile.add(records_[r]);
        if (i == 0) trace_.add(records_[r]);
      }
    }
    session_.restore(at_depth_);
    return profile.steps() > 0;
  }

private:
  /// Records are only kept while steps run: what is done with them would let the workers fall asleep in between.
  bool pass(std::int64_t n, std::int64_t chunk, const std::string& phase, Granularity granularity) {
    session_.restore(at_depth_);
    n_records_ = 0;
    model_.profile(granularity, [&](const graph::StepRecord& step) {
      if (n_records_ == records_.size()) records_.emplace_back();
      records_[n_records_++] = step; // into memory of an earlier pass
    });
    const bool done = feed(n, chunk, graph::Want::last, fmt::format("{} {} at {}", phase, n, o_.depth));
    model_.profile(Granularity::off, {});
    return done;
  }

  std::vector<std::int32_t> tokens_at(std::int64_t position, std::int64_t n) const {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
    auto at = static_cast<std::size_t>(position);
    for (std::int32_t& id : ids) id = tokens_[at++ % tokens_.size()];
    return ids;
  }

  bool feed(std::int64_t n, std::int64_t chunk, graph::Want want, const std::string& label) {
    const std::vector<std::int32_t> ids = tokens_at(session_.position(), n);
    Progress progress(label, n, "tok");
    // A decode step has logits, a prefill step has them at the end: tokens go in one by one, or as far as a step takes.
    const auto piece = static_cast<std::size_t>(chunk == 1 ? 1 : n);
    for (std::size_t from = 0; from < ids.size(); from += piece) {
      const graph::Feed some{&session_, std::span(ids).subspan(from, piece), want};
      graph::feed(model_, {&some, 1}, {}, chunk, [&](std::int64_t done) {
        progress.update(static_cast<std::int64_t>(from) + done);
        return !interrupted();
      });
      if (interrupted()) return false;
    }
    return true;
  }

  graph::Model& model_;
  Yardstick& yardstick_;
  const Options& o_;
  TraceFile& trace_;
  std::vector<std::int32_t> tokens_;
  graph::Session session_;
  graph::Snapshot at_depth_;
  std::vector<graph::StepRecord> records_; // of a pass
  std::size_t n_records_ = 0;
};

graph::ModelOptions model_options(const Options& o) {
  graph::ModelOptions options = o.common.model_options();
  const std::int64_t needed = o.depth + std::max(o.prefill, o.decode);
  if (o.common.ctx == 0) options.max_ctx = needed;
  if (options.max_ctx < needed)
    throw Error(Code::out_of_range, fmt::format("--ctx {} is too small: {} positions are needed", o.common.ctx, needed),
                "leave --ctx away");
  options.max_step = o.step;
  return options;
}

void print(const Options& o, const graph::Model& model, const MemorySpeed& memory,
           std::span<const graph::NamedProfile> phases) {
  const TensorDirectory directory(model.file(), model.hparams());
  const std::string recipe = take_inventory(model.file(), model.hparams(), directory).recipe;
  const std::string& backend = model.placement().devices.front();
  if (!o.json) {
    fmt::print("{} ({}, {})\n{}, {} threads, {}\n\n", o.common.model, model.hparams().name, recipe, backend,
               model.threads(), memory.text());
    for (const graph::NamedProfile& phase : phases) fmt::print("{}", to_text(phase, o.by, memory.gbps));
    return;
  }
  nlohmann::ordered_json out{{"model", o.common.model},
                             {"name", model.hparams().name},
                             {"recipe", recipe},
                             {"backend", backend},
                             {"threads", model.threads()},
                             {memory.key(), memory.gbps},
                             {"phases", nlohmann::ordered_json::array()}};
  for (const graph::NamedProfile& phase : phases)
    out["phases"].push_back(nlohmann::ordered_json::parse(to_json(phase, o.by, memory.gbps)));
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int profile_command(Options o) {
  if (o.by.empty()) o.by = {ProfileBy::op, ProfileBy::layer};
  if (o.prefill == 0 && o.decode == 0) throw UsageError("--pp 0 and --tg 0 leave nothing to measure");
  TraceFile trace(o.trace, o.trace_steps);
  const LoadedModel loaded = load_model(o.common, model_options(o), false);
  graph::PhaseProfile prefill, decode;
  std::vector<graph::NamedProfile> phases;
  Yardstick yardstick(*loaded.model);
  {
    Profiler profiler(*loaded.model, yardstick, o, trace);
    bool go_on = profiler.reach_depth();
    const auto measure = [&](std::int64_t n, std::int64_t chunk, const char* phase, graph::PhaseProfile& profile) {
      if (n == 0 || !go_on || interrupted()) return;
      go_on = profiler.measure(n, chunk, phase, profile);
      if (go_on) phases.push_back({phase, n, o.depth, &profile});
    };
    measure(o.prefill, o.step, "prefill", prefill);
    measure(o.decode, 1, "decode", decode);
  }
  trace.finish();
  print(o, *loaded.model, yardstick.median(), phases);
  return interrupted() ? k_exit_interrupted : 0;
}

} // namespace

void add_profile(CLI::App& app, Action& action) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("profile", "show where the time of prefill and decode steps goes");
  add_common_options(*command, o->common);
  const CLI::Range tokens(std::int64_t{0}, std::int64_t{1} << 24);
  const auto option = [&](const std::string& name, auto& value, const std::string& help) {
    return command->add_option(name, value, help)->capture_default_str();
  };
  option("--pp", o->prefill, "prefill this many tokens; 0: no prefill")->check(tokens);
  option("--tg", o->decode, "decode this many tokens, one per step; 0: no decoding")->check(tokens);
  option("--depth", o->depth, "tokens in the context beforehand")->check(tokens);
  command->add_flag("--fill", o->fill, k_fill_help);
  option("--step", o->step, "tokens of one prefill step at most")->check(CLI::Range(1, 65536));
  option("-r,--repeat", o->repeats, "passes without and with profiling, in turn")->check(CLI::Range(1, 10000));
  option("--seed", o->seed, "of the random tokens");
  const std::map<std::string, ProfileBy> groups{
      {"op", ProfileBy::op}, {"layer", ProfileBy::layer}, {"section", ProfileBy::section}, {"node", ProfileBy::node}};
  command->add_option("--by", o->by, "tables: op, layer, section, node, or a comma list (default: op,layer)")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(groups));
  const std::map<std::string, Granularity> levels{
      {"program", Granularity::program}, {"group", Granularity::group}, {"node", Granularity::node}};
  command
      ->add_option("--granularity", o->granularity,
                   "node: every worker's time in every node; group: one worker's; program: whole segments")
      ->transform(CLI::CheckedTransformer(levels))
      ->default_str("node");
  command->add_option("--trace", o->trace,
                      "write the first steps of each phase as Chrome trace JSON (ui.perfetto.dev)");
  option("--trace-steps", o->trace_steps, "... so many of them")->check(CLI::Range(1, 1 << 20));
  command->add_flag("--json", o->json, "one JSON object");
  command->footer(
      "A node's time goes from its begin to the begin of the next one, mean over the workers; \"wait\" is the part of\n"
      "it spent at the barrier behind the node. GB/s counts weights: of n experts that tokens use k of,\n"
      "n(1-(1-k/n)^tokens). \"of mem.\" is its share of the bandwidth measured in this run. docs/profiling.md\n"
      "explains more.\n"
      "Examples:\n"
      "  seacliff profile -m flash-q2.gguf\n"
      "  seacliff profile -m flash-q2.gguf --pp 0 --tg 16 --depth 32768 --fill --by section\n"
      "  seacliff profile -m flash-q2.gguf --pp 0 --tg 8 --trace decode.json");
  command->callback([o, &action] { action = [o] { return profile_command(*o); }; });
}

} // namespace seacliff::tools
