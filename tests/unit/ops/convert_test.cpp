// Recipes, importance matrices and whole conversions of the nano model. To add a test: a TEST below.
#include "ops/convert/convert.hpp"

#include "core/model/checkpoint.hpp"
#include "core/text/tokenizer.hpp"
#include "ops/convert/parallel_for.hpp"
#include "ops/convert/source_names.hpp"
#include "ops/dtype/codec.hpp"
#include "tests/unit/core/temporary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <set>

namespace seacliff::convert {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryFile;
using testing::HasSubstr;

const fs::path k_nano = fs::path(SEACLIFF_SOURCE_DIR) / "models" / "nano";

Options options_for(const fs::path& out, std::string_view recipe) {
  Options options;
  options.in = k_nano;
  options.out = out;
  options.recipe = recipe_of(recipe);
  options.threads = 4;
  return options;
}

TEST(Recipe, PutsTensorsIntoClasses) {
  const auto cls = [](const char* name, std::vector<std::int64_t> dims, bool integer = false) {
    return std::string(class_name(classify({name, std::move(dims), integer})));
  };
  EXPECT_EQ(cls("blk.1.ffn_gate_exps.weight", {16, 8, 8}), "gate_experts");
  EXPECT_EQ(cls("blk.1.ffn_down_exps.weight", {16, 8, 8}), "down_experts");
  EXPECT_EQ(cls("blk.1.ffn_up_shexp.weight", {8, 8}), "shared");
  EXPECT_EQ(cls("blk.1.attn_output_a.weight", {8, 8}), "attention_proj");
  EXPECT_EQ(cls("blk.1.indexer.attn_q_b.weight", {8, 8}), "attention");
  EXPECT_EQ(cls("blk.1.attn_compressor_kv.weight", {8, 8}), "attention");
  EXPECT_EQ(cls("blk.1.indexer_compressor_ape.weight", {4, 8}), "ape");
  EXPECT_EQ(cls("blk.1.ffn_gate_inp.weight", {8, 8}), "dense");
  EXPECT_EQ(cls("output_hc_fn.weight", {4, 8}), "hyper");
  EXPECT_EQ(cls("output.weight", {8, 8}), "output");
  EXPECT_EQ(cls("blk.1.attn_norm.weight", {8}), "vector");
  EXPECT_EQ(cls("blk.1.ffn_gate_tid2eid.weight", {8, 6}, true), "integer");
}

TEST(Recipe, GivesTheTypesOfThePublishedFiles) {
  const Recipe q2 = recipe_of("q2");
  EXPECT_EQ(q2[TensorClass::gate_experts], DType::iq2_xxs);
  EXPECT_EQ(q2[TensorClass::down_experts], DType::q2_k);
  EXPECT_EQ(q2[TensorClass::attention_proj], DType::q8_0);
  EXPECT_EQ(q2[TensorClass::embedding], DType::f16);
  for (const char* name : {"q2", "q4", "mxfp4", "q8", "f16", "f32"}) {
    EXPECT_EQ(recipe_of(name)[TensorClass::hyper], DType::f32) << name;
    EXPECT_EQ(recipe_of(name)[TensorClass::ape], DType::f32) << name;
    EXPECT_EQ(recipe_of(name)[TensorClass::vector], DType::f32) << name;
  }
  EXPECT_THAT(error_of([] { recipe_of("q5"); }), testing::AllOf(HasSubstr("\"q5\""), HasSubstr("mxfp4")));
}

TEST(Recipe, OfPublishedFilesRoundsHyperConnections) {
  for (const char* name : {"q2", "q4", "mxfp4", "q8", "f16", "f32"}) {
    const Recipe careful = recipe_of(name), theirs = published(careful);
    const DType small = careful[TensorClass::dense]; // F16, but F32 in f32
    EXPECT_EQ(theirs[TensorClass::hyper], small) << name;
    EXPECT_EQ(theirs[TensorClass::ape], small) << name;
    for (const auto cls : {TensorClass::gate_experts, TensorClass::attention_proj, TensorClass::vector})
      EXPECT_EQ(theirs[cls], careful[cls]) << name;
  }
}

TEST(Recipe, FallsBackWhereBlocksDoNotFit) {
  EXPECT_EQ(fitting_type(DType::q4_k, 512), DType::q4_k);
  EXPECT_EQ(fitting_type(DType::q4_k, 128), DType::q8_0);
  EXPECT_EQ(fitting_type(DType::iq2_xxs, 100), DType::f16);
  EXPECT_EQ(fitting_type(DType::f32, 3), DType::f32);
  EXPECT_EQ(fitting_type(DType::i32, 6), DType::i32);
}

TEST(SourceNames, CoverTheModelAndNothingElse) {
  const Checkpoint checkpoint = Checkpoint::open(k_nano);
  const HParams hp = hparams_from_config(k_nano / "config.json");
  std::set<std::string> used;
  for (const TensorSpec& spec : expected_tensors(hp))
    for (const std::string& source : source_names(spec.name, hp.n_experts)) {
      EXPECT_NE(checkpoint.find(source), nullptr) << source;
      EXPECT_TRUE(used.insert(source).second) << source;
    }
  for (const auto& [name, tensor] : checkpoint.tensors())
    if (!name.starts_with("mtp.")) {
      EXPECT_TRUE(used.contains(name)) << name;
    }
  EXPECT_THROW(source_names("blk.0.mystery.weight", 4), Error);
}

TEST(ParallelFor, DoesEveryTaskOnceAndPassesErrorsOn) {
  std::vector<std::atomic<int>> done(1000);
  parallel_for(done.size(), 7, [&](std::size_t i) { ++done[i]; });
  for (const auto& count : done) EXPECT_EQ(count, 1);
  EXPECT_THROW(parallel_for(100, 3,
                            [](std::size_t i) {
                              if (i == 50) throw Error(Code::cancelled, "stop");
                            }),
               Error);
  parallel_for(0, 3, [](std::size_t) { FAIL(); });
}

// --------------------------------------------------------------------------------------------------- importance

struct Dat {
  std::string text;
  Dat& number(std::int32_t value) {
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Dat& name(std::string_view value) {
    number(static_cast<std::int32_t>(value.size()));
    text += value;
    return *this;
  }
  Dat& values(std::initializer_list<float> list) {
    number(static_cast<std::int32_t>(list.size()));
    for (const float value : list) text.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
};

Importance parse(const Dat& dat) { return Importance::parse(std::as_bytes(std::span(dat.text)), "i.dat"); }

TEST(ImportanceFile, GivesColumnsPerExpert) {
  Dat dat;
  dat.number(2).name("a.weight").number(2).values({2, 4, 6, 8}).name("b.weight.expert.1").number(0).values({5, 7});
  const Dat old = dat;
  dat.number(12).name("texts");
  const Importance importance = parse(dat);
  EXPECT_THAT(importance.columns("a.weight", 1, 2, 2), testing::ElementsAre(3, 4)); // divided by the calls
  EXPECT_THAT(importance.columns("b.weight", 1, 2, 2), testing::ElementsAre(5, 7));
  EXPECT_TRUE(importance.columns("b.weight", 0, 2, 2).empty());
  EXPECT_EQ(importance.chunks(), 12);
  EXPECT_EQ(importance.dataset(), "texts");
  EXPECT_EQ(importance.entries(), 2u);
  EXPECT_THAT(error_of([&] { importance.columns("a.weight", 0, 3, 2); }),
              HasSubstr("has 4 values, the tensor wants 6"));
  EXPECT_EQ(parse(old).chunks(), 0); // the trailer came later
  for (std::size_t cut = 0; cut < dat.text.size(); ++cut)
    if (cut != old.text.size() && cut != old.text.size() + 4) {
      EXPECT_THROW(parse({dat.text.substr(0, cut)}), Error) << cut;
    }
}

TEST(ImportanceFile, DistrustsItsContents) {
  EXPECT_THAT(error_of([] { parse(Dat().number(-1)); }), HasSubstr("negative"));
  EXPECT_THAT(error_of([] { parse(Dat().number(1).name("a").number(1).number(0x7fffffff)); }),
              HasSubstr("past the end"));
  EXPECT_THAT(error_of([] { parse(Dat().number(1).name("a").number(1).values({NAN})); }),
              HasSubstr("no sum of squares"));
  EXPECT_THAT(error_of([] { parse({"GGUF and more"}); }), HasSubstr("GGUF"));
}

// -------------------------------------------------------------------------------------------------- conversions

TEST(Convert, F32KeepsEveryValue) {
  const TemporaryFile out;
  const Result result = convert(options_for(out.path(), "f32"));
  for (const ClassResult& row : result.classes) EXPECT_EQ(row.rms_error(), 0) << class_name(row.cls);
  EXPECT_TRUE(result.notes.empty());

  const GgufFile file = GgufFile::open(out.path());
  const HParams hp = hparams_from_gguf(file);
  const TensorDirectory directory(file, hp); // names and shapes
  EXPECT_EQ(file.tensors().size(), result.tensors);
  const VocabData vocab = vocab_from_gguf(file), source = vocab_from_json(k_nano / "tokenizer.json", 4096);
  EXPECT_EQ(vocab.tokens, source.tokens);
  EXPECT_EQ(vocab.merges, source.merges);
  EXPECT_EQ(vocab.bos, source.bos);
  const Checkpoint checkpoint = Checkpoint::open(k_nano);
  std::vector<float> row(256);
  checkpoint.read_rows("layers.3.ffn.experts.9.w3.weight", 17, 18, row);
  const std::byte* stored = directory.layer(3, "ffn_up_exps.weight").data + (9 * 256 + 17) * row.size() * sizeof(float);
  EXPECT_EQ(std::memcmp(stored, row.data(), row.size() * sizeof(float)), 0);
  std::vector<std::int32_t> ids(6);
  checkpoint.read_ints("layers.1.ffn.gate.tid2eid", 999, 1000, ids);
  EXPECT_EQ(std::memcmp(directory.layer(1, "ffn_gate_tid2eid.weight").data + 999 * 24, ids.data(), 24), 0);
}

TEST(Convert, Mxfp4KeepsTheExpertsExactly) {
  const TemporaryFile out, again;
  Options options = options_for(out.path(), "mxfp4");
  const Result result = convert(options);
  for (const ClassResult& row : result.classes) {
    if (row.dtype == DType::mxfp4) {
      EXPECT_EQ(row.error_sum, 0) << class_name(row.cls);
    }
    if (row.dtype == DType::q8_0) {
      EXPECT_LT(row.rms_error(), 0.006) << class_name(row.cls);
    }
    if (row.dtype == DType::f16) {
      EXPECT_LT(row.rms_error(), 1e-7) << class_name(row.cls);
    }
  }
  options.out = again.path();
  options.threads = 1;
  convert(options);
  EXPECT_EQ(out.contents(), again.contents()) << "depends on the number of threads";
}

TEST(Convert, SaysWhichTypesDidNotFit) {
  const TemporaryFile out;
  Options options = options_for(out.path(), "mxfp4");
  options.recipe[TensorClass::attention_proj] = DType::q4_k; // rows of 128 among them
  const Result result = convert(options);
  EXPECT_THAT(result.notes, testing::ElementsAre(HasSubstr("q8_0 instead of q4_k")));
}

TEST(Convert, StopsWhenAskedAndLeavesNothingBehind) {
  const TemporaryFile out;
  std::atomic<bool> cancelled{false};
  Options options = options_for(out.path(), "q8");
  options.cancelled = [&] { return cancelled.load(); };
  options.progress = [&](const Progress& progress) { cancelled = progress.written_bytes * 4 > progress.all_bytes; };
  try {
    convert(options);
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled);
  }
  EXPECT_FALSE(fs::exists(out.path()));
  for (const auto& entry : fs::directory_iterator(out.path().parent_path()))
    EXPECT_FALSE(entry.path().string().starts_with(out.path().string())) << entry.path();
}

TEST(Convert, NamesWhatIsWrong) {
  const TemporaryFile out;
  Options options = options_for(out.path(), "f16");
  options.in = k_nano / "vectors";
  EXPECT_THAT(error_of([&] { convert(options); }), HasSubstr("not a checkpoint directory"));
  options = options_for(out.path().parent_path() / "no-such-folder" / "m.gguf", "f16");
  EXPECT_THAT(error_of([&] { convert(options); }), HasSubstr("no-such-folder is not a directory"));
}

} // namespace
} // namespace seacliff::convert
