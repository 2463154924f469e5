// The vocabulary in a GGUF file's metadata: reading and writing.
#include "core/base/log.hpp"
#include "core/model/gguf.hpp"
#include "core/text/tokenizer.hpp"

#include <limits>

namespace seacliff {

namespace {

std::optional<TokenId> stated_id(const GgufFile& file, std::string_view key, std::size_t n_tokens) {
  const auto id = file.get_int(key);
  if (!id || *id == -1 || *id == std::numeric_limits<std::uint32_t>::max()) return std::nullopt; // both mean "none"
  if (*id < 0 || static_cast<std::uint64_t>(*id) >= n_tokens)
    throw Error(Code::data_loss,
                fmt::format("{}: {} is {}, outside the vocabulary of {} tokens", file.name(), key, *id, n_tokens),
                "use an intact model file");
  return static_cast<TokenId>(*id);
}

const std::vector<std::string>& required_strings(const GgufFile& file, std::string_view key) {
  const auto* values = file.get_strings(key);
  if (!values)
    throw Error(Code::not_found, fmt::format("{} has no {}", file.name(), key),
                "give token ids instead of text, or use a file that contains its tokenizer");
  return *values;
}

} // namespace

VocabData vocab_from_gguf(const GgufFile& file) {
  const std::string* model = file.get_string("tokenizer.ggml.model");
  if (model && *model != "gpt2" && *model != "bpe")
    throw Error(Code::unimplemented, fmt::format("{}: tokenizer.ggml.model is \"{}\"", file.name(), *model),
                "use a file with a byte-level BPE tokenizer (\"gpt2\")");
  VocabData out;
  out.tokens = required_strings(file, "tokenizer.ggml.tokens");
  out.merges = required_strings(file, "tokenizer.ggml.merges");
  if (const auto* types = file.get_ints("tokenizer.ggml.token_type")) {
    if (types->size() == out.tokens.size())
      out.types.assign(types->begin(), types->end());
    else // informative only: the special tokens are known by their texts
      log::warn("tokenizer", "{}: {} tokens but {} token types, which are ignored", file.name(), out.tokens.size(),
                types->size());
  }
  out.bos = stated_id(file, "tokenizer.ggml.bos_token_id", out.tokens.size());
  out.eos = stated_id(file, "tokenizer.ggml.eos_token_id", out.tokens.size());
  out.pad = stated_id(file, "tokenizer.ggml.padding_token_id", out.tokens.size());
  out.add_bos = file.get_bool("tokenizer.ggml.add_bos_token").value_or(false);
  if (const auto* pre = file.get_string("tokenizer.ggml.pre")) out.pre = *pre;
  if (const auto* text = file.get_string("tokenizer.chat_template")) out.chat_template = *text;
  return out;
}

void put_vocab(GgufWriter& writer, const VocabData& vocab) {
  writer.put_string("tokenizer.ggml.model", "gpt2");
  writer.put_string("tokenizer.ggml.pre", vocab.pre);
  writer.put_strings("tokenizer.ggml.tokens", vocab.tokens);
  if (!vocab.types.empty()) writer.put_i32s("tokenizer.ggml.token_type", vocab.types);
  writer.put_strings("tokenizer.ggml.merges", vocab.merges);
  const auto id = [&](std::string_view key, std::optional<TokenId> value) {
    if (value) writer.put_u32(key, static_cast<std::uint32_t>(*value));
  };
  id("tokenizer.ggml.bos_token_id", vocab.bos);
  id("tokenizer.ggml.eos_token_id", vocab.eos);
  id("tokenizer.ggml.padding_token_id", vocab.pad);
  writer.put_bool("tokenizer.ggml.add_bos_token", vocab.add_bos);
  if (!vocab.chat_template.empty()) writer.put_string("tokenizer.chat_template", vocab.chat_template);
}

Tokenizer Tokenizer::from_gguf(const GgufFile& file) { return Tokenizer(vocab_from_gguf(file)); }

} // namespace seacliff
