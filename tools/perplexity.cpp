// seacliff perplexity: how well the model predicts a text.
#include "core/base/progress.hpp"
#include "graph/run/session.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/model_options.hpp"
#include "tools/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <memory>

namespace seacliff::tools {
namespace {

struct PerplexityOptions {
  CommonOptions common;
  std::string text;
  std::int64_t windows = 0;
  bool json = false;
};

/// Negative log-likelihood of `target`, in nats.
double nll(std::span<const float> logits, std::int32_t target) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - max);
  return std::log(sum) + max - static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

/// BOS and ctx-1 tokens of the text each; the last one may be shorter.
std::vector<std::vector<TokenId>> cut_windows(const std::vector<TokenId>& text, TokenId bos, std::int64_t ctx,
                                              std::int64_t limit) {
  std::vector<std::vector<TokenId>> windows;
  const auto step = static_cast<std::size_t>(ctx - 1);
  for (std::size_t at = 0; at < text.size(); at += step) {
    if (limit > 0 && windows.size() == static_cast<std::size_t>(limit)) break;
    windows.push_back({bos});
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(at);
    windows.back().insert(windows.back().end(), begin,
                          begin + static_cast<std::ptrdiff_t>(std::min(step, text.size() - at)));
  }
  return windows;
}

int perplexity_command(const PerplexityOptions& o) {
  graph::ModelOptions options = o.common.model_options();
  if (o.common.ctx == 0) options.max_ctx = 1024;
  if (options.max_ctx < 2) throw UsageError("--ctx 1 leaves nothing to predict", "use at least 2");
  const std::string text = read_text_file(o.text);
  const LoadedModel loaded = load_model(o.common, options, true);
  graph::Model& model = *loaded.model;
  const TokenId bos = loaded.tokenizer->special_ids().bos;
  if (bos < 0) throw Error(Code::failed_precondition, "the vocabulary has no BOS token");
  const auto windows = cut_windows(loaded.tokenizer->encode(text), bos, model.options().max_ctx, o.windows);
  if (windows.empty()) throw UsageError(fmt::format("'{}' is empty", o.text));

  std::int64_t total = 0, scored = 0, done = 0;
  for (const auto& window : windows) total += static_cast<std::int64_t>(window.size());
  double sum = 0;
  {
    Progress progress("perplexity", total, "tok");
    for (const auto& window : windows) {
      graph::Session session(model);
      const graph::Feed feed{&session, window, graph::Want::all};
      graph::feed(
          model, {&feed, 1},
          [&](graph::Session&, std::int64_t position, std::span<const float> logits) {
            const auto next = static_cast<std::size_t>(position) + 1;
            if (next == window.size()) return;
            sum += nll(logits, window[next]);
            ++scored;
          },
          0,
          [&](std::int64_t part) {
            progress.update(done + part,
                            scored == 0 ? "" : fmt::format("ppl {:.3f}", std::exp(sum / static_cast<double>(scored))));
            return !interrupted();
          });
      if (interrupted()) return k_exit_interrupted;
      done += static_cast<std::int64_t>(window.size());
    }
  }
  const double mean = sum / static_cast<double>(scored), perplexity = std::exp(mean);
  if (o.json)
    fmt::print(
        "{}\n",
        nlohmann::json{{"perplexity", perplexity}, {"tokens", scored}, {"nll", mean}, {"windows", windows.size()}}
            .dump());
  else
    fmt::print("perplexity {:.4f} over {} tokens in {} windows ({:.5f} nats per token)\n", perplexity, scored,
               windows.size(), mean);
  return 0;
}

} // namespace

void add_perplexity(CLI::App& app, Action& action) {
  auto o = std::make_shared<PerplexityOptions>();
  CLI::App* command = app.add_subcommand("perplexity", "score a text: windows of --ctx tokens, each with a BOS");
  add_common_options(*command, o->common);
  command->add_option("-f,--file", o->text, "text file")->required();
  command->add_option("--windows", o->windows, "only the first N windows")->check(CLI::PositiveNumber);
  command->add_flag("--json", o->json, "figures as JSON");
  command->footer("Example:\n  seacliff perplexity -m nano.gguf -f heldout.txt --ctx 1024 --windows 20 --json");
  command->callback([o, &action] { action = [o] { return perplexity_command(*o); }; });
}

} // namespace seacliff::tools
