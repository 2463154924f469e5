// The GGUF reader and writer. To add a damaged file: one line in `k_damaged` below, made with GgufBytes, and a part of
// the message that users should see. To add a writer rule: a line in WriterRefusesMisuse.
#include "core/memory/mapped_file.hpp"
#include "core/model/gguf.hpp"
#include "tests/unit/core/gguf_bytes.hpp"
#include "tests/unit/core/small_model.hpp"
#include "tests/unit/core/temporary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

namespace seacliff {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

GgufFile parse(const std::string& bytes) { return GgufFile::parse(as_bytes(bytes), "test.gguf"); }

using Ints = std::vector<std::int64_t>;

TEST(Gguf, RoundTrip) {
  const TemporaryFile file;
  const std::vector<float> first{1, 2, 3, 4, 5, 6};
  std::vector<std::byte> blocks(2 * 34);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::byte>(i);
  {
    GgufWriter writer(file.path(), 64);
    writer.put_u32("a.u32", 4000000000u);
    writer.put_f32("a.f32", 0.5f);
    writer.put_bool("a.bool", true);
    writer.put_string("a.string", "caf\xc3\xa9");
    writer.put_u32s("a.u32s", std::vector<std::uint32_t>{1, 4000000000u});
    writer.put_i32s("a.i32s", std::vector<std::int32_t>{-1, 2});
    writer.put_f32s("a.f32s", std::vector<float>{0.25f, -8.0f});
    writer.put_strings("a.strings", std::vector<std::string>{"x", "", "yz"});
    writer.declare("first", DType::f32, Ints{2, 3});
    writer.declare("again", DType::f32, Ints{6}, "first");
    writer.declare("blocks", DType::q8_0, Ints{2, 1, 32});
    writer.declare("last", DType::f32, Ints{1, 1});
    const auto bytes = std::as_bytes(std::span(first));
    writer.write(bytes.first(5));
    writer.write(bytes.subspan(5));
    writer.write(blocks);
    writer.write(bytes.first(4));
    writer.finish();
  }
  const GgufFile read = GgufFile::open(file.path());
  EXPECT_EQ(read.name(), file.path().string());
  EXPECT_EQ(read.version(), 3u);
  EXPECT_EQ(read.alignment(), 64u);
  EXPECT_EQ(read.get_int("a.u32"), 4000000000);
  EXPECT_EQ(read.get_float("a.f32"), 0.5);
  EXPECT_EQ(read.get_bool("a.bool"), true);
  EXPECT_EQ(*read.get_string("a.string"), "caf\xc3\xa9");
  EXPECT_THAT(*read.get_ints("a.u32s"), ElementsAre(1, 4000000000));
  EXPECT_THAT(*read.get_ints("a.i32s"), ElementsAre(-1, 2));
  EXPECT_THAT(*read.get_floats("a.f32s"), ElementsAre(0.25, -8.0));
  EXPECT_THAT(*read.get_floats("a.f32"), ElementsAre(0.5));
  EXPECT_THAT(*read.get_strings("a.strings"), ElementsAre("x", "", "yz"));

  ASSERT_EQ(read.tensors().size(), 4u);
  const GgufTensor* tensor = read.find("first");
  ASSERT_TRUE(tensor);
  EXPECT_THAT(tensor->dims, ElementsAre(2, 3));
  EXPECT_EQ(tensor->offset % 64, 0u);
  EXPECT_EQ(std::memcmp(tensor->data, first.data(), 24), 0);
  EXPECT_EQ(read.find("again")->data, tensor->data);
  EXPECT_THAT(read.find("blocks")->dims, ElementsAre(2, 1, 32));
  EXPECT_EQ(std::memcmp(read.find("blocks")->data, blocks.data(), blocks.size()), 0);
  EXPECT_THAT(read.find("last")->dims, ElementsAre(1));
  EXPECT_EQ(read.data_bytes(), 24 + 68 + 4u);
  EXPECT_EQ(read.find("nothing"), nullptr);
}

TEST(Gguf, ReadsEveryValueType) {
  GgufBytes bytes;
  bytes.version = 2;
  bytes.key("u8", U8, std::uint8_t{200}).key("i8", I8, std::int8_t{-3}).key("u16", U16, std::uint16_t{60000});
  bytes.key("i16", I16, std::int16_t{-5}).key("i32", I32, std::int32_t{-6}).key("f32", F32, 1.5f);
  bytes.key("u64", U64, std::uint64_t{1} << 63).key("i64", I64, std::int64_t{-7}).key("f64", F64, 1e300);
  bytes.key("off", BOOL, std::uint8_t{0});
  const auto list = [](std::uint32_t type, std::uint64_t count) { return Raw().number(type).number(count); };
  bytes.key("empty", ARRAY, list(STRING, 0));
  bytes.key("bools", ARRAY, list(BOOL, 2).number(std::uint8_t{1}).number(std::uint8_t{0}));
  bytes.key("wide", ARRAY, list(U64, 1).number(~std::uint64_t{0}));
  Raw nested = list(ARRAY, 3);
  nested.text_only(list(U8, 2).number(std::uint8_t{1}).number(std::uint8_t{2}).all());
  nested.text_only(list(U8, 0).all());
  nested.text_only(list(I16, 1).number(std::int16_t{-3}).all());
  bytes.key("nested", ARRAY, nested);
  const std::string raw = bytes.build();
  const GgufFile file = parse(raw);
  EXPECT_EQ(file.version(), 2u);
  EXPECT_EQ(file.get_int("u8"), 200);
  EXPECT_EQ(file.get_int("i8"), -3);
  EXPECT_EQ(file.get_int("u16"), 60000);
  EXPECT_EQ(file.get_int("i16"), -5);
  EXPECT_EQ(file.get_int("i32"), -6);
  EXPECT_EQ(file.get_int("i64"), -7);
  EXPECT_EQ(file.get_float("f32"), 1.5);
  EXPECT_EQ(file.get_float("f64"), 1e300);
  EXPECT_EQ(file.get_float("i32"), -6.0);
  EXPECT_EQ(file.get_float("u64"), 0x1p63);
  EXPECT_EQ(file.get_bool("off"), false);
  EXPECT_TRUE(file.get_strings("empty")->empty());
  EXPECT_THAT(*file.get_ints("bools"), ElementsAre(1, 0));
  EXPECT_THAT(*file.get_ints("wide"), ElementsAre(std::numeric_limits<std::int64_t>::max()));
  EXPECT_THAT(*file.get_ints("nested"), ElementsAre(1, 2, -3));
  EXPECT_EQ(file.get_int("absent"), std::nullopt);
  EXPECT_EQ(file.get_string("absent"), nullptr);
  EXPECT_THAT(error_of([&] { file.get_int("u64"); }), HasSubstr("too large"));
  EXPECT_THAT(error_of([&] { file.get_int("f32"); }), HasSubstr("\"f32\" is not an integer"));
  EXPECT_THAT(error_of([&] { file.get_float("off"); }), HasSubstr("not a number"));
  EXPECT_THAT(error_of([&] { file.get_string("u8"); }), HasSubstr("not a string"));
  EXPECT_THAT(error_of([&] { file.get_ints("u8"); }), HasSubstr("not an array"));
  EXPECT_THAT(error_of([&] { file.get_floats("empty"); }), HasSubstr("array of numbers"));
}

TEST(Gguf, SharedBytesCountOnce) {
  GgufBytes bytes;
  bytes.tensor("a", {16}, 0, 0).tensor("b", {16}, 0, 0).tensor("c", {16, 1, 1, 1}, 0, 32).tensor("d", {8}, 0, 128);
  const std::string raw = bytes.build();
  const GgufFile file = parse(raw);
  EXPECT_EQ(file.find("a")->data, file.find("b")->data);
  EXPECT_THAT(file.find("c")->dims, ElementsAre(16));
  EXPECT_EQ(file.data_bytes(), 96 + 32u); // c overlaps half of a
}

struct Damaged {
  const char* name;
  std::function<void(GgufBytes&)> make;
  const char* message;
};

constexpr std::uint64_t k_huge = std::uint64_t{1} << 60;

Raw list_head(std::uint32_t type, std::uint64_t count) { return Raw().number(type).number(count); }

const std::vector<Damaged> k_damaged{
    {"version1", [](GgufBytes& b) { b.version = 1; }, "version 1"},
    {"version4", [](GgufBytes& b) { b.version = 4; }, "version 4"},
    {"big_endian", [](GgufBytes& b) { b.version = 0x03000000; }, "big-endian"},
    {"huge_key_count", [](GgufBytes& b) { b.extra_keys = k_huge; }, "metadata keys"},
    {"huge_tensor_count", [](GgufBytes& b) { b.extra_tensors = k_huge; }, "tensors"},
    {"missing_keys",
     [](GgufBytes& b) {
       b.extra_keys = 2;
       b.data_bytes = 0;
     },
     "metadata keys"},
    {"huge_string", [](GgufBytes& b) { b.key("k", STRING, k_huge); }, "bytes long"},
    {"largest_string", [](GgufBytes& b) { b.key("k", STRING, ~std::uint64_t{0}); }, "bytes long"},
    {"huge_strings", [](GgufBytes& b) { b.key("k", ARRAY, list_head(STRING, k_huge)); }, "elements"},
    {"huge_numbers", [](GgufBytes& b) { b.key("k", ARRAY, list_head(F64, k_huge)); }, "elements"},
    {"huge_arrays", [](GgufBytes& b) { b.key("k", ARRAY, list_head(ARRAY, k_huge)); }, "elements"},
    {"largest_array", [](GgufBytes& b) { b.key("k", ARRAY, list_head(U8, ~std::uint64_t{0})); }, "elements"},
    {"unknown_value", [](GgufBytes& b) { b.key("k", 13, std::uint64_t{0}); }, "unknown type 13"},
    {"unknown_element", [](GgufBytes& b) { b.key("k", ARRAY, list_head(99, 1)); }, "unknown type 99"},
    {"bad_boolean", [](GgufBytes& b) { b.key("k", BOOL, std::uint8_t{2}); }, "boolean"},
    {"deep_nesting",
     [](GgufBytes& b) {
       Raw value = list_head(ARRAY, 1);
       for (int i = 0; i < 40; ++i) value.text_only(list_head(ARRAY, 1).all());
       b.key("k", ARRAY, value);
     },
     "deeper"},
    {"mixed_nesting",
     [](GgufBytes& b) {
       Raw value = list_head(ARRAY, 2);
       value.text_only(list_head(U8, 1).number(std::uint8_t{1}).all());
       value.text_only(list_head(F32, 1).number(1.0f).all());
       b.key("k", ARRAY, value);
     },
     "mixes"},
    {"empty_key", [](GgufBytes& b) { b.key("", U8, std::uint8_t{0}); }, "key is empty"},
    {"long_key", [](GgufBytes& b) { b.key(std::string(70000, 'k'), U8, std::uint8_t{0}); }, "70000 bytes long"},
    {"same_key", [](GgufBytes& b) { b.key("k", U8, std::uint8_t{0}).key("k", U8, std::uint8_t{0}); }, "occurs twice"},
    {"alignment_0", [](GgufBytes& b) { b.key("general.alignment", U32, 0u); }, "power of two"},
    {"alignment_24", [](GgufBytes& b) { b.key("general.alignment", U32, 24u); }, "power of two"},
    {"alignment_huge", [](GgufBytes& b) { b.key("general.alignment", U32, 1u << 31); }, "power of two"},
    {"alignment_text", [](GgufBytes& b) { b.text("general.alignment", "32"); }, "power of two"},
    {"split", [](GgufBytes& b) { b.key("split.count", U16, std::uint16_t{3}); }, "one of 3 shards"},
    {"no_rank", [](GgufBytes& b) { b.tensor("t", {}); }, "0 dimensions"},
    {"high_rank",
     [](GgufBytes& b) {
       b.tensor("t", {1, 1, 1, 1, 1});
     },
     "5 dimensions"},
    {"zero_dimension",
     [](GgufBytes& b) {
       b.tensor("t", {4, 0});
     },
     "dimension of 0"},
    {"product_overflow",
     [](GgufBytes& b) {
       b.tensor("t", {k_huge, 16, 2});
     },
     "multiply"},
    {"product_wraps_to_small",
     [](GgufBytes& b) {
       b.tensor("t", {k_huge, 16});
     },
     "multiply"},
    {"bytes_overflow", [](GgufBytes& b) { b.tensor("t", {std::uint64_t{1} << 62}); }, "larger than 2^64"},
    {"ragged_blocks", [](GgufBytes& b) { b.tensor("t", {33}, 8); }, "not a multiple of the 32"},
    {"misaligned", [](GgufBytes& b) { b.tensor("t", {4}, 0, 16); }, "alignment 32"},
    {"beyond_end", [](GgufBytes& b) { b.tensor("t", {65}, 0, 0); }, "reaches beyond"},
    {"offset_beyond_end", [](GgufBytes& b) { b.tensor("t", {1}, 0, 1u << 20); }, "reaches beyond"},
    {"offset_wraps", [](GgufBytes& b) { b.tensor("t", {16}, 0, ~std::uint64_t{0} - 31); }, "reaches beyond"},
    {"same_tensor", [](GgufBytes& b) { b.tensor("t", {1}).tensor("t", {1}); }, "\"t\" occurs twice"},
    {"empty_tensor_name", [](GgufBytes& b) { b.tensor("", {1}); }, "name is empty"},
    {"iq3_xxs", [](GgufBytes& b) { b.tensor("w", {256}, 18); }, "\"w\" has the type iq3_xxs (18)"},
    {"removed_type", [](GgufBytes& b) { b.tensor("w", {256}, 31); }, "ggml has removed (31)"},
    {"private_type", [](GgufBytes& b) { b.tensor("w", {256}, 139); }, "an ik_llama.cpp private type (139)"},
    {"unknown_type", [](GgufBytes& b) { b.tensor("w", {256}, 77); }, "an unknown type (77)"},
    {"odd_name", [](GgufBytes& b) { b.tensor("a\n\x1b[31m", {0}); }, R"("a\x0a\x1b[31m")"},
};

class DamagedGguf : public testing::TestWithParam<Damaged> {};

TEST_P(DamagedGguf, IsRefusedInOneSentence) {
  GgufBytes bytes;
  GetParam().make(bytes);
  const std::string raw = bytes.build();
  const std::string error = error_of([&] { parse(raw); });
  EXPECT_THAT(error, testing::StartsWith("test.gguf: "));
  EXPECT_THAT(error, HasSubstr(GetParam().message));
  EXPECT_THAT(error, HasSubstr("; ")) << "a mend is due";
}

INSTANTIATE_TEST_SUITE_P(All, DamagedGguf, testing::ValuesIn(k_damaged),
                         [](const auto& test) { return test.param.name; });

TEST(Gguf, RefusesOtherFiles) {
  EXPECT_THAT(error_of([] { GgufFile::open("/nowhere/model.gguf"); }),
              HasSubstr("/nowhere/model.gguf: there is no such"));
  EXPECT_THAT(error_of([] { GgufFile::open(testing::TempDir()); }), HasSubstr("is a directory"));
  EXPECT_THAT(error_of([] { GgufFile::open("/dev/null"); }), HasSubstr("not a regular file"));
  const TemporaryFile empty;
  std::ofstream(empty.path()).close();
  EXPECT_THAT(error_of([&] { GgufFile::open(empty.path()); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([] { parse(""); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([] { parse("GG"); }), HasSubstr("not a GGUF file"));
  EXPECT_THAT(error_of([] { parse("GGUF"); }), HasSubstr("ends inside the header"));
  EXPECT_THAT(error_of([] { parse("FUGG"); }), HasSubstr("big-endian"));
  EXPECT_THAT(error_of([] { parse("PK\x03\x04 an archive of something"); }), HasSubstr(R"("PK\x03\x04")"));
  EXPECT_THAT(error_of([] { parse("version https://git-lfs.github.com/spec/v1\n"); }), HasSubstr("git lfs pull"));
  const std::string safetensors = Raw().number(std::uint64_t{2}).text_only("{}").all();
  EXPECT_THAT(error_of([&] { parse(safetensors); }), HasSubstr("safetensors"));
  EXPECT_THAT(error_of([] { GgufFile::open(SEACLIFF_SOURCE_DIR "/models/nano/model-00001-of-00002.safetensors"); }),
              HasSubstr("safetensors"));
}

TEST(Gguf, WriterRefusesMisuse) {
  const TemporaryFile file;
  const std::vector<std::byte> bytes(64);
  {
    GgufWriter w(file.path());
    w.put_u32("k", 1);
    EXPECT_THAT(error_of([&] { w.put_bool("k", true); }), HasSubstr("written twice"));
    EXPECT_THAT(error_of([&] { w.put_u32("general.alignment", 32); }), HasSubstr("written twice"));
    EXPECT_THAT(error_of([&] { w.put_u32("", 1); }), HasSubstr("0 bytes long"));
    w.declare("t", DType::f32, Ints{8});
    EXPECT_THAT(error_of([&] { w.declare("t", DType::f32, Ints{8}); }), HasSubstr("declared twice"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::f32, Ints{0}); }), HasSubstr("dimension of 0"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::f32, Ints{}); }), HasSubstr("0 dimensions"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::f32, Ints{1, 1, 1, 1, 1}); }), HasSubstr("5 dimensions"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::f32, Ints{1l << 40, 1l << 40}); }), HasSubstr("too large"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::q4_k, Ints{4, 128}); }), HasSubstr("not a multiple of the 256"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::f32, Ints{8}, "s"); }), HasSubstr("not declared"));
    EXPECT_THAT(error_of([&] { w.declare("u", DType::f32, Ints{9}, "t"); }), HasSubstr("another size"));
    EXPECT_THAT(error_of([&] { w.write(bytes); }), HasSubstr("has 32 bytes, 64 are written"));
    w.write(std::span(bytes).first(31));
    EXPECT_THAT(error_of([&] { w.finish(); }), HasSubstr("31 were written"));
    EXPECT_THAT(error_of([&] { w.put_u32("late", 1); }), HasSubstr("after tensor data"));
    EXPECT_THAT(error_of([&] { w.declare("late", DType::f32, Ints{8}); }), HasSubstr("after tensor data"));
    w.write(std::span(bytes).first(1));
    EXPECT_THAT(error_of([&] { w.write(std::span(bytes).first(1)); }), HasSubstr("more bytes"));
    EXPECT_TRUE(std::filesystem::exists(file.path().string() + ".part"));
  }
  EXPECT_FALSE(std::filesystem::exists(file.path().string() + ".part")) << "unfinished files are removed";
  EXPECT_FALSE(std::filesystem::exists(file.path()));
  EXPECT_THAT(error_of([&] { GgufWriter(file.path(), 48); }), HasSubstr("alignment 48"));
  EXPECT_THAT(error_of([] { GgufWriter("/nowhere/file.gguf"); }), HasSubstr("cannot be created"));
  EXPECT_THAT(error_of([] { GgufWriter writer(testing::TempDir()); }), HasSubstr("is a directory"));
}

TEST(Gguf, WriterReplacesOnlyWhenFinished) {
  const TemporaryFile file("old contents");
  {
    GgufWriter writer(file.path());
    writer.put_u32("k", 1);
  }
  EXPECT_EQ(file.contents(), "old contents");
  GgufWriter writer(file.path());
  writer.finish();
  EXPECT_THAT(error_of([&] { writer.finish(); }), HasSubstr("finished already"));
  EXPECT_TRUE(GgufFile::open(file.path()).tensors().empty());
}

/// Touches everything that a reader of an accepted file may touch. The bytes lie in an allocation of exactly their
/// size, so that the address sanitizer sees any step outside.
bool accepted(std::string_view contents) {
  const std::vector<char> exact(contents.begin(), contents.end());
  try {
    const GgufFile file = GgufFile::parse(std::as_bytes(std::span(exact)), "mutant");
    std::uint64_t sum = 0;
    for (const GgufTensor& tensor : file.tensors())
      for (std::uint64_t i = 0; i < tensor.bytes; ++i) sum += static_cast<std::uint64_t>(tensor.data[i]);
    const HParams hp = hparams_from_gguf(file);
    const TensorDirectory directory(file, hp);
    return sum != 0 && directory.size() == expected_tensors(hp).size();
  } catch (const Error& error) {
    EXPECT_FALSE(error.status().message.empty());
    return false;
  }
}

std::string small_model() {
  const TemporaryFile file;
  write_model(file.path(), small_hparams());
  return file.contents();
}

TEST(Gguf, SurvivesTruncation) {
  const std::string whole = small_model();
  ASSERT_TRUE(accepted(whole));
  std::mt19937 random(1);
  const std::size_t header = GgufFile::parse(as_bytes(whole), "whole").tensors()[0].offset;
  for (int i = 0; i < 200; ++i) { // half of them inside the header
    const std::size_t length = random() % (i % 2 == 0 ? whole.size() - 64 : header);
    EXPECT_FALSE(accepted(std::string_view(whole).substr(0, length))) << "cut to " << length;
  }
}

TEST(Gguf, SurvivesMutation) {
  const std::string whole = small_model();
  const std::size_t header = GgufFile::parse(as_bytes(whole), "whole").tensors()[0].offset;
  std::mt19937 random(2);
  constexpr std::uint64_t k_tricky[] = {0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, k_huge, ~std::uint64_t{0}};
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string mutant = whole;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % header;
      if (i % 3 == 0)
        std::memcpy(mutant.data() + at, &k_tricky[random() % std::size(k_tricky)],
                    std::min<std::size_t>(8, header - at));
      else if (i % 3 == 1)
        mutant[at] = static_cast<char>(random());
      else
        mutant[at] = static_cast<char>(mutant[at] ^ (1 << random() % 8));
    }
    refused += accepted(mutant) ? 0 : 1;
  }
  EXPECT_GT(refused, 1000) << "the mutations should hit something";
}

TEST(MappedFile, AdviceChangesNoBytes) {
  std::string contents(100000, '\0');
  for (std::size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i * 31 % 251);
  const TemporaryFile file(contents);
  MappedFile first = MappedFile::open(file.path());
  const std::byte* address = first.bytes().data();
  MappedFile mapped = std::move(first);
  EXPECT_EQ(mapped.bytes().data(), address);
  EXPECT_TRUE(first.bytes().empty()); // NOLINT(bugprone-use-after-move)
  mapped.advise_random();
  mapped.advise_willneed(5000, 60000);
  mapped.drop(4097, 50000);
  mapped.drop(0, ~std::uint64_t{0});
  mapped.drop(~std::uint64_t{0}, 5);
  mapped.advise_willneed(99999, ~std::uint64_t{0});
  mapped.advise_large_pages();
  ASSERT_EQ(mapped.bytes().size(), contents.size());
  EXPECT_EQ(std::memcmp(mapped.bytes().data(), contents.data(), contents.size()), 0);
  const MappedFile::Residence pages = mapped.residence();
  EXPECT_GT(pages.in_memory, 0) << "it has just been read";
  EXPECT_LE(pages.large, 1);
}

TEST(MappedFile, CopyKeepsBytesAndAddress) {
  std::string contents((std::size_t{5} << 20) + 12345, '\0');
  for (std::size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i * 31 % 251);
  const TemporaryFile file(contents);
  MappedFile mapped = MappedFile::open(file.path());
  const std::byte* address = mapped.bytes().data();
  mapped.copy_into_memory();
  mapped.copy_into_memory(); // once is enough
  mapped.drop(0, contents.size());
  mapped.advise_large_pages();
  const MappedFile moved = std::move(mapped);
  ASSERT_EQ(moved.bytes().data(), address);
  ASSERT_EQ(moved.bytes().size(), contents.size());
  EXPECT_EQ(std::memcmp(address, contents.data(), contents.size()), 0);
  EXPECT_EQ(moved.residence().in_memory, 1);
}

TEST(MappedFile, CopyOfAShrunkFileIsRefused) {
  const TemporaryFile file(std::string(100000, 'x'));
  MappedFile mapped = MappedFile::open(file.path());
  std::filesystem::resize_file(file.path(), 5000);
  EXPECT_THROW(mapped.copy_into_memory(), Error);
  EXPECT_EQ(mapped.bytes()[4999], std::byte{'x'});
}

TEST(MappedFile, GgufExposesItsMapping) {
  const TemporaryFile file;
  write_model(file.path(), small_hparams());
  const GgufFile read = GgufFile::open(file.path());
  ASSERT_TRUE(read.mapping());
  EXPECT_EQ(read.mapping()->bytes().size(), read.file_bytes());
  const std::string raw = file.contents();
  EXPECT_EQ(parse(raw).mapping(), nullptr);
}

} // namespace
} // namespace seacliff
