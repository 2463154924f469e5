// Hyper-parameters from the config.json of an official checkpoint.
#include "core/model/hparams.hpp"
#include "core/model/hparams_fields.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <system_error>

namespace seacliff {
namespace {

using namespace hparams;
using Json = nlohmann::json;

constexpr std::uintmax_t k_max_config_bytes = 16u << 20;
constexpr std::string_view k_mend = "give the config.json of a DeepSeek-V4 checkpoint";

class ConfigReader {
public:
  explicit ConfigReader(const std::filesystem::path& path) : path_(path), where_(path.string()) {}

  HParams read();

private:
  template <typename... Args> [[noreturn]] void fail(fmt::format_string<Args...> f, Args&&... args) const {
    throw Error(Code::invalid_argument, where_ + ": " + fmt::format(f, std::forward<Args>(args)...),
                std::string(k_mend));
  }
  void load();
  /// nullptr when missing or null; a dot descends into an object.
  const Json* find(std::string_view key) const;
  const Json* required(std::string_view key);
  std::int64_t integer(std::string_view key, const Json& value) const;
  double number(std::string_view key, const Json& value) const;
  void must_be(std::string_view key, const Json& wanted) const;
  void variants() const;
  void numbers();
  void lists();

  const std::filesystem::path& path_;
  std::string where_;
  Json config_;
  HParams hp_;
  std::vector<std::string> missing_;
};

void ConfigReader::load() {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path_, error);
  if (error)
    throw Error(Code::not_found, fmt::format("{}: cannot be read: {}", where_, error.message()), std::string(k_mend));
  if (size > k_max_config_bytes) fail("has {} bytes, too many for a config.json", size);
  std::ifstream in(path_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  config_ = Json::parse(text, nullptr, false);
  if (config_.is_discarded() || !config_.is_object()) fail("is not a JSON object");
}

const Json* ConfigReader::find(std::string_view key) const {
  const Json* at = &config_;
  for (;;) {
    const std::size_t dot = key.find('.');
    if (!at->is_object()) return nullptr;
    const auto it = at->find(std::string(key.substr(0, dot)));
    if (it == at->end() || it->is_null()) return nullptr;
    at = &*it;
    if (dot == std::string_view::npos) return at;
    key.remove_prefix(dot + 1);
  }
}

const Json* ConfigReader::required(std::string_view key) {
  const Json* value = find(key);
  if (!value) missing_.emplace_back(key);
  return value;
}

std::int64_t ConfigReader::integer(std::string_view key, const Json& value) const {
  if (value.is_number_unsigned()) {
    const auto u = value.get<std::uint64_t>();
    if (u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return static_cast<std::int64_t>(u);
  } else if (value.is_number_integer()) {
    return value.get<std::int64_t>();
  } else if (value.is_number_float()) {
    const auto d = value.get<double>();
    if (std::trunc(d) == d && std::abs(d) < 9e15) return static_cast<std::int64_t>(d);
  }
  fail("{} is {}, must be an integer", key, value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60));
}

double ConfigReader::number(std::string_view key, const Json& value) const {
  if (!value.is_number())
    fail("{} is {}, must be a number", key, value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60));
  return value.get<double>();
}

void ConfigReader::must_be(std::string_view key, const Json& wanted) const {
  const Json* value = find(key);
  if (value && *value != wanted)
    fail("{} is {}, must be {}", key, value->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60),
         wanted.dump());
}

/// Keys that select another architecture variant when they differ.
void ConfigReader::variants() const {
  must_be("model_type", "deepseek_v4");
  must_be("num_key_value_heads", 1);
  must_be("scoring_func", "sqrtsoftplus");
  must_be("norm_topk_prob", true);
  must_be("tie_word_embeddings", false);
  must_be("hidden_act", "silu");
  must_be("rope_scaling.type", "yarn");
  must_be("rope_scaling.rope_type", "yarn");
}

void ConfigReader::numbers() {
  for (const IntField& field : k_int_fields)
    if (const Json* value = field.indexer ? find(field.config) : required(field.config))
      hp_.*field.member = integer(field.config, *value);
  hp_.yarn_beta_fast = 32;
  hp_.yarn_beta_slow = 1;
  for (const FloatField& field : k_float_fields) {
    const bool optional = field.member == &HParams::yarn_beta_fast || field.member == &HParams::yarn_beta_slow;
    if (const Json* value = optional ? find(field.config) : required(field.config))
      hp_.*field.member = number(field.config, *value);
  }
}

void ConfigReader::lists() {
  if (hp_.n_layers < 1 || hp_.n_layers > k_max_layers) {
    if (find("num_hidden_layers"))
      fail("num_hidden_layers is {}, must be between 1 and {}", hp_.n_layers, k_max_layers);
    return; // reported as missing
  }
  const auto layers = static_cast<std::size_t>(hp_.n_layers);
  if (const Json* ratios = required("compress_ratios")) {
    if (!ratios->is_array() || ratios->size() < layers)
      fail("compress_ratios must have an entry for each of {} layers", layers);
    for (std::size_t i = 0; i < layers; ++i) hp_.ratios.push_back(integer("compress_ratios", (*ratios)[i]));
  }
  if (const Json* limit = required("swiglu_limit"))
    hp_.clamp_exp = hp_.clamp_shared = std::vector<double>(layers, number("swiglu_limit", *limit));
  if (hp_.has_indexer())
    for (const IntField& field : k_int_fields)
      if (field.indexer) required(field.config);
}

HParams ConfigReader::read() {
  load();
  variants();
  const std::filesystem::path folder = std::filesystem::absolute(path_).lexically_normal().parent_path();
  hp_.name = folder.filename().string();
  numbers();
  lists();
  require_none_missing(missing_, where_);
  check(hp_, Spelling::config, where_);
  return std::move(hp_);
}

} // namespace

HParams hparams_from_config(const std::filesystem::path& config_json) { return ConfigReader(config_json).read(); }

} // namespace seacliff
