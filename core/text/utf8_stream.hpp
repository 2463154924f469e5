// For text that arrives token by token: whole characters out of byte pieces, and stop strings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

/// Turns pieces of bytes into pieces of valid UTF-8. The beginning of a character is held back until the rest has come;
/// bytes that can be no character become U+FFFD.
class Utf8Stream {
public:
  /// Everything that is complete now, including what was held back. May be empty.
  std::string push(std::string_view bytes);
  /// At the end: U+FFFD when a character was left unfinished, else nothing.
  std::string finish();

private:
  std::string held_;
};

/// Lets text through up to the first stop string. Text that may be the beginning of a stop string is held back.
class StopMatcher {
public:
  /// Empty stop strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  /// Text that is safe to show. After a match: the text before it, then nothing any more.
  std::string push(std::string_view text);
  /// At the end: what was held back, as no match can follow.
  std::string finish();
  /// The stop string that was met; empty before that.
  const std::string& matched() const { return matched_; }
  bool stopped() const { return !matched_.empty(); }

private:
  std::vector<std::string> stops_;
  std::string held_, matched_;
};

/// Length of the longest end of `text` that is a proper beginning of `pattern`.
std::size_t partial_match(std::string_view text, std::string_view pattern);

} // namespace seacliff
