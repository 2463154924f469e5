// Reads the vocabulary out of Hugging Face's tokenizer.json and tokenizer_config.json.
#include "core/text/tokenizer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace seacliff {

namespace {

using nlohmann::json;
using Path = std::filesystem::path;

constexpr std::size_t most_tokens = std::size_t{1} << 24; // far above any vocabulary: a bound for damaged files

[[noreturn]] void damaged(const Path& path, std::string_view what) {
  throw Error(Code::data_loss, fmt::format("{}: {}", path.string(), what), "fetch the checkpoint's tokenizer again");
}

json read_json(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::not_found, fmt::format("cannot read {}", path.string()), "check the path");
  json doc = json::parse(file, nullptr, false);
  if (doc.is_discarded() || !doc.is_object()) damaged(path, "not a JSON object");
  return doc;
}

const json& member(const Path& path, const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) damaged(path, fmt::format("no \"{}\"", key));
  return *found;
}

/// Puts one token in its place. An added token may repeat an entry of the vocabulary.
void place(const Path& path, VocabData& out, std::vector<bool>& filled, const std::string& text, const json& id,
           std::int32_t type) {
  if (!id.is_number_integer() || id < 0 || id >= most_tokens)
    damaged(path, fmt::format("token '{}' has the id {}", text, id.dump()));
  const auto i = id.get<std::size_t>();
  if (i >= out.tokens.size()) {
    out.tokens.resize(i + 1);
    out.types.resize(i + 1, VocabData::unused);
    filled.resize(i + 1, false);
  }
  if (filled[i] && out.tokens[i] != text)
    damaged(path, fmt::format("tokens '{}' and '{}' share the id {}", out.tokens[i], text, i));
  out.tokens[i] = text;
  out.types[i] = type;
  filled[i] = true;
}

std::string merge_text(const Path& path, const json& merge) {
  if (merge.is_string()) return merge.get<std::string>();
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return merge[0].get<std::string>() + ' ' + merge[1].get<std::string>();
  damaged(path, "a merge is neither \"a b\" nor [\"a\", \"b\"]");
}

/// `bos_token` and its like: a text, or an object with the text in `content`.
std::optional<TokenId> stated_token(const json& config, const char* key, const VocabData& vocab) {
  auto value = config.find(key);
  if (value == config.end()) return std::nullopt;
  const json* text = &*value;
  if (text->is_object() && text->contains("content")) text = &text->at("content");
  if (!text->is_string()) return std::nullopt;
  const auto found = std::find(vocab.tokens.begin(), vocab.tokens.end(), text->get<std::string>());
  if (found == vocab.tokens.end()) return std::nullopt;
  return static_cast<TokenId>(found - vocab.tokens.begin());
}

void read_config(const Path& path, VocabData& out) {
  if (!std::filesystem::exists(path)) return;
  const json config = read_json(path);
  out.bos = stated_token(config, "bos_token", out);
  out.eos = stated_token(config, "eos_token", out);
  out.pad = stated_token(config, "pad_token", out);
  if (const auto add = config.find("add_bos_token"); add != config.end() && add->is_boolean()) out.add_bos = *add;
  if (const auto text = config.find("chat_template"); text != config.end() && text->is_string())
    out.chat_template = *text;
}

} // namespace

VocabData vocab_from_json(const Path& tokenizer_json, std::size_t n_vocab) {
  const json doc = read_json(tokenizer_json);
  const json& model = member(tokenizer_json, doc, "model");
  if (!model.is_object() || model.value("type", json("BPE")) != "BPE")
    throw Error(Code::unimplemented, fmt::format("{}: the tokenizer is not of type BPE", tokenizer_json.string()),
                "use a DeepSeek-V4 checkpoint");
  const json& vocab = member(tokenizer_json, model, "vocab");
  const json& merges = member(tokenizer_json, model, "merges");
  if (!vocab.is_object()) damaged(tokenizer_json, "\"vocab\" is not an object");
  if (!merges.is_array()) damaged(tokenizer_json, "\"merges\" is not an array");

  VocabData out;
  std::vector<bool> filled;
  for (const auto& [text, id] : vocab.items()) place(tokenizer_json, out, filled, text, id, VocabData::normal);
  if (const auto added = doc.find("added_tokens"); added != doc.end()) {
    if (!added->is_array()) damaged(tokenizer_json, "\"added_tokens\" is not an array");
    for (const json& token : *added) {
      if (!token.is_object() || !token.contains("content") || !token["content"].is_string())
        damaged(tokenizer_json, "an added token has no text");
      const bool control = token.contains("special") && token["special"] == true;
      place(tokenizer_json, out, filled, token["content"].get<std::string>(), member(tokenizer_json, token, "id"),
            control ? VocabData::control : VocabData::user_defined);
    }
  }
  if (n_vocab > most_tokens || (n_vocab != 0 && n_vocab < out.tokens.size()))
    throw Error(Code::invalid_argument,
                fmt::format("{} has {} tokens, but the model's vocabulary size is {}", tokenizer_json.string(),
                            out.tokens.size(), n_vocab),
                "use the tokenizer that belongs to the checkpoint");
  out.tokens.resize(std::max(n_vocab, out.tokens.size()));
  out.types.resize(out.tokens.size(), VocabData::unused);
  filled.resize(out.tokens.size(), false);
  for (std::size_t id = 0; id < out.tokens.size(); ++id)
    if (!filled[id]) out.tokens[id] = fmt::format("[PAD{}]", id);

  out.merges.reserve(merges.size());
  for (const json& merge : merges) out.merges.push_back(merge_text(tokenizer_json, merge));
  read_config(tokenizer_json.parent_path() / "tokenizer_config.json", out);
  return out;
}

} // namespace seacliff
