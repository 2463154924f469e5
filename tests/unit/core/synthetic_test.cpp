// Models of random weights. To add a case: change `small_options()` and look at the file that comes out.
#include "core/model/inventory.hpp"
#include "core/model/random_blocks.hpp"
#include "core/model/synthetic.hpp"
#include "core/text/tokenizer.hpp"
#include "ops/dtype/codec.hpp"
#include "tests/unit/core/temporary.hpp"

#include <seacliff/sdk/numeric.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

namespace seacliff {
namespace {

using test::error_of;
using test::TemporaryFile;
using testing::HasSubstr;

/// Like the q2 recipe, but small: five layers of all kinds.
SyntheticOptions small_options() {
  SyntheticOptions options;
  options.hp = shape_named("nano");
  options.hp.n_vocab = 600;
  options.hp.n_experts = 8;
  options.hp.n_experts_used = 2;
  set_layers(options.hp, 5);
  options.dtype_of = [](const TensorSpec& spec) {
    if (spec.name.find("_down_exps") != std::string::npos) return DType::q2_k;
    if (spec.name.find("_exps") != std::string::npos) return DType::iq2_xxs;
    return spec.name.find("hc_") != std::string::npos ? DType::f32 : DType::q8_0;
  };
  return options;
}

GgufFile written(const TemporaryFile& file, const SyntheticOptions& options) {
  write_synthetic(file.path(), options);
  return GgufFile::open(file.path());
}

std::vector<float> values(const GgufTensor& tensor) {
  std::size_t n = 1;
  for (const std::int64_t d : tensor.dims) n *= static_cast<std::size_t>(d);
  std::vector<float> out(n);
  dtype::decode_row(tensor.dtype, tensor.data, out);
  return out;
}

TEST(Synthetic, BytesDependOnTheSeedAndNotOnThreads) {
  const TemporaryFile one, many, other;
  SyntheticOptions options = small_options();
  options.hp.d_ff = 1024; // experts in several chunks
  write_synthetic(one.path(), options);
  options.threads = 3;
  write_synthetic(many.path(), options);
  options.seed = 2;
  write_synthetic(other.path(), options);
  EXPECT_TRUE(one.contents() == many.contents());
  EXPECT_FALSE(one.contents() == other.contents());
}

TEST(Synthetic, ReadsAsTheModelItSays) {
  const TemporaryFile path;
  const SyntheticOptions options = small_options();
  const SyntheticResult result = write_synthetic(path.path(), options);
  const GgufFile file = GgufFile::open(path.path());
  const HParams hp = hparams_from_gguf(file);
  EXPECT_EQ(hp.n_layers, 5);
  EXPECT_EQ(hp.ratios, (std::vector<std::int64_t>{0, 0, 4, 128, 4}));
  const TensorDirectory directory(file, hp); // shapes, types, hash tables
  EXPECT_EQ(directory.size(), result.tensors);
  EXPECT_EQ(result.described_bytes, result.data_bytes);
  EXPECT_EQ(take_inventory(file, hp, directory).recipe, "q2");
}

TEST(Synthetic, EveryValueIsFinite) {
  const TemporaryFile path;
  const GgufFile file = written(path, small_options());
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.dtype == DType::i32) continue;
    const std::vector<float> all = values(tensor);
    EXPECT_TRUE(std::all_of(all.begin(), all.end(), [](float x) { return std::isfinite(x); })) << tensor.name;
  }
}

class RandomBlocks : public testing::TestWithParam<DType> {};

TEST_P(RandomBlocks, HaveTheSpreadAskedFor) {
  for (const double wanted : {1.0, 0.023, 0.0011}) {
    constexpr std::size_t n = 1 << 16;
    std::vector<std::byte> bytes(row_bytes(GetParam(), n));
    RandomWords random(7, 1, 0);
    random_blocks(GetParam(), wanted, random, bytes);
    std::vector<float> decoded(n);
    dtype::decode_row(GetParam(), bytes.data(), decoded);
    double sum = 0, squares = 0;
    for (const float x : decoded) {
      sum += x;
      squares += static_cast<double>(x) * x;
    }
    EXPECT_NEAR(std::sqrt(squares / n) / wanted, 1.0, 0.06);
    EXPECT_NEAR(sum / n / wanted, 0.0, 0.06);
  }
}

TEST(Synthetic, F16HasNumbersOfBf16) {
  std::uint16_t halves[4096];
  RandomWords random(7, 1, 0);
  random_blocks(DType::f16, 0.02, random, std::as_writable_bytes(std::span(halves)));
  for (const std::uint16_t bits : halves) {
    const float x = numeric::f16_to_f32(bits);
    EXPECT_EQ(numeric::bf16_to_f32(numeric::f32_to_bf16(x)), x);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, RandomBlocks,
                         testing::Values(DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q2_k, DType::q4_k,
                                         DType::iq2_xxs, DType::mxfp4),
                         [](const auto& type) { return std::string(dtype_info(type.param).name); });

TEST(Synthetic, LayersShareBytesWhenAskedTo) {
  const TemporaryFile path;
  SyntheticOptions options = small_options();
  options.alias = {2, 1};
  const SyntheticResult result = write_synthetic(path.path(), options);
  EXPECT_LT(result.data_bytes, result.described_bytes);
  const GgufFile file = GgufFile::open(path.path());
  EXPECT_EQ(file.data_bytes(), result.data_bytes);
  const auto offset = [&](const char* name) { return file.find(name)->offset; };
  EXPECT_EQ(offset("blk.0.attn_q_b.weight"), offset("blk.4.attn_q_b.weight"));
  EXPECT_NE(offset("blk.0.attn_q_b.weight"), offset("blk.1.attn_q_b.weight"));
  EXPECT_EQ(offset("blk.0.ffn_up_exps.weight"), offset("blk.3.ffn_up_exps.weight"));
  EXPECT_NE(offset("blk.0.ffn_up_exps.weight"), offset("blk.0.ffn_gate_exps.weight"));
  EXPECT_EQ(offset("blk.2.attn_compressor_kv.weight"), offset("blk.4.attn_compressor_kv.weight"));
  EXPECT_NE(offset("blk.0.ffn_gate_inp.weight"), offset("blk.2.ffn_gate_inp.weight")); // layers route differently
}

/// How often each expert stands in the first hash table; fails on a row with one twice.
std::vector<int> popularity(double skew) {
  const TemporaryFile path;
  SyntheticOptions options = small_options();
  options.gains.skew = skew;
  const GgufFile file = written(path, options);
  const GgufTensor& table = *file.find("blk.0.ffn_gate_tid2eid.weight");
  std::vector<std::int32_t> ids(table.bytes / sizeof(std::int32_t));
  std::memcpy(ids.data(), table.data, table.bytes);
  std::vector<int> counts(static_cast<std::size_t>(options.hp.n_experts));
  for (std::size_t i = 0; i < ids.size(); i += 2) {
    EXPECT_NE(ids[i], ids[i + 1]);
    for (const std::size_t k : {i, i + 1}) ++counts.at(static_cast<std::size_t>(ids[k]));
  }
  std::sort(counts.begin(), counts.end());
  return counts;
}

TEST(Synthetic, ExpertsDifferInPopularity) {
  const auto skewed = popularity(1), even = popularity(0);
  EXPECT_GT(skewed.back(), 1.7 * skewed.front());
  EXPECT_LT(even.back(), 1.5 * even.front());
}

TEST(Synthetic, OutlierChannelsAreTheSameInAllLayers) {
  const TemporaryFile path;
  SyntheticOptions options = small_options();
  options.hp.n_embd = 2048;
  const GgufFile file = written(path, options);
  const auto outliers = [&](const char* name) {
    std::set<std::size_t> channels;
    const std::vector<float> weights = values(*file.find(name));
    for (std::size_t i = 0; i < weights.size(); ++i)
      if (weights[i] > 1.5f) channels.insert(i);
    return channels;
  };
  const auto first = outliers("blk.0.attn_norm.weight");
  EXPECT_GT(first.size(), 0U);
  EXPECT_LT(first.size(), 30U);
  EXPECT_EQ(first, outliers("blk.3.ffn_norm.weight"));
}

TEST(Synthetic, ShapesAreTheReleasedOnes) {
  const HParams nano = shape_named("nano");
  const HParams config = hparams_from_config(SEACLIFF_SOURCE_DIR "/models/nano/config.json");
  const auto dims = [](const HParams& hp) {
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> all;
    for (const TensorSpec& spec : expected_tensors(hp)) all.emplace_back(spec.name, spec.dims);
    return all;
  };
  EXPECT_EQ(dims(nano), dims(config));
  EXPECT_EQ(nano.ratios, config.ratios);
  const auto billions = [](const char* name) {
    double sum = 0;
    for (const TensorSpec& spec : expected_tensors(shape_named(name))) {
      double n = spec.integer ? 0 : 1;
      for (const std::int64_t d : spec.dims) n *= static_cast<double>(d);
      sum += n;
    }
    return sum / 1e9;
  };
  EXPECT_NEAR(billions("flash"), 284, 1);
  EXPECT_NEAR(billions("pro"), 1600, 30);
  EXPECT_EQ(shape_named("4expert").n_experts_used, 4);
  EXPECT_EQ(shape_named("pro").ratios.front(), 128);
  EXPECT_THAT(error_of([] { shape_named("giant"); }), HasSubstr("flash, pro"));
}

TEST(Synthetic, ErrorsLeaveNoFile) {
  const TemporaryFile path;
  SyntheticOptions options = small_options();
  options.cancelled = [] { return true; };
  EXPECT_THAT(error_of([&] { write_synthetic(path.path(), options); }), HasSubstr("interrupted"));
  options = small_options();
  options.dtype_of = [](const TensorSpec&) { return DType::q6_k; };
  EXPECT_THAT(error_of([&] { write_synthetic(path.path(), options); }), HasSubstr("q6_k"));
  options = small_options();
  options.hp.n_experts_used = 9;
  EXPECT_THAT(error_of([&] { write_synthetic(path.path(), options); }), HasSubstr("expert_used_count"));
  EXPECT_FALSE(std::filesystem::exists(path.path()));
  EXPECT_FALSE(std::filesystem::exists(path.path().string() + ".part"));
}

TEST(Synthetic, VocabularyEncodesAnyText) {
  const Tokenizer tokenizer(synthetic_vocab(600));
  EXPECT_EQ(tokenizer.n_vocab(), 600U);
  const std::string text = "the rain\n\xf0\x9f\x8c\x8a and the wind\xff";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_LT(tokenizer.encode("the and").size(), 7U); // merges work
  EXPECT_NO_THROW(tokenizer.chat_ids());
  EXPECT_THAT(error_of([] { synthetic_vocab(200); }), HasSubstr("at least"));
}

TEST(StepWork, FollowsTheRule) {
  const TemporaryFile path;
  const GgufFile file = written(path, small_options());
  const HParams hp = hparams_from_gguf(file);
  const Inventory inventory = take_inventory(file, hp, TensorDirectory(file, hp));
  const StepWork one = step_work(inventory, hp, 1, 1);
  EXPECT_DOUBLE_EQ(one.weight_bytes, static_cast<double>(inventory.bytes_per_token));
  const auto head = static_cast<double>(file.find("output.weight")->bytes);
  EXPECT_DOUBLE_EQ(step_work(inventory, hp, 1, 0).weight_bytes, one.weight_bytes - head);
  EXPECT_DOUBLE_EQ(step_work(inventory, hp, 10, 10).flops, 10 * one.flops);
  // Two tokens of two experts each, out of eight: 8 (1 - (3/4)^2) = 3.5 experts instead of 2, and two table rows.
  double routed = 0, rows = 0;
  for (const TensorClass& entry : inventory.classes) {
    if (entry.name == "routed experts") routed = static_cast<double>(entry.bytes_per_token);
    if (entry.name == "embedding") rows = static_cast<double>(entry.bytes_per_token);
  }
  EXPECT_NEAR(step_work(inventory, hp, 2, 2).weight_bytes, one.weight_bytes + 0.75 * routed + rows, 1.0);
  // The attention of layer 0, by hand: every matrix element once per token, twice an operation.
  EXPECT_GT(one.flops, 2.0 * static_cast<double>(hp.n_heads * hp.head_dim * hp.q_lora_rank * hp.n_layers));
}

} // namespace
} // namespace seacliff
