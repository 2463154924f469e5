// Byte-level BPE tokenizer of the DeepSeek-V4 family.
#pragma once

#include "core/base/status.hpp"
#include "core/text/pre_split.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace seacliff {

class GgufFile;
class GgufWriter;

using TokenId = std::int32_t;

/// A vocabulary as model files state it. Tokens and merges are UTF-8 over the 256 code points of the byte map
/// (special tokens: their literal text).
struct VocabData {
  /// Values of `types`.
  enum Type : std::int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

  std::vector<std::string> tokens;      // by id
  std::vector<std::string> merges;      // "left right", by rank
  std::vector<std::int32_t> types;      // by id, or empty
  std::optional<TokenId> bos, eos, pad; // as stated by the file
  bool add_bos = false;                 // whether plain text gets a BOS
  std::string pre = "joyai-llm";        // name of the piece splitting in GGUF files
  std::string chat_template;            // Jinja text, informative; may be empty
};

/// From a Hugging Face `tokenizer.json`; BOS, EOS, padding and the template from `tokenizer_config.json` beside it,
/// when there is one. Ids that the file leaves out, up to `n_vocab`, become "[PAD<id>]" of type unused. Throws Error.
VocabData vocab_from_json(const std::filesystem::path& tokenizer_json, std::size_t n_vocab = 0);
/// From the `tokenizer.ggml.*` keys. Throws Error that names the key at fault.
VocabData vocab_from_gguf(const GgufFile& file);
/// A made-up one of `n_vocab` tokens for models of random weights: every special token, 256 bytes, a few merges, the
/// rest fillers. Throws Error(invalid_argument) when it cannot be that small.
VocabData synthetic_vocab(std::size_t n_vocab);
/// Puts the same keys into a file that is being written, before its tensors are declared.
void put_vocab(GgufWriter& writer, const VocabData& vocab);

/// Bytes as the texts of tokens have them: over the 256 code points of the byte map.
std::string mapped_text(std::string_view bytes);

/// The tokens that shape a conversation; -1 where the vocabulary has none.
struct SpecialIds {
  TokenId bos = -1, eos = -1, pad = -1, user = -1, assistant = -1, think = -1, end_think = -1, dsml = -1;
};

/// Their texts.
namespace special {
inline constexpr std::string_view bos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view eos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view pad = "<｜▁pad▁｜>";
inline constexpr std::string_view user = "<｜User｜>";
inline constexpr std::string_view assistant = "<｜Assistant｜>";
inline constexpr std::string_view think = "<think>";
inline constexpr std::string_view end_think = "</think>";
inline constexpr std::string_view dsml = "｜DSML｜";
} // namespace special

/// A part of a text, in bytes.
struct TextRange {
  std::size_t begin = 0, end = 0;
};

/// Immutable after construction; every const member may be called from many threads at once.
class Tokenizer {
public:
  /// Throws Error(invalid_argument) for an empty vocabulary, a malformed merge or counts that disagree.
  explicit Tokenizer(VocabData vocab);
  static Tokenizer from_json(const std::filesystem::path& tokenizer_json);
  static Tokenizer from_gguf(const GgufFile& file);

  /// Plain text: the text of a special token is text like any other. Any bytes are allowed and
  /// decode(encode(x)) == x. Time grows nearly linearly. Throws Error(failed_precondition) when the vocabulary has no
  /// token for a byte.
  std::vector<TokenId> encode(std::string_view text) const;
  /// As `encode`, but the seven texts of `special` other than pad become their ids, except where they touch a `literal`
  /// range (ascending, not overlapping). What lies between is encoded piece by piece, on its own.
  std::vector<TokenId> encode_with_specials(std::string_view text, std::span<const TextRange> literal = {}) const;

  /// Bytes of all tokens in a row, special ones as their text. Throws Error(out_of_range) for an unknown id.
  std::string decode(std::span<const TokenId> ids) const;
  const std::string& token_bytes(TokenId id) const;

  /// Control and role tokens: never shown to a user.
  bool is_special(TokenId id) const;
  /// The id of a token by its bytes (or, for a special, its text).
  std::optional<TokenId> id_of(std::string_view bytes) const;
  std::size_t n_vocab() const { return vocab_.tokens.size(); }
  const SpecialIds& special_ids() const { return special_; }
  /// The same, when chat is wanted. Throws Error(failed_precondition) naming the tokens that are missing.
  const SpecialIds& chat_ids() const;
  /// Whether the file wants a BOS before plain text.
  bool add_bos() const { return vocab_.add_bos; }
  const VocabData& vocab() const { return vocab_; }

private:
  struct Merge {
    std::uint32_t rank = 0;
    std::uint32_t result = 0;
  };
  struct Scratch;

  void read_tokens();
  void read_merges();
  void find_specials();
  std::uint32_t symbol_of(const std::string& text);
  void encode_into(std::string_view text, std::vector<TokenId>& out) const;
  void merge_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;
  void emit(std::uint32_t symbol, std::string_view bytes, std::vector<TokenId>& out) const;
  TokenId byte_token(char byte) const;

  VocabData vocab_;
  PreSplitter splitter_;
  SpecialIds special_;
  std::vector<std::string> bytes_;                         // by id
  std::unordered_map<std::string, std::uint32_t> symbols_; // token text -> id; merge results without a token come after
  std::unordered_map<std::uint64_t, Merge> merges_;        // left << 32 | right
  std::array<std::uint32_t, 256> byte_symbol_{};
};

} // namespace seacliff
