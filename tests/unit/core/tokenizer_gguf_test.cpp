// The vocabulary through a GGUF file. To add a case: write keys with GgufWriter, read them with vocab_from_gguf.
#include "core/model/gguf.hpp"
#include "core/text/tokenizer.hpp"
#include "tests/unit/core/nano_folder.hpp"
#include "tests/unit/core/temporary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace seacliff {
namespace {

using test::k_nano;
using ::testing::HasSubstr;

/// A file with nothing but metadata, removed at the end.
class TokenizerGguf : public ::testing::Test {
protected:
  GgufFile written(const std::function<void(GgufWriter&)>& put) {
    GgufWriter writer(file_.path());
    put(writer);
    writer.finish();
    return GgufFile::open(file_.path());
  }
  std::string error(const std::function<void(GgufWriter&)>& put) {
    return test::error_of([&] { Tokenizer::from_gguf(written(put)); });
  }

private:
  const test::TemporaryFile file_;
};

TEST_F(TokenizerGguf, WhatIsWrittenIsRead) {
  VocabData vocab = vocab_from_json(k_nano / "tokenizer.json");
  vocab.chat_template = "{{ messages }}";
  vocab.add_bos = true;
  const GgufFile file = written([&](GgufWriter& w) { put_vocab(w, vocab); });
  const VocabData again = vocab_from_gguf(file);
  EXPECT_EQ(again.tokens, vocab.tokens);
  EXPECT_EQ(again.merges, vocab.merges);
  EXPECT_EQ(again.types, vocab.types);
  EXPECT_EQ(again.bos, 0);
  EXPECT_EQ(again.eos, 1);
  EXPECT_EQ(again.pad, 2);
  EXPECT_TRUE(again.add_bos);
  EXPECT_EQ(again.pre, vocab.pre);
  EXPECT_EQ(again.chat_template, vocab.chat_template);
  const std::string text = "<｜User｜>Who wrote Moby Dick?<｜Assistant｜></think>";
  EXPECT_EQ(Tokenizer::from_gguf(file).encode_with_specials(text),
            Tokenizer::from_json(k_nano / "tokenizer.json").encode_with_specials(text));
}

TEST_F(TokenizerGguf, NamesTheKeyAtFault) {
  const std::vector<std::string> tokens = {"a", "b"}, merges = {"a b"};
  const auto put = [&](GgufWriter& w) {
    w.put_strings("tokenizer.ggml.tokens", tokens);
    w.put_strings("tokenizer.ggml.merges", merges);
  };
  EXPECT_NO_THROW(Tokenizer::from_gguf(written(put)));
  EXPECT_THAT(error([](GgufWriter& w) { w.put_bool("x", true); }), HasSubstr("no tokenizer.ggml.tokens"));
  EXPECT_THAT(error([&](GgufWriter& w) { w.put_strings("tokenizer.ggml.tokens", tokens); }),
              HasSubstr("no tokenizer.ggml.merges"));
  EXPECT_THAT(error([&](GgufWriter& w) {
                put(w);
                w.put_string("tokenizer.ggml.model", "llama");
              }),
              HasSubstr("tokenizer.ggml.model is \"llama\""));
  EXPECT_THAT(error([&](GgufWriter& w) {
                put(w);
                w.put_u32("tokenizer.ggml.bos_token_id", 2);
              }),
              HasSubstr("tokenizer.ggml.bos_token_id is 2"));
}

TEST_F(TokenizerGguf, TokenTypesAreOnlyInformative) {
  const std::vector<std::string> tokens = {"a", "b"}, merges;
  const std::vector<std::int32_t> types = {1};
  const GgufFile file = written([&](GgufWriter& w) {
    w.put_strings("tokenizer.ggml.tokens", tokens);
    w.put_strings("tokenizer.ggml.merges", merges);
    w.put_i32s("tokenizer.ggml.token_type", types);
    w.put_u32("tokenizer.ggml.padding_token_id", 0xffffffffu); // "none"
  });
  const VocabData vocab = vocab_from_gguf(file);
  EXPECT_TRUE(vocab.types.empty());
  EXPECT_EQ(vocab.pad, std::nullopt);
  EXPECT_EQ(Tokenizer(vocab).encode("ab"), (std::vector<TokenId>{0, 1}));
}

} // namespace
} // namespace seacliff
