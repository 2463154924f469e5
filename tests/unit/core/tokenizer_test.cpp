// The tokenizer against models/nano and against hand-worked cases.
// To add a splitting case: one line in `splits` below, the text and its pieces. To add a BPE case: build a small
// VocabData with `byte_vocab` and compare ids.
#include "core/text/tokenizer.hpp"
#include "core/text/utf8.hpp"
#include "core/text/utf8_stream.hpp"
#include "tests/unit/core/nano_folder.hpp"
#include "tests/unit/core/temporary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

namespace seacliff {
namespace {

using nlohmann::json;
using test::error_of;
using test::k_nano;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const Tokenizer& nano_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::from_json(k_nano / "tokenizer.json");
  return tokenizer;
}

const json& nano_prompts() {
  static const json doc = json::parse(read_text(k_nano / "vectors" / "vectors.json"));
  return doc.at("prompts");
}

/// The bytes 0..255 as tokens 0..255 in the order of the byte map's code points, then `more`.
VocabData byte_vocab(std::vector<std::string> merges = {}, std::vector<std::string> more = {}) {
  VocabData vocab;
  for (char32_t c = 0; c < 0x144; ++c) {
    const bool mapped = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
    if (mapped) utf8_append(vocab.tokens.emplace_back(), c);
  }
  vocab.tokens.insert(vocab.tokens.end(), more.begin(), more.end());
  vocab.merges = std::move(merges);
  return vocab;
}

Ids ids_of(const Tokenizer& t, const std::vector<std::string>& tokens) {
  Ids out;
  for (const std::string& token : tokens) out.push_back(t.id_of(token).value_or(-1));
  return out;
}

// ---- models/nano ----

TEST(TokenizerNano, EveryVectorPrompt) {
  ASSERT_EQ(nano_prompts().size(), 16u);
  for (const json& prompt : nano_prompts()) {
    SCOPED_TRACE(prompt.at("name").get<std::string>());
    const auto text = prompt.at("text").get<std::string>();
    const auto ids = prompt.at("ids").get<Ids>();
    EXPECT_EQ(nano_tokenizer().decode(ids), text);
    EXPECT_EQ(nano_tokenizer().encode_with_specials(text), ids);
  }
}

TEST(TokenizerNano, HeldoutSlices) {
  const Ids all = nano_tokenizer().encode(read_text(k_nano / "heldout.txt"));
  std::size_t k = 0;
  for (const json& prompt : nano_prompts()) {
    const auto name = prompt.at("name").get<std::string>();
    if (!name.starts_with("text_")) continue;
    SCOPED_TRACE(name);
    const std::size_t n = prompt.at("n"), from = 21000 + 1700 * k++;
    ASSERT_LE(from + n - 1, all.size());
    Ids expected = {nano_tokenizer().special_ids().bos};
    expected.insert(expected.end(), all.begin() + static_cast<std::ptrdiff_t>(from),
                    all.begin() + static_cast<std::ptrdiff_t>(from + n - 1));
    EXPECT_EQ(prompt.at("ids").get<Ids>(), expected);
  }
  EXPECT_EQ(k, 11u);
}

TEST(TokenizerNano, HeldoutRoundTrip) {
  const std::string text = read_text(k_nano / "heldout.txt");
  EXPECT_EQ(nano_tokenizer().decode(nano_tokenizer().encode(text)), text);
}

TEST(TokenizerNano, GreedyTexts) {
  for (const json& prompt : nano_prompts())
    EXPECT_EQ(nano_tokenizer().decode(prompt.at("greedy").get<Ids>()), prompt.at("greedy_text").get<std::string>());
}

TEST(TokenizerNano, SpecialTokens) {
  const Tokenizer& t = nano_tokenizer();
  const SpecialIds& s = t.chat_ids();
  EXPECT_THAT((Ids{s.bos, s.eos, s.pad, s.user, s.assistant, s.think, s.end_think, s.dsml}),
              ElementsAre(0, 1, 2, 4080, 4081, 4082, 4083, 4084));
  EXPECT_EQ(t.n_vocab(), 4096u);
  EXPECT_EQ(t.id_of("<｜User｜>"), 4080);
  EXPECT_EQ(t.id_of("no such token"), std::nullopt);
  EXPECT_EQ(t.token_bytes(4084), "｜DSML｜");
  EXPECT_FALSE(t.add_bos());
  for (const TokenId id : {0, 1, 2, 4080, 4081, 4082, 4083, 4084, 4085, 4095}) EXPECT_TRUE(t.is_special(id)) << id;
  for (const TokenId id : {3, 300, 4079}) EXPECT_FALSE(t.is_special(id)) << id;
  EXPECT_THAT(error_of([&] { t.decode(Ids{4096}); }), HasSubstr("token id 4096"));
  EXPECT_THAT(error_of([&] { t.token_bytes(-1); }), HasSubstr("token id -1"));
}

TEST(TokenizerNano, PlainEncodingKnowsNoSpecials) {
  const Tokenizer& t = nano_tokenizer();
  const std::string text = "<｜User｜>a</think>";
  for (const TokenId id : t.encode(text)) EXPECT_FALSE(t.is_special(id));
  EXPECT_EQ(t.decode(t.encode(text)), text);
  EXPECT_EQ(t.encode_with_specials(text).front(), 4080);
  EXPECT_EQ(t.encode_with_specials(text).back(), 4083);
}

TEST(TokenizerNano, LiteralRangesStayText) {
  const Tokenizer& t = nano_tokenizer();
  const std::string text = "<｜User｜>say <think> and ｜DSML｜<｜Assistant｜></think>";
  const std::size_t begin = text.find("say"), end = text.find("<｜Assistant｜>");
  const TextRange user{begin, end};
  Ids expected = {4080};
  for (const TokenId id : t.encode(text.substr(begin, end - begin))) expected.push_back(id);
  expected.push_back(4081);
  expected.push_back(4083);
  EXPECT_EQ(t.encode_with_specials(text, {&user, 1}), expected);
  // A special that only touches a literal range is text too.
  const TextRange half{3, 5};
  EXPECT_EQ(t.encode_with_specials("<think>", {&half, 1}), t.encode("<think>"));
}

TEST(TokenizerNano, JsonEqualsVocabData) {
  const VocabData vocab = vocab_from_json(k_nano / "tokenizer.json");
  EXPECT_EQ(vocab.tokens.size(), 4096u);
  EXPECT_EQ(vocab.merges.size(), 3821u);
  EXPECT_EQ(vocab.bos, 0);
  EXPECT_EQ(vocab.eos, 1);
  EXPECT_EQ(vocab.pad, 2);
  EXPECT_EQ(vocab.types[0], VocabData::control);
  EXPECT_EQ(vocab.types[4082], VocabData::user_defined);
  EXPECT_EQ(vocab.types[100], VocabData::normal);
  // What a GGUF carries: no types needed, everything else by text.
  VocabData bare;
  bare.tokens = vocab.tokens;
  bare.merges = vocab.merges;
  const Tokenizer other{bare};
  for (const json& prompt : nano_prompts()) {
    const auto text = prompt.at("text").get<std::string>();
    EXPECT_EQ(other.encode_with_specials(text), nano_tokenizer().encode_with_specials(text));
  }
  for (TokenId id = 0; id < 4096; ++id) {
    EXPECT_EQ(other.token_bytes(id), nano_tokenizer().token_bytes(id));
    EXPECT_EQ(other.is_special(id), nano_tokenizer().is_special(id)) << id;
  }
}

TEST(TokenizerNano, MissingIdsArePadded) {
  const VocabData vocab = vocab_from_json(k_nano / "tokenizer.json", 4100);
  ASSERT_EQ(vocab.tokens.size(), 4100u);
  EXPECT_EQ(vocab.tokens[4099], "[PAD4099]");
  EXPECT_EQ(vocab.types[4099], VocabData::unused);
  EXPECT_THAT(error_of([] { vocab_from_json(k_nano / "tokenizer.json", 100); }), HasSubstr("vocabulary size is 100"));
}

// ---- splitting ----

struct SplitCase {
  std::string text;
  std::vector<std::string> pieces;
};

const std::vector<SplitCase> splits = {
    {"", {}},
    {"Hello world", {"Hello", " world"}},
    {"1234567", {"123", "456", "7"}},
    {"a1b22", {"a", "1", "b", "22"}},
    {"    5", {"    ", "5"}},
    {"    x", {"   ", " x"}},
    {"    中", {"    ", "中"}},
    {"    ", {"    "}},
    {"x    ", {"x", "    "}},
    {"abc中文def", {"abc", "中文", "def"}},
    {"ひらカタ漢", {"ひらカタ漢"}},
    {"カ・ナ", {"カ", "・", "ナ"}}, // U+30FB is in the second pattern's range, and punctuation for the third
    {"don't", {"don", "'t"}},
    {"(word)", {"(word", ")"}},
    {" (word", {" (", "word"}},
    {"a, b", {"a", ",", " b"}},
    {"end.\n\nNew", {"end", ".\n\n", "New"}},
    {"a\n\n  b", {"a", "\n\n", " ", " b"}},
    {"a \n b", {"a", " \n", " b"}},
    {"a\r\nb", {"a", "\r\n", "b"}},
    {"x\t\ty", {"x", "\t", "\ty"}},
    {"!!!???\n", {"!!!???\n"}},
    {"...abc", {"...", "abc"}},
    {"$x = 3;", {"$x", " =", " ", "3", ";"}},
    {"été", {"été"}},
    {"e\u0301a", {"e\u0301a"}}, // a combining mark goes with the letters
    {"«oui»", {"«", "oui", "»"}},
    {"a\u00a0b", {"a", "\u00a0b"}}, // a no-break space leads a word like a space does
    {"a\u3000\u3000b", {"a", "\u3000", "\u3000b"}},
    {"x²³y", {"x", "²³", "y"}},
    {"٣٤٥٦", {"٣٤٥", "٦"}}, // digits of every script count
    {"😀😀 ok", {"😀😀", " ok"}},
    {std::string("a\0b", 3), {"a", std::string("\0b", 2)}},
    {"\u180e\u180ex", {"\u180e", "\u180ex"}}, // no White_Space, though some engines think so
};

TEST(PreSplitter, Cases) {
  const PreSplitter splitter;
  for (const SplitCase& c : splits) {
    const auto pieces = splitter.split(c.text);
    EXPECT_THAT(std::vector<std::string>(pieces.begin(), pieces.end()), ElementsAreArray(c.pieces)) << c.text;
  }
}

TEST(PreSplitter, InvalidBytesFormTheirOwnPieces) {
  const PreSplitter splitter;
  const auto pieces = splitter.split("ab\xff\xfe\xc3 cd\xe4\xb8");
  EXPECT_THAT(std::vector<std::string>(pieces.begin(), pieces.end()),
              ElementsAre("ab", "\xff\xfe\xc3", " cd", "\xe4\xb8"));
}

TEST(PreSplitter, LongRunsOfOneKind) {
  const PreSplitter splitter;
  const std::size_t n = 3'000'000;
  EXPECT_EQ(splitter.split(std::string(n, ' ')).size(), 1u);
  EXPECT_EQ(splitter.split(std::string(n, ' ') + "x").size(), 2u);
  EXPECT_EQ(splitter.split(std::string(n, '\n')).size(), 1u);
  EXPECT_EQ(splitter.split(std::string(n, 'a')).size(), 1u);
  EXPECT_EQ(splitter.split(std::string(n, '.')).size(), 1u);
  EXPECT_EQ(splitter.split(std::string(n, '7')).size(), n / 3);
  EXPECT_EQ(splitter.split(std::string(n, '\0')).size(), 1u);
  EXPECT_EQ(splitter.split(std::string(n, '\xff')).size(), 1u);
}

// ---- merging ----

TEST(Tokenizer, LowestRankThenLeftmost) {
  const Tokenizer t{byte_vocab({"b c", "a b", "a a"}, {"bc", "ab", "aa"})};
  EXPECT_EQ(t.encode("abc"), ids_of(t, {"a", "bc"}));
  EXPECT_EQ(t.encode("aaa"), ids_of(t, {"aa", "a"}));
  EXPECT_EQ(t.encode("aaab"), ids_of(t, {"aa", "ab"})) << "'a b' ranks before 'a a'";
}

TEST(Tokenizer, MergeThroughAnUnknownSymbol) {
  // "ab" is no token: it may still lead to "abc", and falls back to bytes when it does not.
  const Tokenizer t{byte_vocab({"a b", "ab c"}, {"abc"})};
  EXPECT_EQ(t.encode("abc"), ids_of(t, {"abc"}));
  EXPECT_EQ(t.encode("abd"), ids_of(t, {"a", "b", "d"}));
}

/// BPE as its definition reads, in quadratic time.
std::vector<std::string> merge_slowly(std::string_view text, const std::vector<std::string>& merges) {
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  for (;;) {
    std::size_t best = merges.size(), at = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = std::find(merges.begin(), merges.end(), symbols[i] + ' ' + symbols[i + 1]);
      const auto rank = static_cast<std::size_t>(found - merges.begin());
      if (rank < best) best = rank, at = i;
    }
    if (best == merges.size()) return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Tokenizer, EqualsTheDefinitionOnRandomTables) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string> symbols = {"a", "b", "c"}, merges;
    for (int i = 0; i < 25; ++i) {
      const std::string left = symbols[below(symbols.size())], right = symbols[below(symbols.size())];
      if (left.size() + right.size() > 12) continue;
      merges.push_back(left + ' ' + right);
      symbols.push_back(left + right);
    }
    std::shuffle(merges.begin(), merges.end(), random); // ranks need not follow the order of making
    const Tokenizer t{byte_vocab(merges, {symbols.begin() + 3, symbols.end()})};
    for (int i = 0; i < 20; ++i) {
      std::string text(below(60), 'a');
      for (char& c : text) c = static_cast<char>('a' + below(3));
      EXPECT_EQ(t.encode(text), ids_of(t, merge_slowly(text, merges))) << text;
    }
  }
}

TEST(Tokenizer, RoundTripsArbitraryBytes) {
  std::mt19937 random(11);
  for (int i = 0; i < 300; ++i) {
    std::string text(random() % 200, '\0');
    for (char& c : text) c = static_cast<char>(random());
    EXPECT_EQ(nano_tokenizer().decode(nano_tokenizer().encode(text)), text);
    EXPECT_EQ(nano_tokenizer().decode(nano_tokenizer().encode_with_specials(text)), text);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    EXPECT_EQ(nano_tokenizer().encode(text).size(), 1u) << byte;
    EXPECT_EQ(nano_tokenizer().decode(nano_tokenizer().encode(text)), text);
  }
}

TEST(Tokenizer, LongPieces) {
  // Quadratic merging would take hours here, and still would with a quarter of it under sanitizers.
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t length = 500'000;
#else
  constexpr std::size_t length = 2'000'000;
#endif
  for (const std::string unit : {"a", "ab", "e", " ", "\xff"}) {
    std::string text;
    while (text.size() < length) text += unit;
    EXPECT_EQ(nano_tokenizer().decode(nano_tokenizer().encode(text)), text);
  }
}

TEST(Tokenizer, LongTexts) {
  const std::string book = read_text(k_nano / "heldout.txt");
  std::string text;
  for (int i = 0; i < 25; ++i) text += book;
  EXPECT_EQ(nano_tokenizer().decode(nano_tokenizer().encode(text)), text);
}

TEST(Tokenizer, RepeatedPiecesGiveTheSameIds) {
  // From the second time on a piece comes from the memory of the call.
  const auto encode = [](std::string_view text) { return nano_tokenizer().encode(text); };
  const std::string unit = " Holmes said, Watson;";
  std::string text;
  Ids expected;
  for (int i = 0; i < 50; ++i) {
    text += unit;
    for (const TokenId id : encode(unit)) expected.push_back(id);
  }
  EXPECT_EQ(encode(text), expected);
}

// ---- what goes wrong ----

TEST(Tokenizer, RefusesBadVocabularies) {
  EXPECT_THAT(error_of([] { Tokenizer{VocabData{}}; }), HasSubstr("no tokens"));
  for (const char* merge : {"", "ab", " ab", "ab "})
    EXPECT_THAT(error_of([&] { Tokenizer{byte_vocab({merge})}; }), HasSubstr("merge 0")) << merge;
  VocabData types = byte_vocab();
  types.types = {1, 2};
  EXPECT_THAT(error_of([&] { Tokenizer{types}; }), HasSubstr("256 tokens but 2 token types"));
}

TEST(Tokenizer, NamesTheByteThatHasNoToken) {
  VocabData vocab;
  vocab.tokens = {"a"};
  const Tokenizer t{vocab};
  EXPECT_EQ(t.encode("aa"), (Ids{0, 0}));
  EXPECT_THAT(error_of([&] { t.encode("ab"); }), HasSubstr("byte 0x62"));
}

TEST(Tokenizer, ChatNamesMissingTokens) {
  const Tokenizer t{byte_vocab({}, {"<think>", "</think>", "<｜User｜>"})};
  const std::string error = error_of([&] { t.chat_ids(); });
  EXPECT_THAT(error, HasSubstr("<｜Assistant｜>"));
  EXPECT_THAT(error, HasSubstr("｜DSML｜"));
  EXPECT_EQ(error.find("<think>"), std::string::npos);
}

TEST(Tokenizer, RefusesBadJson) {
  const test::TemporaryFile file;
  const auto& path = file.path();
  const auto error = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return error_of([&] { Tokenizer::from_json(path); });
  };
  EXPECT_THAT(error("{"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{}"), HasSubstr("no \"model\""));
  EXPECT_THAT(error(R"({"model":{"type":"Unigram"}})"), HasSubstr("not of type BPE"));
  EXPECT_THAT(error(R"({"model":{"vocab":{}}})"), HasSubstr("no \"merges\""));
  EXPECT_THAT(error(R"({"model":{"vocab":{"a":-1},"merges":[]}})"), HasSubstr("has the id -1"));
  EXPECT_THAT(error(R"({"model":{"vocab":{"a":99999999999},"merges":[]}})"), HasSubstr("has the id"));
  EXPECT_THAT(error(R"({"model":{"vocab":{"a":0,"b":0},"merges":[]}})"), HasSubstr("share the id 0"));
  EXPECT_THAT(error(R"({"model":{"vocab":{"a":0},"merges":[1]}})"), HasSubstr("a merge is neither"));
  std::ofstream(path, std::ios::binary) << R"({"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})";
  EXPECT_EQ(Tokenizer::from_json(path).encode("ab"), Ids{2});
  EXPECT_THAT(error_of([&] { Tokenizer::from_json(path / "none"); }), HasSubstr("cannot read"));
}

// ---- streaming ----

TEST(Utf8Stream, HoldsBackUnfinishedCharacters) {
  const std::string text = "aé中😀z";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    Utf8Stream stream;
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += step) {
      const std::string piece = stream.push(text.substr(i, step));
      for (std::string_view rest = piece; !rest.empty(); rest.remove_prefix(utf8_head(rest).bytes))
        EXPECT_EQ(utf8_head(rest).kind, Utf8Head::Kind::valid);
      out += piece;
    }
    EXPECT_EQ(out + stream.finish(), text);
  }
}

TEST(Utf8Stream, ReplacesWhatIsNoUtf8) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xff"
                        "b\xc0\x80"),
            "a\uFFFDb\uFFFD\uFFFD");
  EXPECT_EQ(stream.push("\xe4\xb8"), "");
  EXPECT_EQ(stream.push("x"), "\uFFFDx");
  EXPECT_EQ(stream.push("\xf0\x9f"), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8, RefusesWhatTheStandardRefuses) {
  using Kind = Utf8Head::Kind;
  for (const char* bad :
       {"\x80", "\xc1\x81", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5"})
    EXPECT_EQ(utf8_head(bad).kind, Kind::invalid);
  for (const char* good :
       {"\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"}) {
    const std::string_view text = good;
    EXPECT_EQ(utf8_head(text).kind, Kind::valid);
    EXPECT_EQ(utf8_head(text).bytes, text.size());
    std::string again;
    utf8_append(again, utf8_decode(text));
    EXPECT_EQ(again, text);
  }
}

TEST(StopMatcher, CutsAtTheFirstMatchHoweverItIsFed) {
  const std::string text = "one END two\n\nUser: three";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    StopMatcher stops({"\n\nUser:", "ENDING", "", "three"});
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += step) out += stops.push(text.substr(i, step));
    EXPECT_EQ(out + stops.finish(), "one END two");
    EXPECT_EQ(stops.matched(), "\n\nUser:");
  }
}

TEST(StopMatcher, HoldsBackOnlyWhatMayMatch) {
  StopMatcher stops({"abab!", "zz"});
  EXPECT_EQ(stops.push("x"), "x");
  EXPECT_EQ(stops.push("aba"), "");
  EXPECT_EQ(stops.push("bab"), "ab");
  EXPECT_EQ(stops.push("z"), "abab");
  EXPECT_EQ(stops.finish(), "z");
  EXPECT_FALSE(stops.stopped());
}

} // namespace
} // namespace seacliff
