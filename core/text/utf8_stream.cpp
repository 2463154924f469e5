#include "core/text/utf8_stream.hpp"

#include "core/text/utf8.hpp"

#include <algorithm>
#include <utility>

namespace seacliff {

namespace {
constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD
}

std::string Utf8Stream::push(std::string_view bytes) {
  const std::string text = std::exchange(held_, {}).append(bytes);
  std::string out;
  out.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const Utf8Head head = utf8_head(rest);
    if (head.kind == Utf8Head::Kind::truncated) {
      held_ = rest;
      break;
    }
    out += head.kind == Utf8Head::Kind::valid ? rest.substr(0, head.bytes) : replacement;
    rest.remove_prefix(head.bytes);
  }
  return out;
}

std::string Utf8Stream::finish() {
  return std::string(std::exchange(held_, {}).empty() ? std::string_view{} : replacement);
}

std::size_t partial_match(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return 0;
  std::size_t n = std::min(text.size(), pattern.size() - 1);
  while (n > 0 && !pattern.starts_with(text.substr(text.size() - n))) --n;
  return n;
}

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string{});
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped()) return {};
  std::string out = std::exchange(held_, {}).append(text);
  std::size_t first = std::string::npos, keep = 0;
  for (const std::string& stop : stops_) {
    const std::size_t at = out.find(stop);
    if (at < first) {
      first = at;
      matched_ = stop;
    }
    keep = std::max(keep, partial_match(out, stop));
  }
  if (first != std::string::npos) {
    out.resize(first);
    return out;
  }
  held_ = out.substr(out.size() - keep);
  out.resize(out.size() - keep);
  return out;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

} // namespace seacliff
