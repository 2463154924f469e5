// Ranges and relations of hyper-parameters, and their way into GGUF metadata.
#include "core/model/hparams.hpp"

#include "core/model/gguf_format.hpp"
#include "core/model/hparams_fields.hpp"

#include <bit>
#include <cmath>

namespace seacliff {
namespace hparams {
namespace {

constexpr std::string_view k_mend = "the file is damaged or not a DeepSeek-V4 model";
constexpr double k_max_clamp = 1e6;

class Checker {
public:
  Checker(const HParams& hp, Spelling spelling, std::string_view where) : hp_(hp), spelling_(spelling), where_(where) {}

  void ranges() const {
    for (const IntField& field : k_int_fields) {
      const std::int64_t value = hp_.*field.member;
      if (field.indexer && !hp_.has_indexer()) continue;
      if (value < field.low || value > field.high)
        fail("{} is {}, must be between {} and {}", key_of(field, spelling_), value, field.low, field.high);
    }
    for (const FloatField& field : k_float_fields) {
      const double value = hp_.*field.member;
      if (!(value >= field.low && value <= field.high)) // false for NaN too
        fail("{} is {}, must be between {} and {}", key_of(field, spelling_), value, field.low, field.high);
    }
  }

  void lists() const {
    const auto layers = static_cast<std::size_t>(hp_.n_layers);
    if (hp_.ratios.size() != layers) fail("{} compression ratios are given for {} layers", hp_.ratios.size(), layers);
    for (std::size_t i = 0; i < layers; ++i)
      if (hp_.ratios[i] != 0 && hp_.ratios[i] != 4 && hp_.ratios[i] != 128)
        fail("the compression ratio of layer {} is {}, must be 0, 4 or 128", i, hp_.ratios[i]);
    for (const auto* clamps : {&hp_.clamp_exp, &hp_.clamp_shared}) {
      if (clamps->size() != layers) fail("{} SwiGLU limits are given for {} layers", clamps->size(), layers);
      for (std::size_t i = 0; i < layers; ++i)
        if (!((*clamps)[i] >= 0 && (*clamps)[i] <= k_max_clamp))
          fail("the SwiGLU limit of layer {} is {}, must be between 0 and {}", i, (*clamps)[i], k_max_clamp);
    }
  }

  void relations() const {
    if (hp_.n_heads % hp_.o_groups != 0)
      fail("{} is {}, not a multiple of {} {}", key(&HParams::n_heads), hp_.n_heads, key(&HParams::o_groups),
           hp_.o_groups);
    if (hp_.rope_dim % 2 != 0) fail("{} is {}, must be even", key(&HParams::rope_dim), hp_.rope_dim);
    at_most(&HParams::rope_dim, &HParams::head_dim);
    at_most(&HParams::n_experts_used, &HParams::n_experts);
    at_most(&HParams::n_hash_layers, &HParams::n_layers);
    if (hp_.has_indexer()) {
      at_most(&HParams::rope_dim, &HParams::index_dim);
      if (!std::has_single_bit(static_cast<std::uint64_t>(hp_.index_dim)))
        fail("{} is {}, must be a power of two", key(&HParams::index_dim), hp_.index_dim);
    }
    if (hp_.yarn_beta_fast < hp_.yarn_beta_slow)
      fail("YaRN's beta_fast is {}, must be at least beta_slow {}", hp_.yarn_beta_fast, hp_.yarn_beta_slow);
  }

private:
  template <typename... Args> [[noreturn]] void fail(fmt::format_string<Args...> f, Args&&... args) const {
    throw Error(Code::invalid_argument, fmt::format("{}: ", where_) + fmt::format(f, std::forward<Args>(args)...),
                std::string(k_mend));
  }
  std::string key(std::int64_t HParams::*member) const {
    for (const IntField& field : k_int_fields)
      if (field.member == member) return key_of(field, spelling_);
    return "?";
  }
  void at_most(std::int64_t HParams::*small, std::int64_t HParams::*large) const {
    if (hp_.*small > hp_.*large) fail("{} is {}, more than {} {}", key(small), hp_.*small, key(large), hp_.*large);
  }

  const HParams& hp_;
  Spelling spelling_;
  std::string_view where_;
};

} // namespace

void require_none_missing(std::span<const std::string> missing, std::string_view where) {
  if (missing.empty()) return;
  constexpr std::size_t k_named = 4;
  std::string names;
  for (const std::string& key : missing.first(std::min(missing.size(), k_named)))
    names += (names.empty() ? "" : ", ") + key;
  if (missing.size() > k_named) names += fmt::format(" and {} more", missing.size() - k_named);
  throw Error(Code::invalid_argument,
              fmt::format("{}: {} {} missing: {}", where, missing.size() == 1 ? "a key" : "keys",
                          missing.size() == 1 ? "is" : "are", names),
              std::string(k_mend));
}

void check(const HParams& hp, Spelling spelling, std::string_view where) {
  const Checker checker(hp, spelling, where);
  checker.ranges();
  checker.lists();
  checker.relations();
}

} // namespace hparams

void check_hparams(const HParams& hp, std::string_view where) { hparams::check(hp, hparams::Spelling::gguf, where); }

void write_hparams(GgufWriter& writer, const HParams& hp) {
  using namespace hparams;
  check_hparams(hp, "hyper-parameters");
  const std::string prefix = std::string(k_architecture) + ".";
  writer.put_string("general.architecture", k_architecture);
  writer.put_string("general.name", hp.name);
  for (const IntField& field : k_int_fields)
    if (!field.indexer || hp.has_indexer())
      writer.put_u32(prefix + std::string(field.gguf), static_cast<std::uint32_t>(hp.*field.member));
  for (const FloatField& field : k_float_fields) {
    const std::string key = prefix + std::string(field.gguf);
    if (field.member == &HParams::yarn_orig_ctx)
      writer.put_u32(key, static_cast<std::uint32_t>(hp.yarn_orig_ctx));
    else
      writer.put_f32(key, static_cast<float>(hp.*field.member));
  }
  writer.put_u32(prefix + "feed_forward_length", static_cast<std::uint32_t>(hp.d_ff));
  writer.put_u32(prefix + "attention.head_count_kv", 1);
  writer.put_u32(prefix + "attention.value_length", static_cast<std::uint32_t>(hp.head_dim));
  writer.put_u32(prefix + "expert_gating_func", static_cast<std::uint32_t>(k_gating_sqrt_softplus));
  writer.put_bool(prefix + "expert_weights_norm", true);
  writer.put_string(prefix + "rope.scaling.type", "yarn");
  writer.put_u32(prefix + "nextn_predict_layers", 0);
  writer.put_u32s(prefix + "attention.compress_ratios", std::vector<std::uint32_t>(hp.ratios.begin(), hp.ratios.end()));
  writer.put_f32s(prefix + "swiglu_clamp_exp", std::vector<float>(hp.clamp_exp.begin(), hp.clamp_exp.end()));
  writer.put_f32s(prefix + "swiglu_clamp_shexp", std::vector<float>(hp.clamp_shared.begin(), hp.clamp_shared.end()));
}

} // namespace seacliff
