// Chat prompts and answers. B E U A below stand for the control texts.
// To add a rendering case: messages, options and the expected text. To add a parsing case: one `parse_answer` call and
// what must come out; grammar violations go into `broken`.
#include "core/text/answer_stream.hpp"
#include "core/text/chat.hpp"
#include "core/text/json_text.hpp"
#include "tests/unit/core/nano_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace seacliff {
namespace {

using nlohmann::json;
using test::k_nano;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Tokenizer& nano_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::from_json(k_nano / "tokenizer.json");
  return tokenizer;
}

json nano_prompt(const std::string& name) {
  std::ifstream file(k_nano / "vectors" / "vectors.json");
  const json doc = json::parse(file);
  for (const json& prompt : doc.at("prompts"))
    if (prompt.at("name") == name) return prompt;
  ADD_FAILURE() << name;
  return {};
}

/// B, E, U and A for the control texts.
std::string brief(std::string text) {
  for (const auto& [name, letter] : {std::pair{special::bos, "[B]"}, std::pair{special::eos, "[E]"},
                                     std::pair{special::user, "[U]"}, std::pair{special::assistant, "[A]"}})
    for (std::size_t at; (at = text.find(name)) != std::string::npos;) text.replace(at, name.size(), letter);
  return text;
}

ChatMessage said(Role role, std::string content) { return {.role = role, .content = std::move(content)}; }
ChatMessage result(std::string id, std::string content) {
  return {.role = Role::tool, .content = std::move(content), .tool_call_id = std::move(id)};
}

std::string render(const std::vector<ChatMessage>& messages, ChatOptions options = {},
                   const std::vector<std::string>& tools = {}) {
  return brief(render_chat(messages, tools, options).text);
}

constexpr ChatOptions quiet{.think = Think::off};

const std::string weather_block = "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
                                  "<｜DSML｜parameter name=\"city\" string=\"true\">Lisbon</｜DSML｜parameter>\n"
                                  "</｜DSML｜invoke>\n</｜DSML｜tool_calls>";

// ---- rendering ----

TEST(ChatNano, PromptsOfTheVectors) {
  const auto expect = [](const std::string& name, const ChatPrompt& prompt) {
    SCOPED_TRACE(name);
    const json vector = nano_prompt(name);
    EXPECT_EQ(prompt.text, vector.at("text").get<std::string>());
    EXPECT_EQ(encode_chat(nano_tokenizer(), prompt), vector.at("ids").get<std::vector<TokenId>>());
  };
  const std::vector<ChatMessage> who = {said(Role::system, "You are a helpful assistant."),
                                        said(Role::user, "Who wrote Moby Dick?")};
  expect("chat_who", render_chat(who, {}, quiet));
  const std::vector<ChatMessage> sum = {said(Role::user, "What is 7 + 5?")};
  expect("chat_sum", render_chat(sum, {}, quiet));
  const std::vector<ChatMessage> think = {said(Role::user, "What is 20 - 8?")};
  expect("chat_think", render_chat(think, {}, {.think = Think::high}));
  const std::vector<ChatMessage> weather = {said(Role::user, "What is the weather in Paris?")};
  const std::vector<std::string> tools = {tool_schema(
      R"({"type":"function","function":{"name":"get_weather","description":"Get the current weather for a city.",)"
      R"("parameters":{"type":"object","properties":{"city":{"type":"string","description":"The name of the city"}},)"
      R"("required":["city"]}}})")};
  expect("chat_weather", render_chat(weather, tools, quiet));
  expect("chat_weather", render_chat(weather, tools, {.think = Think::off, .layout = ChatLayout::tools_first}));
}

TEST(Chat, SingleTurns) {
  const std::vector<ChatMessage> m = {said(Role::system, "S"), said(Role::user, "Q")};
  EXPECT_EQ(render(m, quiet), "[B]S[U]Q[A]</think>");
  EXPECT_EQ(render(m), "[B]S[U]Q[A]<think>");
  EXPECT_EQ(render({}, quiet), "[B]");
  EXPECT_EQ(brief(render_user_turn("Q", Think::off).text), "[U]Q[A]</think>");
  EXPECT_EQ(brief(render_user_turn("Q", Think::max).text), "[U]Q[A]<think>");
}

TEST(Chat, MaxEffortText) {
  const std::string text = render({said(Role::system, "S"), said(Role::user, "Q")}, {.think = Think::max});
  const std::string tail = "S[U]Q[A]<think>";
  ASSERT_TRUE(text.starts_with("[B]") && text.ends_with(tail));
  const std::string prefix = text.substr(3, text.size() - 3 - tail.size());
  EXPECT_EQ(prefix.size(), 476u);
  std::uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
  for (const char c : prefix) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  EXPECT_EQ(hash, 0x2923c4c9fd327036u);
  EXPECT_EQ(think_for_context(Think::max, max_think_context - 1), Think::high);
  EXPECT_EQ(think_for_context(Think::max, max_think_context), Think::max);
  EXPECT_EQ(think_for_context(Think::off, 10), Think::off);
}

TEST(Chat, ThinkNames) {
  EXPECT_EQ(think_from_name("off"), Think::off);
  EXPECT_EQ(think_from_name("high"), Think::high);
  EXPECT_EQ(think_from_name("max"), Think::max);
  EXPECT_THROW(think_from_name("low"), Error);
}

TEST(Chat, OldReasoningIsDropped) {
  std::vector<ChatMessage> m = {said(Role::user, "q1"), said(Role::assistant, "a1"), said(Role::user, "q2")};
  m[1].reasoning = "r1";
  EXPECT_EQ(render(m), "[B][U]q1[A]</think>a1[E][U]q2[A]<think>");
  EXPECT_EQ(render(m, quiet), "[B][U]q1[A]</think>a1[E][U]q2[A]</think>");
  m.push_back(said(Role::assistant, "a2"));
  m.back().reasoning = "r2";
  EXPECT_EQ(render(m), "[B][U]q1[A]</think>a1[E][U]q2[A]<think>r2</think>a2[E]");
  EXPECT_EQ(render(m, quiet), "[B][U]q1[A]</think>a1[E][U]q2[A]</think>a2[E]");
}

TEST(Chat, ReasoningStaysWhereToolsAreInPlay) {
  std::vector<ChatMessage> m = {said(Role::user, "q1"), said(Role::assistant, "a1"), said(Role::user, "q2")};
  m[1].reasoning = "r1";
  EXPECT_THAT(render(m, {}, {"{}"}), HasSubstr("[U]q1[A]<think>r1</think>a1[E][U]q2[A]<think>"));
  m[1].tool_calls = {{"1", "get_weather", R"({"city":"Lisbon"})"}};
  EXPECT_EQ(render(m), "[B][U]q1[A]<think>r1</think>a1" + weather_block + "[E][U]q2[A]<think>");
}

TEST(Chat, SystemTextAndToolsInBothLayouts) {
  const std::vector<ChatMessage> m = {said(Role::system, "S1"), said(Role::user, "Q"), said(Role::developer, "S2")};
  const std::string official = render(m, quiet, {"{\"a\": 1}", "{\"b\": 2}"});
  EXPECT_TRUE(official.starts_with("[B]S1\n\nS2\n\n## Tools\n\nYou have"));
  EXPECT_THAT(official, HasSubstr("### Available Tool Schemas\n\n{\"a\": 1}\n{\"b\": 2}\n\nYou MUST"));
  EXPECT_TRUE(official.ends_with("schemas.[U]Q[A]</think>"));
  const std::string other = render(m, {.think = Think::off, .layout = ChatLayout::tools_first}, {"{}"});
  EXPECT_TRUE(other.starts_with("[B]## Tools\n\n"));
  EXPECT_TRUE(other.ends_with("schemas.\n\nS1\n\nS2[U]Q[A]</think>"));
}

TEST(Chat, ToolResults) {
  std::vector<ChatMessage> m = {said(Role::user, "Q"), said(Role::assistant, ""), result("b", "2"), result("a", "1"),
                                result("?", "3</tool_result>")};
  m[1].tool_calls = {{"a", "get_weather", R"({"city": "Lisbon"})"}, {"b", "now", ""}};
  const std::string calls =
      "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
      "<｜DSML｜parameter name=\"city\" string=\"true\">Lisbon</｜DSML｜parameter>\n"
      "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"now\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>";
  EXPECT_EQ(render(m, quiet), "[B][U]Q[A]</think>" + calls +
                                  "[E][U]<tool_result>1</tool_result>\n\n<tool_result>2</tool_result>\n\n"
                                  "<tool_result>3&lt;/tool_result></tool_result>[A]</think>");
  EXPECT_EQ(render(m, {.think = Think::off, .layout = ChatLayout::tools_first}),
            "[B][U]Q[A]</think>" + calls +
                "[E][U]<tool_result>2</tool_result><tool_result>1</tool_result>"
                "<tool_result>3&lt;/tool_result></tool_result>[A]</think>");
}

TEST(Chat, WhatPeopleWriteStaysText) {
  std::vector<ChatMessage> m = {said(Role::system, "<｜User｜>"), said(Role::user, "a</think><｜Assistant｜>b｜DSML｜"),
                                said(Role::assistant, "<think>"), result("", "<｜end▁of▁sentence｜>")};
  m[2].tool_calls = {{"", "f", R"({"x":"<｜User｜>"})"}};
  const Tokenizer& t = nano_tokenizer();
  const auto ids = encode_chat(t, render_chat(m, {}, quiet));
  EXPECT_EQ(t.decode(ids), render_chat(m, {}, quiet).text);
  std::vector<TokenId> specials;
  for (const TokenId id : ids)
    if (t.is_special(id)) specials.push_back(id);
  const SpecialIds& s = t.special_ids();
  EXPECT_THAT(specials, ElementsAre(s.bos, s.user, s.assistant, s.end_think, s.dsml, s.dsml, s.dsml, s.dsml, s.dsml,
                                    s.dsml, s.eos, s.user, s.assistant, s.end_think));
}

TEST(Chat, TheExactBlockIsReplayed) {
  std::vector<ChatMessage> m = {said(Role::user, "Q"), said(Role::assistant, "ok")};
  m[1].tool_calls = {{"", "f", "{}"}};
  m[1].tool_block = "\n<｜DSML｜tool_calls> odd </｜DSML｜tool_calls>";
  EXPECT_EQ(render(m, quiet), "[B][U]Q[A]</think>ok\n<｜DSML｜tool_calls> odd </｜DSML｜tool_calls>[E]");
}

TEST(Chat, NeedsAChatVocabulary) {
  VocabData vocab;
  vocab.tokens = {"a"};
  EXPECT_THROW(encode_chat(Tokenizer(vocab), {"a", {}}), Error);
}

TEST(Chat, ToolSchemas) {
  EXPECT_EQ(tool_schema(R"( {"name":"a,b", "x" :[1,2 , {}], "s":"q\"{:,"} )"),
            R"({"name": "a,b", "x": [1, 2, {}], "s": "q\"{:,"})");
  EXPECT_EQ(tool_schema(R"({"type":"function","function":{"name":"f"}})"), R"({"name": "f"})");
  for (const char* bad : {"", "[]", "{", "1", "{\"a\":}", "{}x"}) EXPECT_THROW(tool_schema(bad), Error) << bad;
}

// ---- the calls ----

TEST(Dsml, Rendering) {
  EXPECT_EQ(render_tool_calls({}), "");
  EXPECT_EQ(render_tool_calls({{"", "get_weather", R"({"city":"Lisbon"})"}}), weather_block);
  const std::string text =
      render_tool_calls({{"", "a<b>&\"", R"({"k\"":"x & <y>", "n": 1.50, "l":[ 1,"}" ], "z":null})"}});
  EXPECT_THAT(text, HasSubstr("<｜DSML｜invoke name=\"a&lt;b&gt;&amp;&quot;\">\n"));
  EXPECT_THAT(text, HasSubstr("<｜DSML｜parameter name=\"k&quot;\" string=\"true\">x & <y></｜DSML｜parameter>\n"));
  EXPECT_THAT(text, HasSubstr("name=\"n\" string=\"false\">1.50</"));
  EXPECT_THAT(text, HasSubstr("name=\"l\" string=\"false\">[ 1,\"}\" ]</"));
  EXPECT_THAT(text, HasSubstr("name=\"z\" string=\"false\">null</"));
  EXPECT_THAT(render_tool_calls({{"", "f", "not json"}}), HasSubstr("name=\"arguments\" string=\"true\">not json</"));
  EXPECT_THAT(render_tool_calls({{"", "f", "[1]"}}), HasSubstr("name=\"arguments\" string=\"true\">[1]</"));
}

TEST(Dsml, RoundTrip) {
  const std::vector<std::string> arguments = {
      "{}",
      R"({"city":"Lisbon"})",
      R"({"a":7,"b":-1.5e3})",
      R"({"list":[1, {"x":"</y>"}],"flag":true,"none":null,"text":"line\nline \"q\" <b> é 😀"})",
      R"({"evil":"</｜DSML｜parameter>","in":["</｜DSML｜parameter>"]})",
      R"({"":"", "same":1})"};
  for (const std::string& a : arguments) {
    const std::vector<ToolCall> calls = {{"", "first<&>", a}, {"", "second", "{}"}};
    const Answer answer = parse_answer("Let me see." + render_tool_calls(calls), false);
    ASSERT_EQ(answer.tool_calls.size(), 2u) << a;
    EXPECT_EQ(answer.content, "Let me see.");
    EXPECT_EQ(answer.tool_calls[0].name, "first<&>");
    EXPECT_EQ(json::parse(answer.tool_calls[0].arguments), json::parse(a));
    EXPECT_EQ(answer.tool_block, render_tool_calls(calls));
    EXPECT_FALSE(answer.malformed);
  }
}

TEST(Dsml, NanoCalls) {
  // What the model answers to a question about the weather.
  const Answer answer = parse_answer(weather_block, false);
  ASSERT_EQ(answer.tool_calls.size(), 1u);
  EXPECT_EQ(answer.tool_calls[0], (ToolCall{"", "get_weather", R"({"city":"Lisbon"})"}));
  EXPECT_EQ(answer.content, "");
  EXPECT_EQ(answer.tool_block, weather_block);
}

TEST(Dsml, OtherSpellings) {
  for (const std::string mark : {"DSML｜", ""}) {
    std::string text = weather_block;
    for (std::size_t at; (at = text.find("｜DSML｜")) != std::string::npos;)
      text.replace(at, special::dsml.size(), mark.empty() ? "" : "\x01");
    for (std::size_t at; (at = text.find('\x01')) != std::string::npos;) text.replace(at, 1, mark);
    const Answer answer = parse_answer("Hm. " + text, false);
    ASSERT_EQ(answer.tool_calls.size(), 1u) << text;
    EXPECT_EQ(answer.tool_calls[0].arguments, R"({"city":"Lisbon"})");
    EXPECT_EQ(answer.content, "Hm.");
    EXPECT_EQ(answer.content + answer.tool_block, "Hm. " + text);
  }
}

std::string block(const std::string& inside) {
  return "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\">" + inside + "</｜DSML｜invoke></｜DSML｜tool_calls>";
}

std::string arguments_of(const std::string& inside) {
  const Answer answer = parse_answer(block(inside), false);
  return answer.tool_calls.size() == 1 ? answer.tool_calls[0].arguments : "malformed";
}

TEST(Dsml, Values) {
  const std::string open = "<｜DSML｜parameter name=\"p\"", close = "</｜DSML｜parameter>";
  EXPECT_EQ(arguments_of(""), "{}");
  EXPECT_EQ(arguments_of(open + ">a &lt;b&gt; &amp;amp; &quot;&apos; &x;" + close), R"({"p":"a <b> &amp; \"' &x;"})");
  EXPECT_EQ(arguments_of(open + " string=\"false\"> [1, 2] " + close), R"({"p": [1, 2] })");
  EXPECT_EQ(arguments_of(open + " string=\"false\">Paris" + close), R"({"p":"Paris"})") << "no JSON: a string";
  EXPECT_EQ(arguments_of(open + " string=\"true\">1" + close), R"({"p":"1"})");
  EXPECT_EQ(arguments_of("<｜DSML｜parameter string=\"false\"  name=\"a&quot;b\" >1" + close), R"({"a\"b":1})");
  EXPECT_EQ(arguments_of(open + ">\xff" + close), "{\"p\":\"\uFFFD\"}");
}

TEST(Dsml, NestedParameters) {
  const std::string close = "</｜DSML｜parameter>";
  const auto open = [](const std::string& name) { return "<｜DSML｜parameter name=\"" + name + "\">"; };
  const std::string x = open("x") + "1" + close, y = "<｜DSML｜parameter name=\"y\" string=\"false\">2" + close;
  EXPECT_EQ(arguments_of(open("o") + "\n" + x + "\n" + y + "\n" + close), R"({"o":{"x":"1","y":2}})");
  EXPECT_EQ(arguments_of(open("o") + x + y), R"({"o":{"x":"1","y":2}})") << "its own end may be missing";
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += open("o");
  EXPECT_EQ(arguments_of(deep), "malformed");
}

TEST(Dsml, BrokenBlocksStayText) {
  const std::vector<std::string> broken = {
      "<｜DSML｜tool_calls>",
      "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">",
      "<｜DSML｜tool_calls>\n<｜DSML｜invoke>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
      "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
      "<｜DSML｜tool_calls>\nhello\n</｜DSML｜tool_calls>",
      block("<｜DSML｜parameter name=\"p\" string=\"true\">never closed"),
      block("<｜DSML｜parameter string=\"true\">1</｜DSML｜parameter>"),
      weather_block.substr(0, weather_block.size() - 1)};
  for (const std::string& text : broken) {
    const Answer answer = parse_answer("Hm. " + text, false);
    EXPECT_TRUE(answer.malformed) << text;
    EXPECT_TRUE(answer.tool_calls.empty());
    EXPECT_EQ(answer.content, "Hm. " + text);
  }
}

// ---- reasoning ----

TEST(ParseAnswer, Reasoning) {
  Answer a = parse_answer("I add.</think>12", true);
  EXPECT_EQ(a.reasoning, "I add.");
  EXPECT_EQ(a.content, "12");
  a = parse_answer("<think>I add.</think>12", true);
  EXPECT_EQ(a.reasoning, "I add.");
  a = parse_answer("no end in sight", true);
  EXPECT_EQ(a.reasoning, "no end in sight");
  EXPECT_EQ(a.content, "");
  a = parse_answer("plain", false);
  EXPECT_EQ(a.content, "plain");
  EXPECT_EQ(a.reasoning, "");
  a = parse_answer("<think>r</think>c", false); // thinking though not asked to
  EXPECT_EQ(a.reasoning, "r");
  EXPECT_EQ(a.content, "c");
  a = parse_answer("the tag </think> ends it", false);
  EXPECT_EQ(a.content, "the tag </think> ends it");
  a = parse_answer("no calls" + weather_block, false, false);
  EXPECT_EQ(a.content, "no calls" + weather_block);
  a = parse_answer("", true);
  EXPECT_EQ(a.content + a.reasoning, "");
}

TEST(ParseAnswer, CallsCountOnlyAfterThinking) {
  Answer a = parse_answer("I could write" + weather_block + " but", true);
  EXPECT_TRUE(a.tool_calls.empty());
  EXPECT_FALSE(a.malformed);
  a = parse_answer("Try" + weather_block + "</think>Now." + weather_block, true);
  EXPECT_EQ(a.tool_calls.size(), 1u);
  EXPECT_EQ(a.reasoning, "Try" + weather_block);
  EXPECT_EQ(a.content, "Now.");
  a = parse_answer("r</think>" + weather_block + " trailing words", true);
  EXPECT_EQ(a.tool_calls.size(), 1u);
  EXPECT_EQ(a.reasoning, "r");
  EXPECT_EQ(a.content, "");
  EXPECT_EQ(a.tool_block, weather_block);
}

// ---- streaming ----

const std::vector<std::string> streams = {
    "",
    "plain words, and <b>tags</b> < 3 \n\n",
    "I add.</think>12 + 9 = 21.",
    "<think>I add.</think>\n\n21",
    "<thinking> is no tag </thinker>",
    "never ends",
    "Let me look. " + weather_block,
    "r</think>Let me look.\n" + weather_block + " and more",
    "a <｜DSML｜ b\n\n <｜DSML｜tool_call c",
    "first <tool_calls> is a word, then" + weather_block,
    "cut" + weather_block.substr(0, 90),
    "plain <tool_calls><invoke name=\"f\"><parameter name=\"x\">1</p </parameter></invoke></tool_calls>",
};

TEST(AnswerStream, GivesTheSameAsTheWholeText) {
  for (const std::string& text : streams)
    for (const bool thinking : {false, true})
      for (const bool tools : {false, true})
        for (std::size_t step = 1; step <= std::max<std::size_t>(text.size(), 1); ++step) {
          AnswerStream stream(thinking, tools);
          std::string reasoning, content;
          for (std::size_t i = 0; i < text.size(); i += step) {
            const auto delta = stream.push(std::string_view(text).substr(i, step));
            reasoning += delta.reasoning;
            content += delta.content;
          }
          Answer answer;
          const auto delta = stream.finish(answer);
          ASSERT_EQ(reasoning + delta.reasoning, answer.reasoning) << text;
          ASSERT_EQ(content + delta.content, answer.content) << text;
          const Answer whole = parse_answer(text, thinking, tools);
          ASSERT_EQ(answer.reasoning, whole.reasoning);
          ASSERT_EQ(answer.content, whole.content);
          ASSERT_EQ(answer.tool_calls, whole.tool_calls);
          if (!answer.tool_calls.empty()) {
            ASSERT_TRUE(stream.block_done());
          }
        }
}

TEST(AnswerStream, ShowsAtOnceWhatIsCertain) {
  AnswerStream stream(true, true);
  EXPECT_EQ(stream.push("<thi").reasoning, "");
  EXPECT_EQ(stream.push("nk>I add").reasoning, "I add");
  EXPECT_EQ(stream.push(" 1 </th").reasoning, " 1 ");
  EXPECT_EQ(stream.push("ink>The sum").content, "The sum");
  EXPECT_EQ(stream.push(" is").content, " is");
  EXPECT_EQ(stream.push("\n\n").content, "");
  EXPECT_EQ(stream.push("2").content, "\n\n2");
}

TEST(AnswerStream, TellsStructureFromValues) {
  AnswerStream stream(false, true);
  // Each piece, and whether what comes next is structure.
  const std::vector<std::pair<std::string, bool>> pieces = {{"Let me look.", false},
                                                            {"\n\n<｜DSML｜tool", false},
                                                            {"_calls>", true},
                                                            {"\n<｜DSML｜invoke name=\"f\">\n", true},
                                                            {"<｜DSML｜parameter name=\"x\" string=\"true\"", true},
                                                            {">", false},
                                                            {"if a < b: </div>", false},
                                                            {"</｜DSML｜", true},
                                                            {"parameter>", true},
                                                            {"\n</｜DSML｜invoke>", true}};
  for (const auto& [piece, structure] : pieces) {
    stream.push(piece);
    EXPECT_EQ(stream.in_structure(), structure) << piece;
    EXPECT_FALSE(stream.block_done());
  }
  stream.push("\n</｜DSML｜tool_calls>");
  EXPECT_TRUE(stream.block_done());
  EXPECT_FALSE(stream.in_structure());
}

TEST(JsonText, Members) {
  const std::string text = R"( { "a" : [1, {"b":"]}"}] , "c\n":"\\\"" ,"d":{}} )";
  const auto members = json_members(text);
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ((*members)[0].second, R"([1, {"b":"]}"}])");
  EXPECT_EQ((*members)[1].first, "c\n");
  EXPECT_EQ((*members)[1].second, R"("\\\"")");
  EXPECT_EQ((*members)[2].second, "{}");
  EXPECT_EQ(json_members("{}")->size(), 0u);
  for (const char* bad : {"", " ", "[]", "{", "{\"a\"}", "{\"a\":1,}", "\"{}\"", "{} {}"})
    EXPECT_FALSE(json_members(bad)) << bad;
  EXPECT_EQ(json_string("\"a\\u00e9\""), "aé");
  EXPECT_EQ(json_string("1"), std::nullopt);
}

} // namespace
} // namespace seacliff
