// The generation loop: prompt in, tokens out, with figures.
#pragma once

#include "core/text/sampler.hpp"
#include "core/text/tokenizer.hpp"
#include "graph/run/session.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::tools {

enum class StopReason { end_token, max_tokens, context_full, stop_string, interrupted };
std::string_view stop_reason_name(StopReason reason);

struct GenerateOptions {
  std::int64_t max_tokens = -1; // -1: until an end token or the context is full
  std::vector<std::string> stops;
};

struct Generated {
  std::vector<TokenId> tokens; // without the end token
  std::string text;            // valid UTF-8
  StopReason reason = StopReason::end_token;
  std::int64_t prompt_tokens = 0;
  double prefill_s = 0, decode_s = 0;

  double prefill_tokens_per_s() const;
  double decode_tokens_per_s() const; // of the tokens after the first
};

/// Feeds the prompt (at least one token) to the session and samples until something stops it. `on_text` gets the text
/// as it comes, in whole characters; specials other than the end token are passed on as their text.
Generated generate(graph::Session& session, graph::Model& model, const Tokenizer& tokenizer, Sampler& sampler,
                   std::span<const TokenId> prompt, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& on_text);

} // namespace seacliff::tools
