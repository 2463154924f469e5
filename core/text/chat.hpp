// Conversations as DeepSeek-V4 prompts, and its answers taken apart again.
#pragma once

#include "core/text/dsml.hpp"
#include "core/text/tokenizer.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

enum class Think { off, high, max };
/// "off", "high" or "max"; throws Error(invalid_argument) for anything else.
Think think_from_name(std::string_view name);
/// `max` is meant for contexts of at least `max_think_context` tokens; below, `high` is used.
inline constexpr std::int64_t max_think_context = 393216;
Think think_for_context(Think wanted, std::int64_t n_ctx);

enum class Role { system, developer, user, assistant, tool };

struct ChatMessage {
  Role role = Role::user;
  std::string content = {};
  std::string reasoning = {};            // assistant: what was thought; may be empty
  std::vector<ToolCall> tool_calls = {}; // assistant
  std::string tool_block = {};           // assistant: the exact block once generated, used instead of `tool_calls`
  std::string tool_call_id = {};         // tool: which call this answers
};

enum class ChatLayout {
  official,   // system text, then tools; results of one turn in the order of the calls, a blank line between them
  tools_first // tools, then system text; results as they come: the layout of the ds4 server
};

struct ChatOptions {
  Think think = Think::high;
  ChatLayout layout = ChatLayout::official;
};

/// A prompt. Special texts inside the `literal` ranges come from people and tools and must stay ordinary text.
struct ChatPrompt {
  std::string text;
  std::vector<TextRange> literal;
};

/// The whole conversation, ready for the next assistant turn if the last message is a user's or a tool's.
/// `tools`: one line of JSON per tool, see `tool_schema`. Reasoning before the last user turn is left out unless tools
/// are in play.
ChatPrompt render_chat(std::span<const ChatMessage> messages, std::span<const std::string> tools = {},
                       const ChatOptions& options = {});
/// A further user turn for a conversation whose tokens are already in place (the last answer closed by EOS).
ChatPrompt render_user_turn(std::string_view content, Think think);

/// Token ids. Throws Error(failed_precondition) when the vocabulary lacks a chat token.
std::vector<TokenId> encode_chat(const Tokenizer& tokenizer, const ChatPrompt& prompt);

/// One tool as a line for the prompt, with the blanks that the model was trained on. Takes the function object itself
/// or OpenAI's {"type": "function", "function": {...}}. Throws Error(invalid_argument).
std::string tool_schema(std::string_view json);

/// A finished answer.
struct Answer {
  std::string reasoning;
  std::string content;
  std::vector<ToolCall> tool_calls; // ids empty
  std::string tool_block;           // exact text of the calls, with the blanks before it
  bool malformed = false;           // there was a block that breaks the grammar: it stays in `content`
};

/// Takes generated text apart (without its EOS). `thinking`: the prompt ended with <think>; an answer that begins with
/// <think> counts the same. Then what comes before </think> is reasoning (all of it, without one), and tool calls count
/// only after the last </think>. `tools` false: no calls are looked for.
Answer parse_answer(std::string_view text, bool thinking, bool tools = true);

} // namespace seacliff
