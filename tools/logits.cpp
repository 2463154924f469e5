// seacliff logits: raw logits of given tokens, for comparison with other engines.
#include "core/base/progress.hpp"
#include "core/base/status.hpp"
#include "graph/run/session.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/model_options.hpp"
#include "tools/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <memory>
#include <set>

namespace seacliff::tools {
namespace {

struct LogitsOptions {
  CommonOptions common;
  std::string tokens, positions = "all", out;
  std::int64_t chunk = 0;
};

/// Numbers separated by commas or white space; `@FILE` reads them from a file.
std::vector<std::int64_t> parse_numbers(const std::string& text, const char* option) {
  if (text.starts_with('@')) return parse_numbers(read_text_file(text.substr(1)), option);
  std::vector<std::int64_t> numbers;
  const char *at = text.data(), *end = at + text.size();
  const auto separator = [](char c) { return c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
  while (true) {
    while (at != end && separator(*at)) ++at;
    if (at == end) return numbers;
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || (next != end && !separator(*next)))
      throw UsageError(fmt::format("{}: '{}' is not a number", option, std::string(at, std::min(end, at + 12))),
                       "give numbers separated by commas, or @FILE");
    numbers.push_back(value);
    at = next;
  }
}

std::vector<std::int64_t> wanted_positions(const std::string& text, std::int64_t n) {
  std::vector<std::int64_t> positions;
  if (text == "last") return {n - 1};
  if (text != "all") positions = parse_numbers(text, "--positions");
  for (std::int64_t p = 0; text == "all" && p < n; ++p) positions.push_back(p);
  for (const std::int64_t p : positions)
    if (p < 0 || p >= n) throw UsageError(fmt::format("--positions: {} is not one of the {} tokens", p, n));
  if (!std::is_sorted(positions.begin(), positions.end())) throw UsageError("--positions: the numbers do not ascend");
  return positions;
}

int logits_command(const LogitsOptions& o) {
  const std::vector<std::int64_t> numbers = parse_numbers(o.tokens, "--tokens");
  if (numbers.empty()) throw UsageError("--tokens is empty", "give at least one token id");
  const std::vector<std::int32_t> tokens(numbers.begin(), numbers.end());
  const auto n = static_cast<std::int64_t>(tokens.size());
  const std::vector<std::int64_t> positions = wanted_positions(o.positions, n);

  graph::ModelOptions options = o.common.model_options();
  if (o.common.ctx == 0) options.max_ctx = std::max<std::int64_t>(n, 1);
  const LoadedModel loaded = load_model(o.common, options, false);
  graph::Model& model = *loaded.model;

  std::ofstream out(o.out, std::ios::binary | std::ios::trunc);
  if (!out) throw Error(Code::permission_denied, fmt::format("cannot write '{}'", o.out), "check the folder");
  graph::Session session(model);
  const std::set<std::int64_t> wanted(positions.begin(), positions.end());
  const bool only_last = positions.size() == 1 && positions.front() == n - 1;
  {
    Progress progress("logits", n, "tok");
    const graph::Feed feed{&session, tokens, only_last ? graph::Want::last : graph::Want::all};
    graph::feed(
        model, {&feed, 1},
        [&](graph::Session&, std::int64_t position, std::span<const float> row) {
          if (!wanted.contains(position)) return;
          out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size_bytes()));
        },
        o.chunk,
        [&](std::int64_t done) {
          progress.update(done);
          return !interrupted();
        });
  }
  out.close();
  if (interrupted()) return k_exit_interrupted;
  if (!out)
    throw Error(Code::resource_exhausted, fmt::format("cannot write all of '{}'", o.out), "free some disk space");
  fmt::print("{}\n",
             nlohmann::json{{"rows", wanted.size()}, {"cols", model.hparams().n_vocab}, {"positions", wanted}}.dump());
  return 0;
}

} // namespace

void add_logits(CLI::App& app, Action& action) {
  auto o = std::make_shared<LogitsOptions>();
  CLI::App* command = app.add_subcommand("logits", "write raw logits (little-endian float32 rows) of given tokens");
  add_common_options(*command, o->common);
  command->add_option("--tokens", o->tokens, "token ids: 1,2,3 or @FILE")->required();
  command->add_option("--positions", o->positions, "all, last, or I,J,... ascending")->capture_default_str();
  command->add_option("--out", o->out, "file for the rows")->required();
  command->add_option("--chunk", o->chunk, "at most this many tokens in one step")->check(CLI::PositiveNumber);
  command->footer("Example:\n  seacliff logits -m nano.gguf --exact --tokens 0,920,16 --positions last --out last.f32\n"
                  "prints {\"rows\":1,\"cols\":4096,\"positions\":[2]}");
  command->callback([o, &action] { action = [o] { return logits_command(*o); }; });
}

} // namespace seacliff::tools
