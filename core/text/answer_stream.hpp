// An answer while it is being generated: what may be shown at once, and what the sampler should know.
#pragma once

#include "core/text/chat.hpp"

#include <string>
#include <string_view>

namespace seacliff {

/// Splits generated text into reasoning and content as it comes. Held back: the beginnings of tags, and the blanks
/// before what may be a tool block. The pieces of all calls joined are `reasoning` and `content` of the answer that
/// `finish` returns.
class AnswerStream {
public:
  struct Delta {
    std::string reasoning, content;
  };

  /// `thinking`: the prompt ended with <think>. `tools`: look for tool calls.
  AnswerStream(bool thinking, bool tools);

  /// Text as it is generated, in whole characters, without EOS.
  Delta push(std::string_view text);
  /// At the end: the rest, and the whole answer.
  Delta finish(Answer& answer);

  /// The end of the block has come: generation should stop.
  bool block_done() const { return state_ == State::done; }
  /// Inside the tags and between the values of a block: to be sampled with temperature 0.
  bool in_structure() const;

private:
  enum class State { front, reasoning, content, opening, structure, value, done };

  void advance(Delta& out);
  bool read_front();
  bool read_reasoning(Delta& out);
  bool read_content(Delta& out);
  bool read_opening(Delta& out);
  bool read_block();
  void show(std::string& shown, std::string& out, std::size_t end);

  bool thinking_, tools_;
  State state_ = State::front;
  TagStyle style_ = TagStyle::full;
  std::string text_;                // all of it
  std::size_t next_ = 0;            // first byte not yet dealt with
  std::size_t after_tag_ = 0;       // end of the tag that opened a block
  std::string reasoning_, content_; // shown so far
};

} // namespace seacliff
