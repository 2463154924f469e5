// seacliff-conform PLUGIN: proves that a backend keeps the rules of the plugin ABI and computes what the ops mean.
// Exit codes: 0 it conforms, 1 it does not, 2 usage.
#include "plugins/conformance/expectations.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/process_state.hpp"
#include "plugins/conformance/report.hpp"
#include "plugins/conformance/supervise.hpp"
#include "plugins/loader/manifest.hpp"

#include "ops/schema/schema.hpp"

#include <CLI/CLI.hpp>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

namespace seacliff::conform {
namespace {

namespace fs = std::filesystem;

enum ExitCode { k_ok = 0, k_failure = 1, k_usage = 2 };

struct Request {
  Settings settings;
  std::string plugin, levels = "L0-L7", expect, junit, csv, markdown, json;
  std::vector<std::string> options;
  bool list = false, verbose = false;
};

constexpr std::string_view k_examples = R"(
Examples:
  seacliff-conform build/scf_mine.so                       everything
  seacliff-conform build/scf_mine.so --levels L0-L3        no op is computed
  seacliff-conform build/scf_mine.so --ops matmul,add      these ops alone
  seacliff-conform build/scf_mine.so --only L4:matmul:17   one test, as failures print it
  seacliff-conform build/scf_mine.so --seed 7 --cases 50   more random shapes
  seacliff-conform build/scf_mine.so --expect mine.expect --junit report.xml --markdown support.md
An expectation file has lines `unsupported OP REASON` and `xfail TEST REASON`; see docs/conformance.md.)";

void declare(CLI::App& app, Request& r) {
  app.add_option("PLUGIN", r.plugin, "the plugin: its library, or its manifest")->required();
  app.add_option("--levels", r.levels,
                 "L0 load, L1 devices, L2 memory, L3 queues, L4 ops, L5 layouts, L6 graphs, L7 "
                 "stress and speed: L4, L0-L3, L0,L4")
      ->capture_default_str();
  app.add_option("--only", r.settings.only, "tests by id, or all whose id begins so: L4:matmul:17, L3, L4:add");
  app.add_option("--ops", r.settings.ops, "only these ops in L4 and L7")->delimiter(',');
  app.add_option("--device", r.settings.devices, "only these devices, by id; default: every usable one")
      ->delimiter(',');
  app.add_option("--option", r.options, "KEY=VALUE for the plugin's open(); numbers are passed as numbers");
  app.add_option("--seed", r.settings.seed, "of the random cases")->capture_default_str();
  app.add_option("--cases", r.settings.cases, "random cases per op")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--every", r.settings.every, "of the fixed cases of L4 take one in N")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--threads", r.settings.threads, "workers of the host's team")
      ->check(CLI::Range(1u, 4096u))
      ->capture_default_str();
  app.add_option("--timeout", r.settings.limit_s, "seconds that a test may take before it counts as hung")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  app.add_option("--expect", r.expect, "expectation file");
  app.add_option("--junit", r.junit, "write a JUnit report");
  app.add_option("--csv", r.csv, "write a line per test");
  app.add_option("--markdown", r.markdown, "write the support matrix, op by format");
  app.add_option("--json", r.json, "write everything");
  app.add_flag("--list", r.list, "print the tests and run none");
  app.add_flag("-v,--verbose", r.verbose, "a line per test");
  app.footer(std::string(k_examples.substr(1)));
}

// ---- what was typed ------------------------------------------------------------------------------------------------

[[noreturn]] void usage(std::string message, std::string mend = {}) {
  throw Error(Code::invalid_argument, std::move(message), std::move(mend));
}

int level_number(const std::string& name) {
  if (name.size() != 2 || (name[0] != 'L' && name[0] != 'l') || name[1] < '0' || name[1] > '7')
    usage(fmt::format("there is no level '{}'", name), "levels are L0 to L7");
  return name[1] - '0';
}

/// "L0-L3,L6" -> {"L0", "L1", "L2", "L3", "L6"}
std::vector<std::string> parse_levels(const std::string& text) {
  std::vector<std::string> levels;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const std::size_t dash = part.find('-');
    const int first = level_number(part.substr(0, dash));
    const int last = dash == std::string::npos ? first : level_number(part.substr(dash + 1));
    for (int i = first; i <= last; ++i) levels.push_back(fmt::format("L{}", i));
    at = end + 1;
  }
  return levels;
}

void find_library(Settings& settings, const std::string& plugin) {
  settings.given = plugin;
  if (!fs::is_regular_file(settings.given)) usage(fmt::format("there is no plugin at {}", plugin));
  settings.given = fs::absolute(settings.given);
  if (plugins::is_manifest(settings.given)) {
    settings.manifest = settings.given;
    settings.library = settings.given.parent_path() / plugins::read_manifest(settings.given).library;
    if (!fs::is_regular_file(settings.library))
      usage(fmt::format("the manifest names a library that is not there: {}", settings.library.string()));
    return;
  }
  settings.library = settings.given;
  for (const auto& entry : fs::directory_iterator(settings.library.parent_path())) {
    if (!plugins::is_manifest(entry.path())) continue;
    try {
      if (entry.path().parent_path() / plugins::read_manifest(entry.path()).library == settings.library)
        settings.manifest = entry.path();
    } catch (const Error&) { // some other plugin's
    }
  }
}

void interpret(Request& r) {
  find_library(r.settings, r.plugin);
  try {
    for (const std::string& option : r.options) r.settings.options.push_back(plugins::parse_option(option));
  } catch (const Error& error) {
    usage(error.status().message);
  }
  for (const std::string& op : r.settings.ops)
    if (ops::find_schema(op) == nullptr) usage(fmt::format("there is no op '{}'", op), "docs/ops.md lists them");
  r.settings.wait_s = std::min(r.settings.wait_s, r.settings.limit_s / 2);
}

/// The command that runs the same again, up to --only.
std::string repro_command(const Request& r) {
  std::string text = "seacliff-conform " + r.settings.given.string();
  for (const std::string& option : r.options) text += " --option " + option;
  for (const std::string& device : r.settings.devices) text += " --device " + device;
  const Settings usual;
  if (r.settings.seed != usual.seed) text += fmt::format(" --seed {}", r.settings.seed);
  if (r.settings.cases != usual.cases) text += fmt::format(" --cases {}", r.settings.cases);
  if (r.settings.threads != usual.threads) text += fmt::format(" --threads {}", r.settings.threads);
  return text;
}

// ---- the run -------------------------------------------------------------------------------------------------------

class Run {
public:
  explicit Run(Request request) : request_(std::move(request)), console_(repro_command(request_), request_.verbose) {
    if (!request_.expect.empty()) expectations_ = Expectations::read(request_.expect);
  }

  int run() {
    const auto start = std::chrono::steady_clock::now();
    const Result probe = run_alone(probe_test(), request_.settings);
    const std::vector<Target> targets = choose(probe);
    const std::vector<std::string> chosen = parse_levels(request_.levels);
    const std::vector<Level> levels = all_levels(request_.settings, targets, chosen);
    if (request_.list) return list(levels);
    if (!request_.settings.only.empty() && levels.empty() && probe.outcome == Outcome::pass)
      usage(fmt::format("no test is called {}", fmt::join(request_.settings.only, " or ")), "--list names them");
    for (const Level& level : levels) run(level);
    if (probe.outcome == Outcome::fail) not_opened(probe);
    judge_expectations();
    console_.summary(all_, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    write_reports();
    return std::any_of(all_.begin(), all_.end(), [](const Judged& j) { return j.failed(); }) ? k_failure : k_ok;
  }

private:
  /// The usable devices that were asked for.
  std::vector<Target> choose(const Result& probe) const {
    std::vector<std::string> usable;
    for (const std::string& note : probe.notes)
      if (note.starts_with("usable ")) usable.push_back(note.substr(note.find(' ') + 1));
    std::vector<std::string> wanted = request_.settings.devices.empty() ? usable : request_.settings.devices;
    std::vector<Target> targets;
    for (const std::string& id : wanted) {
      if (probe.outcome == Outcome::pass && std::find(usable.begin(), usable.end(), id) == usable.end())
        usage(fmt::format("the plugin has no usable device '{}'", id),
              fmt::format("it has: {}", fmt::join(usable, ", ")));
      targets.push_back({id, wanted.size() > 1 ? "@" + id : ""});
    }
    return targets;
  }

  static int list(const std::vector<Level>& levels) {
    for (const Level& level : levels)
      for (const Test& test : level.tests) fmt::print("{}\t{}\n", test.id, test.title);
    return k_ok;
  }

  void run(const Level& level) {
    console_.level_begins(level);
    run_level(level, request_.settings,
              {[&](const Test& test) { console_.test_begins(test); }, [&](Result result) { take(std::move(result)); }});
    console_.level_ends();
  }

  void take(Result result) {
    const Expectations::Entry* excuse = expectations_.excuse(result);
    all_.push_back({std::move(result), excuse == nullptr ? "" : excuse->reason});
    console_.test_ends(all_.back());
  }

  /// Levels above L0 need an open plugin.
  void not_opened(Result probe) {
    static const Level opening{"L1", "opening the plugin", {}};
    probe.id = "L1:plugin:opens";
    console_.level_begins(opening);
    take(std::move(probe));
    console_.level_ends();
  }

  void judge_expectations() {
    std::vector<Result> results;
    for (const Judged& judged : all_) results.push_back(judged.result);
    const bool complete = request_.settings.only.empty() && request_.settings.ops.empty() &&
                          request_.settings.every == 1 && request_.levels == "L0-L7";
    std::vector<Result> faults = expectations_.verdicts(results, complete);
    if (faults.empty()) return;
    static const Level level{"expect", "the expectation file", {}};
    console_.level_begins(level);
    for (Result& fault : faults) take(std::move(fault));
    console_.level_ends();
  }

  void write_reports() const {
    const std::string name = request_.settings.given.filename().string();
    const auto write = [](const std::string& path, const auto& text) {
      if (path.empty()) return;
      std::ofstream out(path, std::ios::binary);
      out << text();
      if (!out.flush()) throw Error(Code::unavailable, fmt::format("{} cannot be written", path));
    };
    write(request_.junit, [&] { return to_junit(all_, name); });
    write(request_.csv, [&] { return to_csv(all_); });
    write(request_.markdown, [&] { return to_markdown(all_, name); });
    write(request_.json, [&] { return to_json(all_, name); });
  }

  Request request_;
  Console console_;
  Expectations expectations_;
  std::vector<Judged> all_;
};

int run(int argc, char** argv) {
  CLI::App app{"Proves that a Sea Cliff backend is right", "seacliff-conform"};
  Request request;
  declare(app, request);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? k_ok : k_usage;
  }
  try {
    interpret(request);
    return Run(std::move(request)).run();
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.code() == Code::invalid_argument ? k_usage : k_failure;
  }
}

} // namespace
} // namespace seacliff::conform

int main(int argc, char** argv) {
  seacliff::conform::begin_without_malloc_caches(argv);
  try {
    return seacliff::conform::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
