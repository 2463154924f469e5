#include "core/text/tokenizer.hpp"

#include "core/text/utf8.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace seacliff {

namespace {

constexpr std::uint32_t no_symbol = std::numeric_limits<std::uint32_t>::max();

/// The GPT-2 byte map: printable Latin-1 bytes stand for themselves, the other 68 for U+0100, U+0101, ...
struct ByteMap {
  std::array<char32_t, 256> to_char{};
  std::array<std::int16_t, 0x144> to_byte{};

  constexpr ByteMap() {
    for (auto& byte : to_byte) byte = -1;
    char32_t next = 0x100;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      to_char[byte] = itself ? static_cast<char32_t>(byte) : next++;
      to_byte[to_char[byte]] = static_cast<std::int16_t>(byte);
    }
  }
};
constexpr ByteMap byte_map;

/// The bytes a token text stands for; nothing when it is not over the byte map.
std::optional<std::string> mapped_bytes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Head head = utf8_head(text);
    if (head.kind != Utf8Head::Kind::valid) return std::nullopt;
    const char32_t c = utf8_decode(text.substr(0, head.bytes));
    if (c >= byte_map.to_byte.size() || byte_map.to_byte[c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(byte_map.to_byte[c]));
    text.remove_prefix(head.bytes);
  }
  return out;
}

std::uint64_t pair_key(std::uint32_t left, std::uint32_t right) { return std::uint64_t{left} << 32 | right; }

} // namespace

std::string mapped_text(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) utf8_append(out, byte_map.to_char[static_cast<unsigned char>(byte)]);
  return out;
}

Tokenizer::Tokenizer(VocabData vocab) : vocab_(std::move(vocab)) {
  read_tokens();
  read_merges();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const auto found = symbols_.find(mapped_text({&c, 1}));
    byte_symbol_[byte] = found == symbols_.end() ? no_symbol : found->second;
  }
  find_specials();
}

Tokenizer Tokenizer::from_json(const std::filesystem::path& tokenizer_json) {
  return Tokenizer(vocab_from_json(tokenizer_json));
}

void Tokenizer::read_tokens() {
  const std::size_t n = vocab_.tokens.size();
  if (n == 0) throw Error(Code::invalid_argument, "the vocabulary has no tokens", "use a complete model file");
  if (n > static_cast<std::size_t>(std::numeric_limits<TokenId>::max()))
    throw Error(Code::invalid_argument, fmt::format("the vocabulary has {} tokens, too many", n));
  if (!vocab_.types.empty() && vocab_.types.size() != n)
    throw Error(Code::invalid_argument,
                fmt::format("the vocabulary has {} tokens but {} token types", n, vocab_.types.size()),
                "use a model file whose tokenizer arrays have one length");
  bytes_.reserve(n);
  symbols_.reserve(n);
  for (std::size_t id = 0; id < n; ++id) {
    const std::string& text = vocab_.tokens[id];
    symbols_.emplace(text, static_cast<std::uint32_t>(id)); // the lowest id wins
    bytes_.push_back(mapped_bytes(text).value_or(text));
  }
}

/// The symbol of a text; a merge may pass through a text that is no token.
std::uint32_t Tokenizer::symbol_of(const std::string& text) {
  return symbols_.emplace(text, static_cast<std::uint32_t>(symbols_.size() + vocab_.tokens.size())).first->second;
}

void Tokenizer::read_merges() {
  merges_.reserve(vocab_.merges.size());
  std::uint32_t rank = 0;
  for (const std::string& merge : vocab_.merges) {
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string::npos || space + 1 == merge.size())
      throw Error(Code::invalid_argument,
                  fmt::format("merge {} of the vocabulary is not two symbols: '{}'", rank, merge),
                  "use a complete model file");
    std::string left = merge.substr(0, space);
    const std::string right = merge.substr(space + 1);
    const std::uint64_t key = pair_key(symbol_of(left), symbol_of(right));
    merges_.emplace(key, Merge{rank++, symbol_of(left += right)}); // the first of two equal ones wins
  }
}

void Tokenizer::find_specials() {
  const auto find = [&](std::string_view text, std::optional<TokenId> stated) {
    const auto found = id_of(text);
    if (found) return *found;
    return stated && *stated >= 0 && static_cast<std::size_t>(*stated) < n_vocab() ? *stated : -1;
  };
  special_ = {.bos = find(special::bos, vocab_.bos),
              .eos = find(special::eos, vocab_.eos),
              .pad = find(special::pad, vocab_.pad),
              .user = find(special::user, {}),
              .assistant = find(special::assistant, {}),
              .think = find(special::think, {}),
              .end_think = find(special::end_think, {}),
              .dsml = find(special::dsml, {})};
}

const SpecialIds& Tokenizer::chat_ids() const {
  std::string missing;
  const auto need = [&](TokenId id, std::string_view text) {
    if (id < 0) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", text);
  };
  need(special_.bos, special::bos);
  need(special_.eos, special::eos);
  need(special_.user, special::user);
  need(special_.assistant, special::assistant);
  need(special_.think, special::think);
  need(special_.end_think, special::end_think);
  need(special_.dsml, special::dsml);
  if (!missing.empty())
    throw Error(Code::failed_precondition, fmt::format("chat needs tokens that the vocabulary lacks: {}", missing),
                "use plain prompts, or a model with the DeepSeek-V4 vocabulary");
  return special_;
}

std::optional<TokenId> Tokenizer::id_of(std::string_view bytes) const {
  const auto token = [&](const std::string& text) -> std::optional<TokenId> {
    const auto found = symbols_.find(text);
    if (found == symbols_.end() || found->second >= n_vocab()) return std::nullopt;
    return static_cast<TokenId>(found->second);
  };
  const auto literal = token(std::string(bytes));
  return literal && bytes_[static_cast<std::size_t>(*literal)] == bytes ? literal : token(mapped_text(bytes));
}

const std::string& Tokenizer::token_bytes(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size())
    throw Error(Code::out_of_range,
                fmt::format("token id {} is outside the vocabulary of {} tokens", id, bytes_.size()),
                "use ids of this model");
  return bytes_[static_cast<std::size_t>(id)];
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  std::string out;
  for (const TokenId id : ids) out += token_bytes(id);
  return out;
}

bool Tokenizer::is_special(TokenId id) const {
  const std::string& bytes = token_bytes(id);
  const auto i = static_cast<std::size_t>(id);
  if (!vocab_.types.empty() && (vocab_.types[i] == VocabData::control || vocab_.types[i] == VocabData::unused))
    return true;
  const SpecialIds& s = special_;
  if (id == s.bos || id == s.eos || id == s.pad || id == s.think || id == s.end_think) return true;
  // The byte map has no such bar, so a token text with one is a control text; a token whose *bytes* spell it is not.
  return bytes == vocab_.tokens[i] && bytes.find("｜") != std::string::npos;
}

// ---- encoding ----

/// Working memory of one encode call, kept between pieces.
struct Tokenizer::Scratch {
  struct Node {
    std::uint32_t symbol, previous, next, begin, end;
  };
  struct Candidate {
    std::uint32_t rank, at, left, right, result;
    /// The heap's top is the lowest rank, then the leftmost place.
    bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  std::vector<Node> nodes;
  std::vector<Candidate> heap;
  std::unordered_map<std::string_view, std::pair<std::size_t, std::size_t>> seen; // piece -> range of the output
};

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> out;
  encode_into(text, out);
  return out;
}

void Tokenizer::encode_into(std::string_view text, std::vector<TokenId>& out) const {
  if (text.size() >= no_symbol)
    throw Error(Code::out_of_range, fmt::format("a text of {} bytes is too long to tokenize", text.size()),
                "split the text");
  Scratch scratch;
  for (const std::string_view piece : splitter_.split(text)) {
    const auto [known, fresh] = scratch.seen.try_emplace(piece, out.size(), 0);
    if (fresh) {
      merge_piece(piece, scratch, out);
      known->second.second = out.size();
      continue;
    }
    const auto [begin, end] = known->second;
    for (std::size_t i = begin; i < end; ++i) out.push_back(out[i]);
  }
}

/// Joins neighbours, lowest rank first and leftmost among equals, until no pair is in the table.
void Tokenizer::merge_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const {
  std::vector<Scratch::Node>& nodes = scratch.nodes;
  std::vector<Scratch::Candidate>& heap = scratch.heap;
  const auto n = static_cast<std::uint32_t>(piece.size());
  nodes.clear();
  heap.clear();
  for (std::uint32_t i = 0; i < n; ++i)
    nodes.push_back({byte_symbol_[static_cast<unsigned char>(piece[i])], i - 1, i + 1, i, i + 1});

  const auto candidate = [&](std::uint32_t at) -> std::optional<Scratch::Candidate> {
    const std::uint32_t left = nodes[at].symbol, right = nodes[nodes[at].next].symbol;
    const auto found = merges_.find(pair_key(left, right));
    if (found == merges_.end()) return std::nullopt;
    return Scratch::Candidate{found->second.rank, at, left, right, found->second.result};
  };
  const auto push = [&](std::uint32_t at) {
    if (const auto c = candidate(at)) {
      heap.push_back(*c);
      std::push_heap(heap.begin(), heap.end());
    }
  };
  for (std::uint32_t i = 0; i + 1 < n; ++i)
    if (const auto c = candidate(i)) heap.push_back(*c);
  std::make_heap(heap.begin(), heap.end());

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Scratch::Candidate best = heap.back();
    heap.pop_back();
    Scratch::Node& node = nodes[best.at];
    // Stale when either side has been merged away since: a node that was swallowed has begin == end.
    if (node.begin == node.end || node.symbol != best.left || node.next == n || nodes[node.next].symbol != best.right)
      continue;
    Scratch::Node& swallowed = nodes[node.next];
    node.symbol = best.result;
    node.end = swallowed.end;
    node.next = swallowed.next;
    swallowed.begin = swallowed.end;
    if (node.next != n) nodes[node.next].previous = best.at;
    if (best.at != 0) push(node.previous);
    if (node.next != n) push(best.at);
  }
  for (std::uint32_t i = 0; i < n; i = nodes[i].next)
    emit(nodes[i].symbol, piece.substr(nodes[i].begin, nodes[i].end - nodes[i].begin), out);
}

void Tokenizer::emit(std::uint32_t symbol, std::string_view bytes, std::vector<TokenId>& out) const {
  if (symbol < n_vocab()) return out.push_back(static_cast<TokenId>(symbol));
  for (const char byte : bytes) out.push_back(byte_token(byte));
}

TokenId Tokenizer::byte_token(char byte) const {
  const auto value = static_cast<unsigned char>(byte);
  if (byte_symbol_[value] >= n_vocab())
    throw Error(Code::failed_precondition, fmt::format("the vocabulary has no token for byte 0x{:02x}", value),
                "give token ids instead of text, or use a model with a byte-level vocabulary");
  return static_cast<TokenId>(byte_symbol_[value]);
}

std::vector<TokenId> Tokenizer::encode_with_specials(std::string_view text, std::span<const TextRange> literal) const {
  const std::array<std::pair<std::string_view, TokenId>, 7> table = {{{special::bos, special_.bos},
                                                                      {special::eos, special_.eos},
                                                                      {special::user, special_.user},
                                                                      {special::assistant, special_.assistant},
                                                                      {special::think, special_.think},
                                                                      {special::end_think, special_.end_think},
                                                                      {special::dsml, special_.dsml}}};
  constexpr std::string_view firsts = "<\xEF"; // every text begins with one of these bytes
  std::vector<TokenId> out;
  std::size_t done = 0;
  auto range = literal.begin();
  for (std::size_t at = text.find_first_of(firsts); at < text.size();) {
    while (range != literal.end() && range->end <= at) ++range;
    const std::size_t limit = range == literal.end() ? text.size() : range->begin; // specials must end before
    const auto* hit = std::find_if(table.begin(), table.end(), [&](const auto& entry) {
      return entry.second >= 0 && text.substr(at).starts_with(entry.first) && at + entry.first.size() <= limit;
    });
    if (hit == table.end()) {
      at = text.find_first_of(firsts, at + 1);
      continue;
    }
    encode_into(text.substr(done, at - done), out);
    out.push_back(hit->second);
    done = at + hit->first.size();
    at = text.find_first_of(firsts, done);
  }
  encode_into(text.substr(done), out);
  return out;
}

} // namespace seacliff
