// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace seacliff {

/// What a text begins with.
struct Utf8Head {
  enum class Kind : std::uint8_t { valid, truncated, invalid };
  Kind kind = Kind::invalid;
  std::size_t bytes = 1; // of the character; of the truncated tail; of the bytes to skip (>= 1)
};

/// Looks at the first character of a non-empty text. `truncated`: all of `text` is the beginning of a character.
inline Utf8Head utf8_head(std::string_view text) {
  using Kind = Utf8Head::Kind;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return {Kind::valid, 1};
  if (first < 0xC2 || first > 0xF4) return {Kind::invalid, 1};
  const std::size_t need = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  // Only the second byte has a range of its own: it rules out overlong forms, surrogates and what is too large.
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < need; ++i) {
    if (i == text.size()) return {Kind::truncated, i};
    if (at(i) < (i == 1 ? low : 0x80) || at(i) > (i == 1 ? high : 0xBF)) return {Kind::invalid, i};
  }
  return {Kind::valid, need};
}

/// The code point of a valid character, as long as utf8_head says.
inline char32_t utf8_decode(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(character[i])); };
  switch (character.size()) {
  case 1: return byte(0);
  case 2: return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  case 3: return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  default: return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
}

inline void utf8_append(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
}

} // namespace seacliff
