#include "core/text/chat.hpp"

#include "core/text/json_text.hpp"

#include <algorithm>

namespace seacliff {

namespace {

// The texts below are part of the model: it was trained with exactly these words.
constexpr std::string_view max_effort =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, "
    "rigorously stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, considered "
    "alternative, and rejected hypothesis to ensure absolutely no assumption is left unchecked.\n\n";

constexpr std::string_view tools_before = R"(## Tools

You have access to a set of tools to help answer the user question. You can invoke tools by writing a "<｜DSML｜tool_calls>" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name="$TOOL_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$TOOL_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as raw text and set `string="true"`. Preserve characters such as `>`, `&`, and `&&` exactly; never replace normal string characters with XML or HTML entity escapes. Only if a string value itself contains the exact closing parameter tag `</｜DSML｜parameter>`, write that tag as `&lt;/｜DSML｜parameter>` inside the value. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

)";
constexpr std::string_view tools_after = R"(

You MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls. Use the exact parameter names from the schemas.)";

/// Collects the prompt and remembers which parts came from outside.
class PromptWriter {
public:
  void own(std::string_view text) { prompt_.text += text; }
  void foreign(std::string_view text) {
    if (text.empty()) return;
    const std::size_t begin = prompt_.text.size();
    prompt_.text += text;
    prompt_.literal.push_back({begin, prompt_.text.size()});
  }
  /// A block of calls: only its marks are special.
  void tool_block(std::string_view block) {
    for (std::size_t mark; (mark = block.find(special::dsml)) != std::string_view::npos;) {
      foreign(block.substr(0, mark));
      own(special::dsml);
      block.remove_prefix(mark + special::dsml.size());
    }
    foreign(block);
  }
  void assistant_prefix(bool thinking) {
    own(special::assistant);
    own(thinking ? special::think : special::end_think);
  }
  ChatPrompt take() { return std::move(prompt_); }

private:
  ChatPrompt prompt_;
};

bool is_system(const ChatMessage& m) { return m.role == Role::system || m.role == Role::developer; }

void write_tools(PromptWriter& out, std::span<const std::string> tools) {
  out.own(tools_before);
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (i != 0) out.own("\n");
    out.foreign(tools[i]);
  }
  out.own(tools_after);
}

void write_head(PromptWriter& out, std::span<const ChatMessage> messages, std::span<const std::string> tools,
                const ChatOptions& options) {
  out.own(special::bos);
  if (options.think == Think::max) out.own(max_effort);
  bool first = true;
  const auto section = [&] {
    if (!first) out.own("\n\n");
    first = false;
  };
  const auto tools_section = [&] {
    if (tools.empty()) return;
    section();
    write_tools(out, tools);
  };
  if (options.layout == ChatLayout::tools_first) tools_section();
  for (const ChatMessage& m : messages) {
    if (!is_system(m) || m.content.empty()) continue;
    section();
    out.foreign(m.content);
  }
  if (options.layout == ChatLayout::official) tools_section();
}

/// A result must not close its own tag.
std::string guarded_result(std::string text) {
  for (std::size_t at = 0; (at = text.find("</tool_result>", at)) != std::string::npos; at += 4)
    text.replace(at, 1, "&lt;");
  return text;
}

/// Puts results into the order of the calls they answer; those of unknown calls come last, as they stand.
void sort_by_call(std::vector<const ChatMessage*>& results, std::span<const ToolCall> calls) {
  const auto rank = [&](const ChatMessage* m) {
    if (m->tool_call_id.empty()) return calls.size();
    const auto found = std::find_if(calls.begin(), calls.end(), [&](auto& c) { return c.id == m->tool_call_id; });
    return static_cast<std::size_t>(found - calls.begin());
  };
  std::stable_sort(results.begin(), results.end(), [&](auto* a, auto* b) { return rank(a) < rank(b); });
}

/// Writes the run of tool messages that begins at `begin`, the answers to `calls`; returns the index after it.
std::size_t write_results(PromptWriter& out, std::span<const ChatMessage> messages, std::size_t begin,
                          std::span<const ToolCall> calls, ChatLayout layout) {
  std::vector<const ChatMessage*> results;
  std::size_t end = begin;
  // System messages are written at the head: here they do not interrupt.
  for (; end < messages.size() && (messages[end].role == Role::tool || is_system(messages[end])); ++end)
    if (messages[end].role == Role::tool) results.push_back(&messages[end]);
  if (layout == ChatLayout::official) sort_by_call(results, calls);
  out.own(special::user);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i != 0 && layout == ChatLayout::official) out.own("\n\n");
    out.own("<tool_result>");
    out.foreign(guarded_result(results[i]->content));
    out.own("</tool_result>");
  }
  return end;
}

void write_assistant(PromptWriter& out, const ChatMessage& m, bool answers, bool keep_reasoning) {
  if (answers) {
    out.assistant_prefix(keep_reasoning);
    if (keep_reasoning) {
      out.foreign(m.reasoning);
      out.own(special::end_think);
    }
  }
  out.foreign(m.content);
  out.tool_block(m.tool_block.empty() ? render_tool_calls(m.tool_calls) : m.tool_block);
  out.own(special::eos);
}

} // namespace

Think think_from_name(std::string_view name) {
  if (name == "off") return Think::off;
  if (name == "high") return Think::high;
  if (name == "max") return Think::max;
  throw Error(Code::invalid_argument, fmt::format("unknown thinking mode '{}'", name), "use off, high or max");
}

Think think_for_context(Think wanted, std::int64_t n_ctx) {
  return wanted == Think::max && n_ctx < max_think_context ? Think::high : wanted;
}

ChatPrompt render_chat(std::span<const ChatMessage> messages, std::span<const std::string> tools,
                       const ChatOptions& options) {
  PromptWriter out;
  write_head(out, messages, tools, options);
  const bool thinking = options.think != Think::off;
  bool tools_in_play = !tools.empty();
  std::size_t after_last_user = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& m = messages[i];
    if (m.role == Role::user || m.role == Role::tool) after_last_user = i + 1;
    tools_in_play |= m.role == Role::tool || !m.tool_calls.empty() || !m.tool_block.empty();
  }
  bool pending = false;            // an assistant turn is due
  std::span<const ToolCall> calls; // of the last assistant message
  for (std::size_t i = 0; i < messages.size();) {
    const ChatMessage& m = messages[i];
    if (m.role == Role::tool) {
      i = write_results(out, messages, i, calls, options.layout);
      pending = true;
      continue;
    }
    if (m.role == Role::user) {
      out.own(special::user);
      out.foreign(m.content);
      pending = true;
    } else if (m.role == Role::assistant) {
      write_assistant(out, m, pending, thinking && (tools_in_play || i >= after_last_user));
      pending = false;
      calls = m.tool_calls;
    }
    ++i;
  }
  if (pending) out.assistant_prefix(thinking);
  return out.take();
}

ChatPrompt render_user_turn(std::string_view content, Think think) {
  PromptWriter out;
  out.own(special::user);
  out.foreign(content);
  out.assistant_prefix(think != Think::off);
  return out.take();
}

std::vector<TokenId> encode_chat(const Tokenizer& tokenizer, const ChatPrompt& prompt) {
  tokenizer.chat_ids();
  return tokenizer.encode_with_specials(prompt.text, prompt.literal);
}

std::string tool_schema(std::string_view json) {
  const auto members = json_members(json);
  if (!members)
    throw Error(Code::invalid_argument, "a tool description is not a JSON object",
                "give {\"name\": ..., \"description\": ..., \"parameters\": {...}}");
  for (const auto& [key, value] : *members)
    if (key == "function" && value.starts_with('{')) return json_spaced(value);
  return json_spaced(json);
}

namespace {

/// Thinking: what comes before the first </think> is reasoning.
void split_reasoning(std::string_view text, bool thinking, Answer& out) {
  if (text.starts_with(special::think)) text.remove_prefix(special::think.size());
  const std::size_t end = text.find(special::end_think);
  if (!thinking) {
    out.content = text;
  } else if (end == std::string_view::npos) {
    out.reasoning = text;
  } else {
    out.reasoning = text.substr(0, end);
    out.content = text.substr(end + special::end_think.size());
  }
}

} // namespace

Answer parse_answer(std::string_view text, bool thinking, bool tools) {
  Answer out;
  thinking |= text.starts_with(special::think);
  std::size_t from = 0; // calls count from here on
  if (thinking) {
    const std::size_t end = text.rfind(special::end_think);
    from = end == std::string_view::npos ? text.size() : end + special::end_think.size();
  }
  const auto start = tools ? find_tool_calls(text.substr(from)) : std::nullopt;
  if (!start) {
    split_reasoning(text, thinking, out);
    return out;
  }
  const std::size_t at = from + start->at;
  auto block = parse_tool_calls(text.substr(at), start->style);
  if (!block) {
    out.malformed = true;
    split_reasoning(text, thinking, out);
    return out;
  }
  std::size_t end = text.find_last_not_of(" \t\r\n\v\f", at - 1);
  end = at == 0 || end == std::string_view::npos ? 0 : end + 1;
  end = std::max(end, from);
  split_reasoning(text.substr(0, end), thinking, out);
  out.tool_calls = std::move(block->calls);
  out.tool_block = text.substr(end, at + block->bytes - end);
  return out;
}

} // namespace seacliff
