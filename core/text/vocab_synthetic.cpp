// A vocabulary for models of random weights: laid out like DeepSeek-V4's, with nothing learnt in it.
#include "core/text/tokenizer.hpp"

#include <array>
#include <utility>

namespace seacliff {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 18> k_merges{{
    {" ", "t"},
    {"h", "e"},
    {" ", "a"},
    {"i", "n"},
    {"r", "e"},
    {"o", "n"},
    {" t", "he"},
    {"e", "r"},
    {" ", "s"},
    {" ", "w"},
    {"a", "t"},
    {"n", "d"},
    {" ", "o"},
    {"i", "t"},
    {"e", "s"},
    {"o", "r"},
    {" a", "nd"},
    {"in", "g"},
}};

} // namespace

VocabData synthetic_vocab(std::size_t n_vocab) {
  constexpr std::array head{special::bos, special::eos, special::pad};
  constexpr std::array<std::string_view, 2> roles{special::user, special::assistant};
  constexpr std::array<std::string_view, 3> marks{special::think, special::end_think, special::dsml};
  const std::size_t least = head.size() + 256 + k_merges.size() + roles.size() + marks.size();
  if (n_vocab < least)
    throw Error(Code::invalid_argument, fmt::format("a vocabulary of {} tokens", n_vocab),
                fmt::format("bytes, merges and special tokens need at least {}", least));

  VocabData out;
  const auto add = [&out](std::string text, VocabData::Type type) {
    out.tokens.push_back(std::move(text));
    out.types.push_back(type);
  };
  for (const std::string_view text : head) add(std::string(text), VocabData::control);
  for (int byte = 0; byte < 256; ++byte) add(mapped_text(std::string(1, static_cast<char>(byte))), VocabData::normal);
  for (const auto& [left, right] : k_merges) {
    out.merges.push_back(mapped_text(left) + " " + mapped_text(right));
    add(mapped_text(left) + mapped_text(right), VocabData::normal);
  }
  for (std::size_t i = least; i < n_vocab; ++i) add(fmt::format("filler{:06}", i - least), VocabData::normal);
  for (const std::string_view text : roles) add(std::string(text), VocabData::control);
  for (const std::string_view text : marks) add(std::string(text), VocabData::user_defined);
  out.bos = 0;
  out.eos = 1;
  out.pad = 2;
  out.add_bos = true;
  return out;
}

} // namespace seacliff
