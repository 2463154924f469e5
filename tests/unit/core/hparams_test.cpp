// Hyper-parameters and the tensor directory. To add a producer's quirk: write a small model with ModelEdits that has it
// and compare what is read with `small_hparams()`.
#include "core/model/hparams.hpp"
#include "core/model/hparams_fields.hpp"
#include "core/model/inventory.hpp"
#include "tests/unit/core/gguf_bytes.hpp"
#include "tests/unit/core/small_model.hpp"
#include "tests/unit/core/temporary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <numeric>

namespace seacliff {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* k_nano_config = SEACLIFF_SOURCE_DIR "/models/nano/config.json";

void expect_same(const HParams& a, const HParams& b) {
  for (const auto& field : hparams::k_int_fields) EXPECT_EQ(a.*field.member, b.*field.member) << field.gguf;
  for (const auto& field : hparams::k_float_fields) EXPECT_FLOAT_EQ(a.*field.member, b.*field.member) << field.gguf;
  EXPECT_EQ(a.ratios, b.ratios);
  EXPECT_EQ(a.clamp_exp, b.clamp_exp);
  EXPECT_EQ(a.clamp_shared, b.clamp_shared);
}

HParams flash() {
  HParams hp = hparams_from_config(k_nano_config);
  hp.n_layers = 43, hp.n_embd = 4096, hp.n_vocab = 129280, hp.n_heads = 64, hp.head_dim = 512;
  hp.q_lora_rank = hp.o_lora_rank = 1024, hp.o_groups = 8, hp.n_experts = 256, hp.d_ff = 2048;
  hp.index_heads = 64, hp.window = 128, hp.index_top_k = 512, hp.max_context = 1048576, hp.yarn_orig_ctx = 65536;
  hp.ratios = {0, 0};
  while (hp.ratios.size() < 43) hp.ratios.push_back(hp.ratios.size() % 2 == 0 ? 4 : 128);
  hp.clamp_exp = hp.clamp_shared = std::vector<double>(43, 10.0);
  return hp;
}

HParams pro() {
  HParams hp = flash();
  hp.n_layers = 61, hp.n_embd = 7168, hp.n_heads = 128, hp.q_lora_rank = 1536, hp.o_groups = 16;
  hp.n_experts = 384, hp.d_ff = 3072, hp.index_top_k = 1024, hp.expert_scale = 2.5;
  hp.ratios = {128, 128};
  while (hp.ratios.size() < 61) hp.ratios.push_back(hp.ratios.size() % 2 == 0 ? 4 : 128);
  hp.clamp_exp = hp.clamp_shared = std::vector<double>(61, 10.0);
  return hp;
}

/// The published q2 recipe: which format each tensor has.
DType q2_recipe(const TensorSpec& spec) {
  const auto has = [&](std::string_view part) { return spec.name.find(part) != std::string::npos; };
  if (spec.integer) return DType::i32;
  if (spec.dims.size() == 1) return DType::f32;
  if (has("ffn_down_exps")) return DType::q2_k;
  if (has("_exps.")) return DType::iq2_xxs;
  if (has("indexer") || has("compressor") || has("hc_") || has("ffn_gate_inp") || has("token_embd")) return DType::f16;
  return DType::q8_0;
}

std::uint64_t bytes_of(const HParams& hp) {
  std::uint64_t sum = 0;
  for (const TensorSpec& spec : expected_tensors(hp)) {
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i + 1 < spec.dims.size(); ++i) rows *= static_cast<std::uint64_t>(spec.dims[i]);
    sum += rows * row_bytes(q2_recipe(spec), static_cast<std::uint64_t>(spec.dims.back()));
  }
  return sum;
}

TEST(ExpectedTensors, AddUpToThePublishedFiles) {
  check_hparams(flash(), "flash");
  check_hparams(pro(), "pro");
  EXPECT_EQ(expected_tensors(flash()).size(), 1328u);
  EXPECT_EQ(bytes_of(flash()), 86714775900u);
  EXPECT_EQ(expected_tensors(pro()).size(), 1894u);
  EXPECT_EQ(bytes_of(pro()), 464621966732u);
}

TEST(HParamsConfig, ReadsNano) {
  const HParams hp = hparams_from_config(k_nano_config);
  EXPECT_EQ(hp.name, "nano");
  EXPECT_EQ(hp.n_layers, 8);
  EXPECT_EQ(hp.n_embd, 256);
  EXPECT_EQ(hp.n_vocab, 4096);
  EXPECT_EQ(hp.rope_dim, 64);
  EXPECT_EQ(hp.n_experts, 16);
  EXPECT_EQ(hp.n_experts_used, 6);
  EXPECT_EQ(hp.index_top_k, 32);
  EXPECT_THAT(hp.ratios, ElementsAre(0, 0, 4, 128, 4, 128, 4, 128));
  EXPECT_THAT(hp.clamp_shared, testing::Each(10.0));
  EXPECT_EQ(hp.yarn_orig_ctx, 4096);
  EXPECT_EQ(hp.rms_eps, 1e-6);
  EXPECT_TRUE(hp.hash_routed(2));
  EXPECT_FALSE(hp.hash_routed(3));
}

TEST(HParamsConfig, NamesWhatIsWrong) {
  std::ifstream in(k_nano_config);
  const nlohmann::json nano = nlohmann::json::parse(in);
  const auto error = [&](const std::function<void(nlohmann::json&)>& edit) {
    nlohmann::json config = nano;
    edit(config);
    const TemporaryFile file(config.dump());
    return error_of([&] { hparams_from_config(file.path()); });
  };
  EXPECT_THAT(error([](auto& c) { c.erase("hidden_size"); }), HasSubstr("missing: hidden_size"));
  EXPECT_THAT(error([](auto& c) { c["hidden_size"] = nullptr; }), HasSubstr("missing: hidden_size"));
  EXPECT_THAT(error([](auto& c) { c["rope_scaling"].erase("factor"); }), HasSubstr("missing: rope_scaling.factor"));
  EXPECT_THAT(error([](auto& c) { c["rope_scaling"] = 3; }), HasSubstr("rope_scaling.factor"));
  EXPECT_THAT(error([](auto& c) { c.erase("index_topk"); }), HasSubstr("missing: index_topk"));
  EXPECT_THAT(error([](auto& c) { c.erase("compress_ratios"); }), HasSubstr("missing: compress_ratios"));
  EXPECT_THAT(error([](auto& c) { c["hidden_size"] = "4096"; }),
              HasSubstr("hidden_size is \"4096\", must be an integer"));
  EXPECT_THAT(error([](auto& c) { c["hidden_size"] = 1.5; }), HasSubstr("must be an integer"));
  EXPECT_THAT(error([](auto& c) { c["hidden_size"] = ~std::uint64_t{0}; }), HasSubstr("must be an integer"));
  EXPECT_THAT(error([](auto& c) { c["hidden_size"] = -1; }), HasSubstr("hidden_size is -1, must be between"));
  EXPECT_THAT(error([](auto& c) { c["num_hidden_layers"] = 1 << 30; }), HasSubstr("num_hidden_layers is 1073741824"));
  EXPECT_THAT(error([](auto& c) { c["num_hidden_layers"] = 10; }), HasSubstr("entry for each of 10 layers"));
  EXPECT_THAT(error([](auto& c) { c["compress_ratios"][3] = 8; }), HasSubstr("layer 3 is 8, must be 0, 4 or 128"));
  EXPECT_THAT(error([](auto& c) { c["o_groups"] = 3; }),
              HasSubstr("num_attention_heads is 8, not a multiple of o_groups 3"));
  EXPECT_THAT(error([](auto& c) { c["num_experts_per_tok"] = 17; }), HasSubstr("more than n_routed_experts 16"));
  EXPECT_THAT(error([](auto& c) { c["scoring_func"] = "softmax"; }), HasSubstr("scoring_func is \"softmax\""));
  EXPECT_THAT(error([](auto& c) { c["tie_word_embeddings"] = true; }), HasSubstr("tie_word_embeddings"));
  EXPECT_THAT(error([](auto& c) { c["model_type"] = "llama"; }), HasSubstr("model_type is \"llama\""));
  EXPECT_THAT(error([](auto& c) { c = nlohmann::json::array(); }), HasSubstr("not a JSON object"));
  const TemporaryFile garbage("{\"hidden_size\": ");
  EXPECT_THAT(error_of([&] { hparams_from_config(garbage.path()); }), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of([] { hparams_from_config("/nowhere/config.json"); }), HasSubstr("/nowhere/config.json"));
  EXPECT_THAT(error_of([] { hparams_from_config(testing::TempDir()); }), HasSubstr("cannot be read"));
}

TEST(HParamsConfig, IndexerIsOptionalWithoutRatio4) {
  std::ifstream in(k_nano_config);
  nlohmann::json config = nlohmann::json::parse(in);
  for (auto& ratio : config["compress_ratios"]) ratio = ratio == 4 ? nlohmann::json(128) : ratio;
  for (const char* key : {"index_topk", "index_n_heads", "index_head_dim"}) config.erase(key);
  const TemporaryFile file(config.dump());
  EXPECT_FALSE(hparams_from_config(file.path()).has_indexer());
}

TEST(HParams, EveryRangeIsChecked) {
  for (const auto& field : hparams::k_int_fields)
    for (const std::int64_t bad : {field.low - 1, field.high + 1}) {
      HParams hp = small_hparams();
      hp.*field.member = bad;
      EXPECT_THAT(error_of([&] { check_hparams(hp, "here"); }),
                  testing::AllOf(HasSubstr("here: deepseek4."), HasSubstr(std::string(field.gguf)),
                                 HasSubstr(std::to_string(bad))));
    }
  for (const auto& field : hparams::k_float_fields)
    for (const double bad : {0.0, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN()}) {
      HParams hp = small_hparams();
      hp.*field.member = bad;
      EXPECT_THAT(error_of([&] { check_hparams(hp, "here"); }), HasSubstr(std::string(field.gguf)));
    }
}

TEST(HParams, RelationsAreChecked) {
  const auto error = [](const std::function<void(HParams&)>& edit) {
    HParams hp = small_hparams();
    edit(hp);
    return error_of([&] { check_hparams(hp, "here"); });
  };
  EXPECT_THAT(error([](HParams& hp) { hp.rope_dim = 3; }), HasSubstr("must be even"));
  EXPECT_THAT(error([](HParams& hp) { hp.rope_dim = 10; }), HasSubstr("more than deepseek4.attention.key_length 8"));
  EXPECT_THAT(error([](HParams& hp) { hp.rope_dim = 6; }), HasSubstr("indexer.key_length 4"));
  EXPECT_THAT(error([](HParams& hp) { hp.index_dim = 12; }), HasSubstr("power of two"));
  EXPECT_THAT(error([](HParams& hp) { hp.n_hash_layers = 4; }), HasSubstr("more than deepseek4.block_count 3"));
  EXPECT_THAT(error([](HParams& hp) { hp.ratios.pop_back(); }), HasSubstr("2 compression ratios"));
  EXPECT_THAT(error([](HParams& hp) { hp.ratios[1] = 5; }), HasSubstr("layer 1 is 5"));
  EXPECT_THAT(error([](HParams& hp) { hp.clamp_exp.clear(); }), HasSubstr("0 SwiGLU limits"));
  EXPECT_THAT(error([](HParams& hp) { hp.clamp_shared[2] = -1; }), HasSubstr("limit of layer 2 is -1"));
  EXPECT_THAT(error([](HParams& hp) { hp.yarn_beta_fast = 0.5; }), HasSubstr("beta_fast"));
}

/// A model as edited, and what is read from it.
struct Written {
  explicit Written(const HParams& hp = small_hparams(), const ModelEdits& edits = {}) {
    write_model(temporary.path(), hp, edits);
  }
  TemporaryFile temporary;
  GgufFile file() const { return GgufFile::open(temporary.path()); }
};

TEST(HParamsGguf, RoundTrip) {
  const Written model;
  const GgufFile file = model.file();
  const HParams hp = hparams_from_gguf(file);
  EXPECT_EQ(hp.name, "small");
  expect_same(hp, small_hparams());
  const TensorDirectory directory(file, hp);
  EXPECT_EQ(&directory.layer(1, "indexer.proj.weight"), file.find("blk.1.indexer.proj.weight"));
  EXPECT_EQ(&directory.global("output_norm.weight"), file.find("output_norm.weight"));
  EXPECT_EQ(directory.find("blk.0.indexer.proj.weight"), nullptr);
  EXPECT_THAT(error_of([&] { directory.layer(0, "indexer.proj.weight"); }), HasSubstr("no tensor"));
}

TEST(HParamsGguf, ConfigSurvivesTheFormat) {
  const HParams nano = hparams_from_config(k_nano_config);
  const TemporaryFile file;
  GgufWriter writer(file.path());
  write_hparams(writer, nano);
  writer.finish();
  const HParams read = hparams_from_gguf(GgufFile::open(file.path()));
  EXPECT_EQ(read.name, "nano");
  expect_same(read, nano);
}

/// The few keys that no tensor and no default can stand for.
void bare_metadata(GgufBytes& bytes) {
  bytes.text("general.architecture", "deepseek4");
  const std::pair<const char*, std::uint32_t> numbers[] = {{"block_count", 3},
                                                           {"embedding_length", 8},
                                                           {"attention.head_count", 2},
                                                           {"attention.key_length", 8},
                                                           {"rope.dimension_count", 4},
                                                           {"attention.q_lora_rank", 4},
                                                           {"attention.sliding_window", 4},
                                                           {"attention.indexer.head_count", 2},
                                                           {"attention.indexer.key_length", 4},
                                                           {"attention.indexer.top_k", 2},
                                                           {"expert_count", 256},
                                                           {"expert_shared_count", 1},
                                                           {"expert_feed_forward_length", 8},
                                                           {"hash_layer_count", 1}};
  for (const auto& [key, value] : numbers) bytes.key(std::string("deepseek4.") + key, U32, value);
  bytes.key("deepseek4.attention.layer_norm_rms_epsilon", F32, 1e-6f);
  // Some producers write these wider than need be.
  bytes.key("deepseek4.context_length", U64, std::uint64_t{65536});
  bytes.key("deepseek4.rope.scaling.original_context_length", U64, std::uint64_t{4096});
  bytes.key("deepseek4.rope.freq_base", F64, 10000.0);
  bytes.key("deepseek4.rope.scaling.factor", F64, 16.0);
}

/// Tensors of a model with 256 experts of which 3 are used; their bytes overlap, which is of no interest here.
void bare_tensors(GgufBytes& bytes) {
  bytes.tensor("token_embd.weight", {8, 12}).tensor("output_hc_base", {2});
  for (int layer = 0; layer < 3; ++layer) {
    const std::string p = "blk." + std::to_string(layer) + ".";
    bytes.tensor(p + "attn_norm.weight", {8})
        .tensor(p + "attn_out_a.weight", {8, 6})
        .tensor(p + "attn_out_b.weight", {6, 8});
  }
  bytes.tensor("blk.0.ffn_gate_tid2eid", {3, 12}, 26);
  bytes.tensor("blk.1.indexer.attn_q_b.weight", {4, 8}).tensor("blk.1.attn_compress_kv.weight", {8, 16});
  bytes.tensor("blk.2.attn_compressor_kv.weight", {8, 8});
  bytes.data_bytes = 1024;
}

TEST(HParamsGguf, MissingKeysAreDerived) {
  GgufBytes bytes;
  bare_metadata(bytes);
  bare_tensors(bytes);
  const std::string raw = bytes.build();
  const HParams hp = hparams_from_gguf(GgufFile::parse(as_bytes(raw), "bare"));
  EXPECT_THAT(hp.ratios, ElementsAre(0, 4, 128));
  EXPECT_EQ(hp.n_vocab, 12);
  EXPECT_EQ(hp.o_groups, 2);
  EXPECT_EQ(hp.o_lora_rank, 3);
  EXPECT_EQ(hp.n_experts_used, 3);
  EXPECT_EQ(hp.n_streams, 2);
  EXPECT_EQ(hp.sinkhorn_iters, 20);
  EXPECT_EQ(hp.hc_eps, 1e-6);
  EXPECT_EQ(hp.expert_scale, 1.5);
  EXPECT_EQ(hp.compress_rope_base, 160000);
  EXPECT_EQ(hp.yarn_beta_fast, 32);
  EXPECT_EQ(hp.yarn_beta_slow, 1);
  EXPECT_THAT(hp.clamp_exp, ElementsAre(10, 10, 10));
  EXPECT_THAT(hp.clamp_shared, ElementsAre(10, 10, 10));
  EXPECT_EQ(hp.max_context, 65536);
  EXPECT_EQ(hp.rope_base, 10000);
}

TEST(HParamsGguf, OtherSpellingsAreRead) {
  GgufBytes bytes;
  bare_metadata(bytes);
  bare_tensors(bytes);
  bytes.key("deepseek4.rope.freq_base_swa", F32, 80000.0f);
  bytes.key("deepseek4.swiglu_clamp_exp", F32, 7.0f);
  Raw clamps = Raw().number(std::uint32_t{F32}).number(std::uint64_t{4});
  for (const float c : {1.0f, 2.0f, 3.0f, 4.0f}) clamps.number(c);
  bytes.key("deepseek4.swiglu_clamp_shexp", ARRAY, clamps);
  Raw ratios = Raw().number(std::uint32_t{I32}).number(std::uint64_t{4});
  for (const std::int32_t r : {128, 4, 0, 0}) ratios.number(r);
  bytes.key("deepseek4.attention.compress_ratios", ARRAY, ratios);
  bytes.text("deepseek4.rope.scaling.type", "yarn");
  bytes.key("deepseek4.expert_group_count", U32, 0u);
  const std::string raw = bytes.build();
  const HParams hp = hparams_from_gguf(GgufFile::parse(as_bytes(raw), "bare"));
  EXPECT_EQ(hp.compress_rope_base, 80000);
  EXPECT_THAT(hp.clamp_exp, ElementsAre(7, 7, 7));
  EXPECT_THAT(hp.clamp_shared, ElementsAre(1, 2, 3));
  EXPECT_THAT(hp.ratios, ElementsAre(128, 4, 0));
}

TEST(HParamsGguf, VariantsAreRefused) {
  const auto error = [](const std::function<void(GgufBytes&)>& edit) {
    GgufBytes bytes;
    bare_metadata(bytes);
    bare_tensors(bytes);
    edit(bytes);
    const std::string raw = bytes.build();
    return error_of([&] { hparams_from_gguf(GgufFile::parse(as_bytes(raw), "bare")); });
  };
  EXPECT_THAT(error([](auto& b) { b.key("deepseek4.expert_gating_func", U32, 2u); }),
              HasSubstr("gating_func is 2, must be 4"));
  EXPECT_THAT(error([](auto& b) { b.key("deepseek4.attention.head_count_kv", U32, 8u); }),
              HasSubstr("head_count_kv is 8"));
  EXPECT_THAT(error([](auto& b) { b.key("deepseek4.attention.value_length", U32, 4u); }),
              HasSubstr("value_length is 4, must be 8"));
  EXPECT_THAT(error([](auto& b) { b.key("deepseek4.expert_weights_norm", BOOL, std::uint8_t{0}); }),
              HasSubstr("weights_norm"));
  EXPECT_THAT(error([](auto& b) { b.key("deepseek4.expert_group_count", U32, 8u); }),
              HasSubstr("expert_group_count is 8"));
  EXPECT_THAT(error([](auto& b) { b.key("deepseek4.leading_dense_block_count", U32, 1u); }),
              HasSubstr("leading_dense"));
  EXPECT_THAT(error([](auto& b) { b.text("deepseek4.rope.scaling.type", "linear"); }),
              HasSubstr("scaling.type is \"linear\""));
  const auto short_list = [](auto& b) {
    b.key("deepseek4.attention.compress_ratios", ARRAY,
          Raw().number(std::uint32_t{U32}).number(std::uint64_t{1}).number(4u));
  };
  EXPECT_THAT(error(short_list), HasSubstr("has 1 entries for 3 layers"));

  const auto parsed = [](const GgufBytes& bytes) {
    const std::string raw = bytes.build();
    return error_of([&] { hparams_from_gguf(GgufFile::parse(as_bytes(raw), "other")); });
  };
  EXPECT_THAT(parsed(GgufBytes()), HasSubstr("general.architecture is missing"));
  EXPECT_THAT(parsed(GgufBytes().text("general.architecture", "llama")), HasSubstr("\"llama\""));
  EXPECT_THAT(parsed(GgufBytes().text("general.architecture", "deepseek4")), HasSubstr("keys are missing: deepseek4."));
  EXPECT_THAT(parsed(GgufBytes().text("general.architecture", "deepseek4").tensor("mtp.0.norm.weight", {8})),
              HasSubstr("only the next-token predictor"));
}

TEST(HParamsGguf, PredictorBlockIsNotAMainLayer) {
  // Four blocks of metadata, the last one the predictor's.
  const auto layers_read = [](bool with_block) {
    HParams hp = small_hparams();
    hp.n_layers = 4;
    hp.ratios.push_back(0);
    hp.clamp_exp.push_back(10);
    hp.clamp_shared.push_back(10);
    const TemporaryFile temporary;
    write_model(temporary.path(), hp, {.tensor = [&](TensorSpec& spec) {
                  if (with_block && spec.name == "blk.3.attn_sinks.weight") spec.name = "blk.3.nextn.eh_proj.weight";
                }});
    std::string raw = temporary.contents();
    const std::string key = "deepseek4.nextn_predict_layers";
    raw[raw.find(key) + key.size() + 4] = 1; // the writer puts 0
    const GgufFile file = GgufFile::parse(as_bytes(raw), "predictor");
    EXPECT_EQ(file.get_int(key), 1);
    const HParams read = hparams_from_gguf(file);
    EXPECT_EQ(read.ratios.size(), static_cast<std::size_t>(read.n_layers));
    EXPECT_GT(TensorDirectory(file, read).size(), 0u);
    return read.n_layers;
  };
  EXPECT_EQ(layers_read(true), 3);
  EXPECT_EQ(layers_read(false), 4);
}

TEST(TensorDirectory, KnowsOtherNames) {
  const std::pair<std::string_view, std::string_view> renames[] = {
      {"output_hc_fn.weight", "hc_head_fn"},
      {"output_hc_base.weight", "output_hc_base"},
      {"attn_kv.weight", "attn_kv_latent.weight"},
      {"attn_kv_a_norm.weight", "attn_kv_norm.weight"},
      {"attn_output_a.weight", "attn_out_a.weight"},
      {"exp_probs_b.bias", "exp_probs_b"},
      {"ffn_gate_tid2eid.weight", "ffn_gate_tid2eid"},
      {"hc_attn_scale.weight", "hc_attn_scale"},
      {"attn_compressor_ape.weight", "attn_compress_ape.weight"},
      {"indexer_compressor_kv.weight", "indexer.compressor_kv.weight"},
      {"indexer_compressor_norm.weight", "indexer.compress_norm.weight"}};
  std::size_t renamed = 0;
  const Written model(small_hparams(), {.tensor = [&](TensorSpec& spec) {
                        for (const auto& [canonical, other] : renames)
                          if (spec.name == canonical || spec.name.ends_with("." + std::string(canonical))) {
                            spec.name.replace(spec.name.size() - canonical.size(), canonical.size(), other);
                            ++renamed;
                            break;
                          }
                      }});
  EXPECT_EQ(renamed, 2 + 3 * 4 + 2 + 1 + 2 + 2u);
  const GgufFile file = model.file();
  const HParams hp = hparams_from_gguf(file);
  const TensorDirectory directory(file, hp);
  EXPECT_EQ(directory.layer(1, "indexer_compressor_norm.weight").name, "blk.1.indexer.compress_norm.weight");
  EXPECT_EQ(directory.size(), expected_tensors(hp).size());
}

TEST(TensorDirectory, ChecksShapesTypesAndTables) {
  const auto error = [](const ModelEdits& edits) {
    const Written model(small_hparams(), edits);
    const GgufFile file = model.file();
    return error_of([&] { TensorDirectory(file, small_hparams()); });
  };
  const auto edit = [](std::string_view name, const std::function<void(TensorSpec&)>& change) {
    return ModelEdits{.tensor = [=](TensorSpec& spec) {
      if (spec.name == name) change(spec);
    }};
  };
  EXPECT_THAT(error(edit("blk.1.attn_q_a.weight",
                         [](auto& s) {
                           s.dims = {8, 4};
                         })),
              HasSubstr("\"blk.1.attn_q_a.weight\" is 8 x 4, must be 4 x 8"));
  EXPECT_THAT(error(edit("blk.2.attn_norm.weight", [](auto& s) { s.dims = {9}; })), HasSubstr("is 9, must be 8"));
  EXPECT_THAT(error(edit("blk.0.attn_norm.weight", [](auto& s) { s.integer = true; })), HasSubstr("has the type i32"));
  EXPECT_THAT(error(edit("blk.0.ffn_gate_tid2eid.weight", [](auto& s) { s.integer = false; })),
              HasSubstr("has the type f32, must be i32"));
  EXPECT_THAT(error(edit("output.weight", [](auto& s) { s.name.clear(); })),
              HasSubstr("1 of the model's tensors is missing: output.weight"));
  EXPECT_THAT(error({.tensor =
                         [](TensorSpec& s) {
                           if (s.name.find("_exps") != std::string::npos) s.name.clear();
                         }}),
              HasSubstr("9 of the model's tensors are missing: blk.0.ffn_gate_exps.weight"));
  EXPECT_THAT(error({.hash_entry = [](std::int64_t i) { return i == 5 ? 4 : 0; }}),
              HasSubstr("routes to expert 4, the model has 4"));
  EXPECT_THAT(error({.hash_entry = [](std::int64_t i) { return i == 23 ? -1 : 0; }}), HasSubstr("routes to expert -1"));
}

TEST(TensorDirectory, AcceptsTrailingOnes) {
  HParams hp = small_hparams();
  const Written model(hp, {.tensor = [](TensorSpec& spec) {
                        if (spec.dims.size() == 1) spec.dims = {1, 1, spec.dims[0]};
                      }});
  const GgufFile file = model.file();
  EXPECT_EQ(TensorDirectory(file, hp).global("output_norm.weight").dims, std::vector<std::int64_t>{8});
}

TEST(Inventory, CountsBytesPerToken) {
  const HParams hp = small_hparams();
  const Written model;
  const GgufFile file = model.file();
  const Inventory inventory = take_inventory(file, hp, TensorDirectory(file, hp));
  EXPECT_EQ(inventory.recipe, "f32");
  EXPECT_EQ(inventory.bytes, file.data_bytes());
  std::uint64_t sum = 0, tensors = 0;
  std::map<std::string, std::uint64_t> per_token;
  for (const TensorClass& entry : inventory.classes) {
    sum += entry.bytes_per_token;
    tensors += entry.tensors;
    per_token[std::string(entry.name)] = entry.bytes_per_token;
  }
  EXPECT_EQ(per_token["routed experts"], 3 * 3 * 2 * 8 * 8 * 4u); // 2 of 4
  EXPECT_EQ(per_token["embedding"], 8 * 4 + 2 * 4u);              // a row of each table
  EXPECT_EQ(per_token["shared expert"], 3 * 3 * 8 * 8 * 4u);
  EXPECT_EQ(sum, inventory.bytes_per_token);
  EXPECT_EQ(tensors, file.tensors().size());
}

} // namespace
} // namespace seacliff
