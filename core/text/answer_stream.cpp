#include "core/text/answer_stream.hpp"

#include "core/text/utf8_stream.hpp"

#include <algorithm>
#include <array>

namespace seacliff {

namespace {

constexpr std::array styles = {TagStyle::full, TagStyle::short_bar, TagStyle::plain};

/// What follows `shown` in `whole`; empty when `whole` goes another way.
std::string remainder(const std::string& whole, const std::string& shown) {
  return whole.starts_with(shown) ? whole.substr(shown.size()) : std::string{};
}

} // namespace

AnswerStream::AnswerStream(bool thinking, bool tools) : thinking_(thinking), tools_(tools) {}

AnswerStream::Delta AnswerStream::push(std::string_view text) {
  Delta out;
  text_ += text;
  advance(out);
  return out;
}

void AnswerStream::advance(Delta& out) {
  for (bool moved = true; moved;) {
    switch (state_) {
    case State::front: moved = read_front(); break;
    case State::reasoning: moved = read_reasoning(out); break;
    case State::content: moved = read_content(out); break;
    case State::opening: moved = read_opening(out); break;
    case State::structure:
    case State::value: moved = read_block(); break;
    case State::done: moved = false; break;
    }
  }
}

/// An answer that opens with <think> is thinking, asked or not.
bool AnswerStream::read_front() {
  if (text_.starts_with(special::think)) {
    next_ = special::think.size();
    state_ = State::reasoning;
    return true;
  }
  if (special::think.starts_with(text_)) return false;
  state_ = thinking_ ? State::reasoning : State::content;
  return true;
}

/// Passes text_[next_, end) on.
void AnswerStream::show(std::string& shown, std::string& out, std::size_t end) {
  const std::string_view piece = std::string_view(text_).substr(next_, end - next_);
  shown += piece;
  out += piece;
  next_ = end;
}

bool AnswerStream::read_reasoning(Delta& out) {
  const std::string_view text = text_;
  const std::size_t end = text.find(special::end_think, next_);
  if (end == std::string_view::npos) {
    show(reasoning_, out.reasoning, text.size() - partial_match(text.substr(next_), special::end_think));
    return false;
  }
  show(reasoning_, out.reasoning, end);
  next_ = end + special::end_think.size();
  state_ = State::content;
  return true;
}

bool AnswerStream::read_content(Delta& out) {
  const std::string_view rest = std::string_view(text_).substr(next_);
  if (!tools_) {
    show(content_, out.content, text_.size());
    return false;
  }
  std::size_t start = std::string_view::npos, hold = 0;
  for (const TagStyle style : styles) {
    const std::string tag = dsml_tag(style, false, "tool_calls") + '>';
    hold = std::max(hold, partial_match(rest, tag));
    if (const std::size_t at = rest.find(tag); at < start) {
      start = at;
      style_ = style;
    }
  }
  const bool found = start != std::string_view::npos;
  const std::size_t begin = next_ + start;
  const std::size_t last = rest.substr(0, found ? start : rest.size() - hold).find_last_not_of(k_blanks);
  show(content_, out.content, next_ + (last == std::string_view::npos ? 0 : last + 1));
  if (!found) return false;
  after_tag_ = text_.find('>', begin) + 1;
  state_ = State::opening;
  return true;
}

/// After the block's first tag: anything but a call or the end shows that it was only a word.
bool AnswerStream::read_opening(Delta& out) {
  const std::string_view text = text_;
  const std::size_t at = std::min(text.find_first_not_of(k_blanks, after_tag_), text.size());
  const std::string_view rest = text.substr(at);
  const std::string call = dsml_tag(style_, false, "invoke"), end = dsml_tag(style_, true, "tool_calls") + '>';
  if (rest.starts_with(call) || rest.starts_with(end)) {
    next_ = at;
    state_ = State::structure;
    return true;
  }
  if (call.starts_with(rest) || end.starts_with(rest)) return false;
  show(content_, out.content, after_tag_);
  state_ = State::content;
  return true;
}

/// One step through a block: to the next value, the end of a value, or the end of the block.
bool AnswerStream::read_block() {
  const std::string_view text = text_;
  if (state_ == State::value) {
    const std::string close = dsml_tag(style_, true, "parameter") + '>';
    const std::size_t end = text.find(close, next_);
    if (end == std::string_view::npos) {
      next_ = text.size() - partial_match(text.substr(next_), close);
      return false;
    }
    next_ = end + close.size();
    state_ = State::structure;
    return true;
  }
  const std::string done = dsml_tag(style_, true, "tool_calls") + '>', open = dsml_tag(style_, false, "parameter");
  const std::size_t end = text.find(done, next_), value = text.find(open, next_);
  if (end < value) {
    next_ = end + done.size();
    state_ = State::done;
    return false;
  }
  const std::size_t bracket = value == std::string_view::npos ? value : text.find('>', value);
  if (bracket == std::string_view::npos) {
    if (value == std::string_view::npos)
      next_ = text.size() - std::max(partial_match(text.substr(next_), done), partial_match(text.substr(next_), open));
    return false;
  }
  next_ = bracket + 1;
  state_ = State::value;
  return true;
}

bool AnswerStream::in_structure() const {
  // In a value, what is held back may be the closing tag; from "</" and a byte more it is taken for one.
  if (state_ == State::opening || state_ == State::structure) return true;
  return state_ == State::value && text_.size() - next_ > 2;
}

AnswerStream::Delta AnswerStream::finish(Answer& answer) {
  answer = parse_answer(text_, thinking_, tools_);
  return {remainder(answer.reasoning, reasoning_), remainder(answer.content, content_)};
}

} // namespace seacliff
