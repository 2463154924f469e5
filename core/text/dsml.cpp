#include "core/text/dsml.hpp"

#include "core/text/json_text.hpp"

#include <array>
#include <utility>

namespace seacliff {

namespace {

constexpr std::string_view end_parameter = "</｜DSML｜parameter>";
constexpr std::array<std::pair<std::string_view, char>, 5> entities = {
    {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};

std::string escaped_attribute(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
    case '&': out += "&amp;"; break;
    case '<': out += "&lt;"; break;
    case '>': out += "&gt;"; break;
    case '"': out += "&quot;"; break;
    default: out.push_back(c);
    }
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t used = 1;
    char c = text.front();
    if (c == '&')
      for (const auto& [entity, meaning] : entities)
        if (text.starts_with(entity)) used = entity.size(), c = meaning;
    out.push_back(c);
    text.remove_prefix(used);
  }
  return out;
}

/// Keeps a value from ending its own parameter: the "<" of a closing tag inside is written as `less`.
std::string guarded(std::string text, std::string_view less) {
  for (std::size_t at = 0; (at = text.find(end_parameter, at)) != std::string::npos; at += less.size())
    text.replace(at, 1, less);
  return text;
}

std::string parameter(std::string_view key, bool is_string, std::string value) {
  std::string out = "<｜DSML｜parameter name=\"" + escaped_attribute(key) + "\" string=\"";
  out += is_string ? "true\">" : "false\">";
  out += guarded(std::move(value), is_string ? "&lt;" : "\\u003c");
  return out.append(end_parameter) += '\n';
}

} // namespace

std::string render_tool_calls(const std::vector<ToolCall>& calls) {
  if (calls.empty()) return {};
  std::string out = "\n\n<｜DSML｜tool_calls>\n";
  for (const ToolCall& call : calls) {
    out += "<｜DSML｜invoke name=\"" + escaped_attribute(call.name) + "\">\n";
    const bool blank = call.arguments.find_first_not_of(k_blanks) == std::string::npos;
    const std::string_view arguments = blank ? std::string_view("{}") : call.arguments;
    if (const auto members = json_members(arguments)) {
      for (const auto& [key, value] : *members) {
        auto text = json_string(value);
        const bool is_string = text.has_value();
        out += parameter(key, is_string, is_string ? std::move(*text) : std::string(value));
      }
    } else {
      out += parameter("arguments", true, call.arguments);
    }
    out += "</｜DSML｜invoke>\n";
  }
  return out += "</｜DSML｜tool_calls>";
}

std::string dsml_tag(TagStyle style, bool closing, std::string_view name) {
  std::string out = closing ? "</" : "<";
  if (style == TagStyle::full) out += "｜";
  if (style != TagStyle::plain) out += "DSML｜";
  return out.append(name);
}

std::optional<DsmlStart> find_tool_calls(std::string_view text) {
  if (const auto at = text.find("\n\n<｜DSML｜tool_calls>"); at != std::string_view::npos)
    return DsmlStart{at + 2, TagStyle::full};
  for (const TagStyle style : {TagStyle::full, TagStyle::short_bar, TagStyle::plain})
    if (const auto at = text.find(dsml_tag(style, false, "tool_calls") + '>'); at != std::string_view::npos)
      return DsmlStart{at, style};
  return std::nullopt;
}

namespace {

/// Recursive descent over one block; every function answers whether the grammar was met and moves `rest_` on.
class BlockParser {
public:
  BlockParser(std::string_view text, TagStyle style)
      : rest_(text), open_invoke_(dsml_tag(style, false, "invoke")),
        close_invoke_(dsml_tag(style, true, "invoke") + '>'), open_parameter_(dsml_tag(style, false, "parameter")),
        close_parameter_(dsml_tag(style, true, "parameter") + '>'),
        open_block_(dsml_tag(style, false, "tool_calls") + '>'),
        close_block_(dsml_tag(style, true, "tool_calls") + '>') {}

  bool block(DsmlBlock& out) {
    const std::size_t all = rest_.size();
    if (!take(open_block_)) return false;
    for (skip_blanks(); !take(close_block_); skip_blanks())
      if (!invoke(out.calls.emplace_back())) return false;
    out.bytes = all - rest_.size();
    return true;
  }

private:
  struct Attributes {
    std::optional<std::string> name, string;
  };
  static constexpr int deepest = 64; // nested parameters: a bound for the stack

  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(k_blanks), rest_.size())); }

  /// name="value" pairs up to and including ">".
  bool attributes(Attributes& out) {
    for (skip_blanks(); !take(">"); skip_blanks()) {
      const std::size_t equals = rest_.find("=\"");
      if (equals == std::string_view::npos) return false;
      const std::string_view key = rest_.substr(0, equals);
      if (key.empty() || key.find_first_of(" \t\r\n<>\"") != std::string_view::npos) return false;
      rest_.remove_prefix(equals + 2);
      const std::size_t end = rest_.find('"');
      if (end == std::string_view::npos) return false;
      if (key == "name") out.name = unescaped(rest_.substr(0, end));
      if (key == "string") out.string = unescaped(rest_.substr(0, end));
      rest_.remove_prefix(end + 1);
    }
    return out.name.has_value();
  }

  bool invoke(ToolCall& out) {
    Attributes tag;
    if (!take(open_invoke_) || !attributes(tag)) return false;
    out.name = std::move(*tag.name);
    return parameters(out.arguments, 0) && take(close_invoke_);
  }

  /// Any number of parameters as a JSON object; stops at what is none.
  bool parameters(std::string& json, int depth) {
    json = "{";
    for (skip_blanks(); rest_.starts_with(open_parameter_); skip_blanks()) {
      if (json.size() > 1) json += ',';
      if (!one_parameter(json, depth)) return false;
    }
    json += '}';
    return true;
  }

  bool one_parameter(std::string& json, int depth) {
    Attributes tag;
    if (!take(open_parameter_) || !attributes(tag)) return false;
    json += json_quote(*tag.name) + ':';
    if (!tag.string && starts_nested()) {
      if (depth == deepest) return false;
      std::string inner;
      if (!parameters(inner, depth + 1)) return false;
      json += inner;
      take(close_parameter_); // often forgotten
      return true;
    }
    const std::size_t end = rest_.find(close_parameter_);
    if (end == std::string_view::npos) return false;
    const std::string_view value = rest_.substr(0, end);
    rest_.remove_prefix(end + close_parameter_.size());
    // What claims to be JSON and is not would spoil the whole object: it goes in as a string.
    const bool literal = tag.string == "false" && is_json(value);
    json += literal ? std::string(value) : json_quote(unescaped(value));
    return true;
  }

  bool starts_nested() const {
    const std::size_t at = rest_.find_first_not_of(k_blanks);
    return at != std::string_view::npos && rest_.substr(at).starts_with(open_parameter_);
  }

  std::string_view rest_;
  std::string open_invoke_, close_invoke_, open_parameter_, close_parameter_, open_block_, close_block_;
};

} // namespace

std::optional<DsmlBlock> parse_tool_calls(std::string_view text, TagStyle style) {
  DsmlBlock out;
  if (!BlockParser(text, style).block(out)) return std::nullopt;
  return out;
}

} // namespace seacliff
