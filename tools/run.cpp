// seacliff run: one prompt, one answer.
#include "core/memory/memory_limit.hpp"
#include "core/text/chat.hpp"
#include "tools/commands.hpp"
#include "tools/generate.hpp"
#include "tools/interrupt.hpp"
#include "tools/model_options.hpp"
#include "tools/usage.hpp"

#include <fmt/color.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

namespace seacliff::tools {
namespace {

struct RunOptions {
  CommonOptions common;
  std::optional<std::string> prompt, prompt_file;
  std::string system, think = "off", tools;
  std::int64_t n = -1;
  SamplerOptions sampling;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> stops;
  bool raw = false, json = false;
};

std::vector<std::string> tool_schemas(const std::string& path) {
  if (path.empty()) return {};
  std::vector<std::string> schemas;
  try {
    const auto list = nlohmann::ordered_json::parse(read_text_file(path));
    for (const auto& tool : list.is_array() ? list : nlohmann::ordered_json::array({list}))
      schemas.push_back(tool_schema(tool.dump()));
  } catch (const nlohmann::json::exception& error) {
    throw UsageError(fmt::format("--tools '{}' is not JSON: {}", path, error.what()),
                     "give an array of function objects");
  }
  return schemas;
}

/// Text that begins with a BOS is a rendered conversation already.
std::vector<TokenId> encode_prompt(const RunOptions& o, const Tokenizer& tokenizer, std::int64_t ctx, Think& think) {
  const std::string text = o.prompt ? *o.prompt : read_text_file(*o.prompt_file);
  if (text.starts_with(special::bos)) return tokenizer.encode_with_specials(text);
  if (o.raw) {
    std::vector<TokenId> ids;
    if (tokenizer.special_ids().bos >= 0) ids.push_back(tokenizer.special_ids().bos);
    const auto rest = tokenizer.encode(text);
    ids.insert(ids.end(), rest.begin(), rest.end());
    return ids;
  }
  think = think_for_context(think, ctx);
  std::vector<ChatMessage> messages;
  if (!o.system.empty()) messages.push_back({seacliff::Role::system, o.system, {}, {}, {}, {}});
  messages.push_back({seacliff::Role::user, text, {}, {}, {}, {}});
  ChatOptions options;
  options.think = think;
  return encode_chat(tokenizer, render_chat(messages, tool_schemas(o.tools), options));
}

/// Text as it comes; thoughts are dim on a terminal.
class Printer {
public:
  explicit Printer(bool thinking) : thinking_(thinking), terminal_(isatty(STDOUT_FILENO) != 0) {}
  void operator()(std::string_view text) {
    if (thinking_ && terminal_)
      fmt::print(fmt::emphasis::faint, "{}", text);
    else
      fmt::print("{}", text);
    if (text.find(special::end_think) != std::string_view::npos) thinking_ = false;
    std::fflush(stdout);
  }

private:
  bool thinking_, terminal_;
};

void print_json(const Generated& g, bool thinking, const graph::Model& model) {
  nlohmann::ordered_json out{{"text", g.text},
                             {"finish", stop_reason_name(g.reason)},
                             {"prompt_tokens", g.prompt_tokens},
                             {"tokens", g.tokens},
                             {"prefill_tokens_per_s", g.prefill_tokens_per_s()},
                             {"decode_tokens_per_s", g.decode_tokens_per_s()}};
  out["memory"] = {{"weights", model.memory().weights},
                   {"planned", model.memory().total()},
                   {"peak_rss", process_memory().peak_rss},
                   {"devices", nlohmann::ordered_json::array()}};
  for (const graph::HeapPlan& heap : model.memory().heaps)
    out["memory"]["devices"].push_back(
        {{"device", heap.device}, {"heap", heap.heap}, {"planned", heap.total()}, {"free", heap.free}});
  const Answer answer = parse_answer(g.text, thinking);
  out["content"] = answer.content;
  out["reasoning"] = answer.reasoning;
  out["tool_calls"] = nlohmann::ordered_json::array();
  for (const ToolCall& call : answer.tool_calls)
    out["tool_calls"].push_back({{"name", call.name}, {"arguments", call.arguments}});
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_figures(const Generated& g, const graph::Model& model) {
  fmt::print(stderr, "\nprompt {} tokens {:.1f} tok/s | generated {} tokens {:.1f} tok/s | {} | {} threads\n",
             g.prompt_tokens, g.prefill_tokens_per_s(), g.tokens.size(), g.decode_tokens_per_s(),
             model.placement().devices.front(), model.threads());
}

int run_command(const RunOptions& o) {
  Think think = as_usage([&] { return think_from_name(o.think); });
  const LoadedModel loaded = load_model(o.common, o.common.model_options(), true);
  graph::Model& model = *loaded.model;
  const auto prompt = encode_prompt(o, *loaded.tokenizer, model.options().max_ctx, think);
  if (prompt.empty()) throw UsageError("the prompt is empty", "give -p TEXT");
  if (static_cast<std::int64_t>(prompt.size()) >= model.options().max_ctx)
    throw Error(Code::out_of_range,
                fmt::format("the prompt has {} tokens, the context {}", prompt.size(), model.options().max_ctx),
                "raise --ctx");
  const bool thinking = !o.raw && think != Think::off;

  SamplerOptions sampling = o.sampling;
  sampling.seed = o.seed ? *o.seed : time_seed();
  Sampler sampler(sampling);
  graph::Session session(model);
  Printer printer(thinking);
  const auto print = [&](std::string_view text) {
    if (!o.json) printer(text);
  };
  const Generated result = generate(session, model, *loaded.tokenizer, sampler, prompt, {o.n, o.stops}, print);
  if (o.json)
    print_json(result, thinking, model);
  else
    fmt::print("\n");
  std::fflush(stdout);
  if (!o.common.quiet && !o.json) print_figures(result, model);
  return result.reason == StopReason::interrupted ? k_exit_interrupted : 0;
}

} // namespace

void add_run(CLI::App& app, Action& action) {
  auto o = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "answer a prompt, or continue a text with --raw");
  add_common_options(*command, o->common);
  auto* text = command->add_option("-p,--prompt", o->prompt, "the prompt");
  auto* file = command->add_option("-f,--prompt-file", o->prompt_file, "read the prompt from a file");
  text->excludes(file);
  command->add_option("-n,--tokens", o->n, "at most this many new tokens (default: until the end)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--temp", o->sampling.temperature, "temperature; 0: always the likeliest token")
      ->capture_default_str();
  command->add_option("--top-p", o->sampling.top_p, "nucleus sampling; 1: off")->capture_default_str();
  command->add_option("--top-k", o->sampling.top_k, "only the k likeliest; 0: off")->capture_default_str();
  command->add_option("--min-p", o->sampling.min_p, "drop what is this much less likely than the best")
      ->capture_default_str();
  command->add_option("--seed", o->seed, "seed of the sampler (default: the clock)");
  command->add_option("--sys", o->system, "system text");
  command->add_option("--tools", o->tools, "JSON file with the functions the model may call");
  command->add_option("--think", o->think, "off, high or max")
      ->check(CLI::IsMember({"off", "high", "max"}))
      ->capture_default_str();
  command->add_option("--stop", o->stops, "end at this text");
  command->add_flag("--raw", o->raw, "no chat template: continue the text");
  command->add_flag("--json", o->json, "one JSON object instead of streamed text");
  command->footer("Examples:\n"
                  "  seacliff run -m nano.gguf -p \"Who is Captain Ahab?\" --temp 0\n"
                  "  seacliff run -m nano.gguf --raw -p \"It was a cold morning\" -n 80 --seed 7\n"
                  "  seacliff run -m flash-q2.gguf --think high -f question.txt --ctx 32768");
  command->callback([o, &action] {
    if (!o->prompt && !o->prompt_file) throw CLI::RequiredError("-p or -f");
    action = [o] { return run_command(*o); };
  });
}

} // namespace seacliff::tools
