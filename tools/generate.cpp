#include "tools/generate.hpp"

#include "core/base/progress.hpp"
#include "core/text/utf8_stream.hpp"
#include "tools/interrupt.hpp"

#include <chrono>

namespace seacliff::tools {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A generated role token would start another turn: it ends this one.
bool ends_turn(const Tokenizer& tokenizer, TokenId token) {
  const SpecialIds& ids = tokenizer.special_ids();
  return token == ids.eos || token == ids.user;
}

} // namespace

std::string_view stop_reason_name(StopReason reason) {
  switch (reason) {
  case StopReason::end_token: return "end";
  case StopReason::max_tokens: return "length";
  case StopReason::context_full: return "context";
  case StopReason::stop_string: return "stop";
  case StopReason::interrupted: return "interrupted";
  }
  return "";
}

double Generated::prefill_tokens_per_s() const {
  return prefill_s > 0 ? static_cast<double>(prompt_tokens) / prefill_s : 0;
}
double Generated::decode_tokens_per_s() const {
  return decode_s > 0 && tokens.size() > 1 ? static_cast<double>(tokens.size() - 1) / decode_s : 0;
}

Generated generate(graph::Session& session, graph::Model& model, const Tokenizer& tokenizer, Sampler& sampler,
                   std::span<const TokenId> prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& on_text) {
  Generated result;
  result.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  TokenId next = -1;
  const auto sample = [&](graph::Session&, std::int64_t, std::span<const float> logits) {
    next = sampler.sample(logits);
  };

  auto start = Clock::now();
  {
    Progress progress("prompt", result.prompt_tokens, "tok");
    const graph::Feed feed{&session, prompt, graph::Want::last};
    graph::feed(model, {&feed, 1}, sample, 0, [&](std::int64_t done) {
      progress.update(done);
      return !interrupted();
    });
  }
  result.prefill_s = seconds_since(start);

  Utf8Stream utf8;
  StopMatcher stops(options.stops);
  const auto emit = [&](const std::string& text) {
    result.text += text;
    if (!text.empty()) on_text(text);
  };
  start = Clock::now();
  while (true) {
    if (interrupted() || next < 0) {
      result.reason = StopReason::interrupted;
      break;
    }
    if (ends_turn(tokenizer, next)) break;
    if (options.max_tokens >= 0 && static_cast<std::int64_t>(result.tokens.size()) >= options.max_tokens) {
      result.reason = StopReason::max_tokens;
      break;
    }
    result.tokens.push_back(next);
    emit(stops.push(utf8.push(tokenizer.token_bytes(next))));
    result.decode_s = seconds_since(start);
    if (stops.stopped()) {
      result.reason = StopReason::stop_string;
      break;
    }
    if (session.position() >= model.options().max_ctx) {
      result.reason = StopReason::context_full;
      break;
    }
    const TokenId token = next;
    const graph::Feed feed{&session, {&token, 1}, graph::Want::last};
    graph::feed(model, {&feed, 1}, sample);
  }
  emit(stops.push(utf8.finish()));
  emit(stops.finish());
  return result;
}

} // namespace seacliff::tools
