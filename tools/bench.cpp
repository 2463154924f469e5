// `seacliff bench`: how fast, and how far from what the memory can deliver.
#include "tools/bench_report.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/measuring.hpp"
#include "tools/model_options.hpp"
#include "tools/usage.hpp"

#include <algorithm>
#include <memory>
#include <span>

namespace seacliff::tools {
namespace {

using Numbers = std::vector<std::int64_t>;

struct BenchOptions {
  CommonOptions common;
  Numbers prefill{512}, decode{64}, depths{0}, sequences{1};
  std::int64_t repeats = 3, warmup = 1;
  std::int64_t sweep_start = 0, sweep_max = 0; // 0: no sweep
  double sweep_factor = 2;
  std::int64_t step = 512;
  std::string text;
  std::uint64_t seed = 1;
  bool fill = false, turns = false, json = false, csv = false;

  bool sweep() const { return sweep_max > 0; }
  BenchFormat format() const { return json ? BenchFormat::json : csv ? BenchFormat::csv : BenchFormat::table; }
};

std::int64_t largest(const Numbers& numbers) {
  return numbers.empty() ? 0 : *std::max_element(numbers.begin(), numbers.end());
}

Numbers frontiers(const BenchOptions& o) {
  Numbers out;
  for (double at = static_cast<double>(o.sweep_start); at < static_cast<double>(o.sweep_max); at *= o.sweep_factor)
    if (const auto whole = static_cast<std::int64_t>(at); out.empty() || whole > out.back()) out.push_back(whole);
  out.push_back(o.sweep_max);
  return out;
}

void check(const BenchOptions& o) {
  if (!o.sweep()) return;
  if (o.sweep_start < 1 || o.sweep_start > o.sweep_max)
    throw UsageError(fmt::format("a sweep from {} to {}", o.sweep_start, o.sweep_max),
                     "give --ctx-start and --ctx-max, the first not larger");
  if (!(o.sweep_factor > 1))
    throw UsageError(fmt::format("--step-mul {} does not grow", o.sweep_factor), "give a number above 1");
}

graph::ModelOptions model_options(const BenchOptions& o) {
  graph::ModelOptions options = o.common.model_options();
  const std::int64_t deepest = o.sweep() ? o.sweep_max : largest(o.depths);
  const std::int64_t needed = deepest + std::max(o.sweep() ? 0 : largest(o.prefill), largest(o.decode));
  if (o.common.ctx == 0) options.max_ctx = std::max<std::int64_t>(needed, 1);
  if (options.max_ctx < needed)
    throw Error(Code::out_of_range, fmt::format("--ctx {} is too small: {} positions are needed", o.common.ctx, needed),
                "leave --ctx away");
  options.n_slots = std::max<std::int64_t>(1, largest(o.sequences));
  options.max_step = std::max(o.step, options.n_slots);
  options.max_outputs = std::max(options.max_outputs, options.n_slots);
  return options;
}

std::vector<std::int32_t> token_source(const BenchOptions& o, const LoadedModel& loaded) {
  if (!o.text.empty()) {
    const auto tokens = loaded.tokenizer->encode(read_text_file(o.text));
    if (tokens.empty()) throw UsageError(fmt::format("'{}' is empty", o.text));
    return tokens;
  }
  return random_tokens(*loaded.model, o.seed);
}

BenchSubject subject_of(const BenchOptions& o, graph::Model& model, const MemorySpeed& memory) {
  const TensorDirectory directory(model.file(), model.hparams());
  BenchSubject subject;
  subject.model = o.common.model;
  subject.name = model.hparams().name;
  subject.recipe = take_inventory(model.file(), model.hparams(), directory).recipe;
  subject.backend = model.placement().devices.front();
  subject.threads = model.threads();
  subject.step = model.options().max_step;
  subject.memory = memory;
  return subject;
}

/// Decoding from `depth` on.
void add_decoding(const BenchOptions& o, std::int64_t depth, std::vector<BenchResult>& lines) {
  for (const std::int64_t tokens : o.decode)
    for (const std::int64_t sequences : o.sequences)
      if (tokens > 0) lines.push_back({BenchPhase::decode, tokens, depth, sequences});
}

std::vector<BenchResult> grid(const BenchOptions& o) {
  Numbers depths = o.depths;
  std::sort(depths.begin(), depths.end()); // each from the one before
  std::vector<BenchResult> lines;
  for (const std::int64_t depth : depths) {
    for (const std::int64_t tokens : o.prefill)
      if (tokens > 0) lines.push_back({BenchPhase::prefill, tokens, depth});
    add_decoding(o, depth, lines);
  }
  return lines;
}

/// Each of the lines once, then each once more, and so on; reports those that were timed. False: interrupted.
bool time_in_turns(const BenchOptions& o, Bench& bench, BenchReport& report, std::span<BenchResult> lines) {
  bool going = !interrupted();
  for (std::int64_t i = 0; going && i < o.warmup + o.repeats; ++i)
    for (BenchResult& line : lines) going = going && bench.repeat(line, i >= o.warmup) && !interrupted();
  for (BenchResult& line : lines) {
    if (line.seconds.empty()) continue;
    if (going && line.phase == BenchPhase::decode) bench.watch(line);
    report.add(std::move(line));
  }
  return going;
}

bool time_one_by_one(const BenchOptions& o, Bench& bench, BenchReport& report, std::span<BenchResult> lines) {
  return std::all_of(lines.begin(), lines.end(), [&](BenchResult& line) {
    return time_in_turns(o, bench, report, {&line, 1});
  });
}

void run_sweep(const BenchOptions& o, Bench& bench, BenchReport& report) {
  const std::int64_t warm = std::min(o.step, o.sweep_start);
  if (o.warmup > 0 && (!bench.reach(warm) || !bench.reach(0))) return;
  for (const std::int64_t frontier : frontiers(o)) {
    std::optional<BenchResult> stretch = bench.advance(frontier);
    if (!stretch) return;
    report.add(std::move(*stretch));
    std::vector<BenchResult> lines;
    add_decoding(o, frontier, lines);
    if (!time_one_by_one(o, bench, report, lines)) return;
  }
}

void run_grid(const BenchOptions& o, Bench& bench, BenchReport& report) {
  std::vector<BenchResult> lines = grid(o);
  if (o.turns) bench.keep_contexts();
  (o.turns ? time_in_turns : time_one_by_one)(o, bench, report, lines);
}

int bench_command(const BenchOptions& o) {
  check(o);
  const LoadedModel loaded = load_model(o.common, model_options(o), !o.text.empty());
  graph::Model& model = *loaded.model;
  Yardstick yardstick(model);
  Bench bench(model, yardstick, token_source(o, loaded), std::max<std::int64_t>(1, largest(o.sequences)));
  if (o.fill) bench.fill_context(o.seed);
  BenchReport report(o.format(), subject_of(o, model, yardstick.at_first()));
  if (o.sweep())
    run_sweep(o, bench, report);
  else
    run_grid(o, bench, report);
  report.finish(interrupted());
  return interrupted() ? k_exit_interrupted : 0;
}

} // namespace

void add_bench(CLI::App& app, Action& action) {
  auto o = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "time prefill and decode, beside what this machine's memory can deliver");
  add_common_options(*command, o->common);
  const CLI::Range tokens(std::int64_t{0}, std::int64_t{1} << 24);
  const auto list = [&](const std::string& name, Numbers& numbers, const std::string& help) {
    return command->add_option(name, numbers, help)->delimiter(',')->capture_default_str();
  };
  list("--pp", o->prefill, "prefill this many tokens; 0: no prefill")->check(tokens);
  list("--tg", o->decode, "decode this many tokens, one per step and sequence; 0: no decoding")->check(tokens);
  list("--depth", o->depths, "tokens in the context beforehand")->check(tokens);
  auto* fill = command->add_flag("--fill", o->fill, k_fill_help);
  list("--sequences", o->sequences, "decode so many sequences in one step")->check(CLI::Range(1, 4096));
  auto* turns = command->add_flag("--turns", o->turns,
                                  "repetitions of all lines in turns, reported at the end: what drifts on a shared "
                                  "machine meets all of them alike");
  command->add_option("-r,--repeat", o->repeats, "repetitions; the median is reported")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--warmup", o->warmup, "repetitions before that, not counted")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  auto* start = command->add_option("--ctx-start", o->sweep_start, "sweep: prefill to N, decode there, go on");
  auto* max = command->add_option("--ctx-max", o->sweep_max, "... to this depth");
  start->needs(max)->check(tokens);
  max->needs(start)->excludes(fill)->excludes(turns)->check(tokens);
  command->add_option("--step-mul", o->sweep_factor, "... each depth so many times the one before")
      ->needs(max)
      ->capture_default_str();
  command->add_option("--step", o->step, "tokens of one prefill step at most")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("-f,--file", o->text, "feed this text instead of random tokens");
  command->add_option("--seed", o->seed, "of the random tokens")->capture_default_str();
  auto* json = command->add_flag("--json", o->json, "one JSON object");
  command->add_flag("--csv", o->csv, "comma-separated lines")->excludes(json);
  command->footer(
      "tokens/s is the median over the repetitions, of all sequences together; logits are computed, sampling is not.\n"
      "GB/s counts the weights that the work must read: dense ones once per step, of n experts that tokens use k of\n"
      "n(1-(1-k/n)^tokens) per step, one row per token of tables; caches and activations are not counted.\n"
      "\"of memory\" is its share of what reads of the host's memory reached before and after each repetition, or\n"
      "copies within the device's at the start; a model that fits into the CPU's caches can exceed it. \"idle\" is\n"
      "the part of the time in which the devices had nothing to do, in some steps of decoding that are looked at\n"
      "afterwards. TFLOP/s is 2 per weight and token; attention over the context is not counted.\n"
      "Examples:\n"
      "  seacliff bench -m flash-q2.gguf --pp 512,2048 --tg 64 --depth 0,32768\n"
      "  seacliff bench -m flash-q2.gguf --pp 0 --tg 32 --depth 512,32768 --fill --turns -r 5\n"
      "  seacliff bench -m flash-q2.gguf --pp 0 --tg 32 --sequences 1,4,16\n"
      "  seacliff bench -m flash-q2.gguf --ctx-start 2048 --ctx-max 65536 --csv");
  command->callback([o, &action] { action = [o] { return bench_command(*o); }; });
}

} // namespace seacliff::tools
