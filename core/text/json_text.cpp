#include "core/text/json_text.hpp"

#include <nlohmann/json.hpp>

namespace seacliff {

namespace {

constexpr std::string_view k_json_blanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(k_json_blanks);
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(k_json_blanks) - begin + 1);
}

/// Index after the string literal that begins at `at`, in valid JSON.
std::size_t after_string(std::string_view text, std::size_t at) {
  for (++at; text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return at + 1;
}

/// Index of the `,` or closing bracket that ends the value which begins at `at`, in valid JSON.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  for (std::size_t depth = 0;;) {
    const char c = text[at];
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) return at;
    if (c == '"') {
      at = after_string(text, at);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
}

} // namespace

bool is_json(std::string_view text) { return nlohmann::json::accept(text); }

std::string json_quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::string> json_string(std::string_view literal) {
  if (!literal.starts_with('"')) return std::nullopt; // spares parsing a long array
  const auto value = nlohmann::json::parse(literal, nullptr, false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::optional<std::vector<std::pair<std::string, std::string_view>>> json_members(std::string_view text) {
  text = trimmed(text);
  if (!text.starts_with('{') || !is_json(text)) return std::nullopt;
  std::vector<std::pair<std::string, std::string_view>> out;
  std::size_t at = text.find_first_not_of(k_json_blanks, 1);
  while (text[at] != '}') {
    const std::size_t key_end = after_string(text, at);
    std::string key = json_string(text.substr(at, key_end - at)).value_or("");
    const std::size_t value = text.find(':', key_end) + 1, end = end_of_value(text, value);
    out.emplace_back(std::move(key), trimmed(text.substr(value, end - value)));
    at = text[end] == ',' ? text.find_first_not_of(k_json_blanks, end + 1) : end;
  }
  return out;
}

std::string json_spaced(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      const std::size_t end = after_string(text, at);
      out += text.substr(at, end - at);
      at = end;
      continue;
    }
    if (k_json_blanks.find(c) == std::string_view::npos) out.push_back(c);
    if (c == ',' || c == ':') out.push_back(' ');
    ++at;
  }
  return out;
}

} // namespace seacliff
