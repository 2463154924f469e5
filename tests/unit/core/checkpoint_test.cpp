// Reading safetensors and checkpoint directories, sound and damaged. To add a damaged header: a line in
// `k_damaged_headers`.
#include "core/model/checkpoint.hpp"
#include "tests/unit/core/temporary.hpp"

#include <seacliff/sdk/blocks.hpp>
#include <seacliff/sdk/numeric.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace seacliff {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::HasSubstr;

std::string file_text(std::string_view header, std::string_view data) {
  const std::uint64_t length = header.size();
  std::string text(reinterpret_cast<const char*>(&length), sizeof length);
  return text.append(header).append(data);
}

SafetensorsFile parse_header(const std::string& text) {
  return SafetensorsFile::parse(std::as_bytes(std::span(text)), "test.safetensors");
}

TEST(Safetensors, FindsTensorsWhereverTheyLie) {
  const std::string text = file_text(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I8","shape":[3],"data_offsets":[8,11]},)"
      R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"none":{"dtype":"U8","shape":[0,7],"data_offsets":[8,8]}})",
      "12345678xyz");
  const SafetensorsFile file = parse_header(text);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors().front().name, "a");
  const SafeTensor* b = file.find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, SafeType::i8);
  EXPECT_EQ(std::memcmp(b->bytes.data(), "xyz", 3), 0);
  EXPECT_EQ(file.find("a")->dims, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_EQ(file.find("__metadata__"), nullptr);
}

struct DamagedHeader {
  const char* header;
  const char* complaint;
};
const DamagedHeader k_damaged_headers[] = {
    {"", "not valid JSON"},
    {"[1,2]", "not a JSON object"},
    {R"({"a":)", "not valid JSON"},
    {"{\"\xff\":1}", "not valid JSON"},
    {R"({"a":[[[[[[1]]]]]]})", "nested too deeply"},
    {R"({"a":7})", "tensor \"a\": its entry is not an object"},
    {R"({"a":{"shape":[4],"data_offsets":[0,4]}})", "dtype is missing"},
    {R"({"a":{"dtype":"X9","shape":[4],"data_offsets":[0,4]}})", "unknown dtype \"X9\""},
    {R"({"a":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", "shape is missing or not an array"},
    {R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "not a list of sizes"},
    {R"({"a":{"dtype":"U8","shape":[4.5],"data_offsets":[0,4]}})", "not a list of sizes"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", "not a list of sizes"},
    {R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,4]}})", "not a list of sizes"},
    {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,4]}})", "9 dimensions"},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", "not a pair"},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "outside the file"},
    {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})", "outside the file"},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,18446744073709551615]}})", "outside the file"},
    {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}})", "4 bytes for a shape that needs 3"},
    {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
     "tensor \"b\" overlaps"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
     "unused bytes before tensor \"b\""},
    {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "its tensors cover 3"},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
     "tensor \"a\" appears twice"},
};

TEST(Safetensors, NamesWhatIsWrong) {
  for (const DamagedHeader& damaged : k_damaged_headers)
    EXPECT_THAT(error_of([&] { parse_header(file_text(damaged.header, "data")); }),
                testing::AllOf(HasSubstr("test.safetensors"), HasSubstr(damaged.complaint)))
        << damaged.header;
}

TEST(Safetensors, DistrustsTheHeaderLength) {
  EXPECT_THAT(error_of([] { parse_header("short"); }), HasSubstr("too short"));
  for (const std::uint64_t length :
       {std::uint64_t{9}, std::uint64_t{100'000'000}, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    std::string text = file_text("{}", "");
    std::memcpy(text.data(), &length, sizeof length);
    EXPECT_THAT(error_of([&] { parse_header(text); }), HasSubstr("the header claims"));
  }
}

TEST(Safetensors, SurvivesEveryMutationOfAHeader) {
  const std::string sound = file_text(
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"BF16","shape":[1,1],"data_offsets":[2,4]}})",
      "data");
  std::mt19937 generator(5);
  for (int i = 0; i < 20000; ++i) {
    std::string text = sound;
    text[generator() % text.size()] = static_cast<char>(generator() & 255);
    if (i % 2 == 0) text.resize(generator() % text.size());
    try {
      const SafetensorsFile file = parse_header(text);
      for (const SafeTensor& tensor : file.tensors())
        ASSERT_LE(tensor.bytes.data() + tensor.bytes.size(), std::as_bytes(std::span(text)).data() + text.size());
    } catch (const Error&) {
    }
  }
}

// ------------------------------------------------------------------------------------------------- directories

class Directory : public testing::Test {
protected:
  void SetUp() override {
    static int count = 0;
    dir = fs::path(testing::TempDir()) / fmt::format("seacliff-checkpoint-{}-{}", ::getpid(), ++count);
    fs::create_directories(dir);
    write("config.json", "{}");
  }
  void TearDown() override { fs::remove_all(dir); }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(dir / name, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
  }
  fs::path dir;
};

TEST_F(Directory, SaysWhatIsMissing) {
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir / "nowhere"); }), HasSubstr("is not a directory"));
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("holds no safetensors files"));
  fs::remove(dir / "config.json");
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("not a checkpoint directory"));
}

TEST_F(Directory, ChecksTheIndex) {
  const std::string index = "model.safetensors.index.json";
  write(index, "{");
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("not a JSON object"));
  write(index, R"({"weight_map":{}})");
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("no weight_map"));
  for (const char* path : {"../x.safetensors", "/etc/passwd", "..", ""}) {
    write(index, fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", path));
    EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("not a plain file name"));
  }
  write(index, R"({"weight_map":{"a":"one.safetensors"}})");
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("shard one.safetensors is missing"));
  write("one.safetensors", file_text("{}", ""));
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("does not hold tensor \"a\""));
}

TEST_F(Directory, RefusesATensorInTwoShards) {
  const std::string text = file_text(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "data");
  write("one.safetensors", text);
  write("two.safetensors", text);
  EXPECT_THAT(error_of([&] { Checkpoint::open(dir); }), HasSubstr("\"a\" is in another shard, too"));
}

TEST_F(Directory, ChecksScales) {
  const auto complaint = [&](std::string_view header, std::size_t bytes) {
    write("one.safetensors", file_text(header, std::string(bytes, '\0')));
    return error_of([&] { Checkpoint::open(dir); });
  };
  EXPECT_THAT(complaint(R"({"x.weight":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]}})", 4),
              HasSubstr("\"x.weight\": F8_E4M3 without its .scale"));
  EXPECT_THAT(complaint(R"({"x.weight":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]},)"
                        R"("x.scale":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}})",
                        8),
              HasSubstr("its .scale is F32"));
  EXPECT_THAT(complaint(R"({"x.weight":{"dtype":"F8_E4M3","shape":[2,129],"data_offsets":[0,258]},)"
                        R"("x.scale":{"dtype":"F8_E8M0","shape":[1,1],"data_offsets":[258,259]}})",
                        259),
              HasSubstr("shape [1, 1], not [1, 2]"));
  EXPECT_THAT(complaint(R"({"x.weight":{"dtype":"I8","shape":[1,24],"data_offsets":[0,24]},)"
                        R"("x.scale":{"dtype":"F8_E8M0","shape":[1,1],"data_offsets":[24,25]}})",
                        25),
              HasSubstr("48 FP4 elements, not a multiple of 32"));
}

TEST_F(Directory, DecodesEveryStorage) {
  // 130 x 130 in FP8: four blocks, of which three are cut; the weights come first, their scales last.
  std::string data;
  std::mt19937 generator(2);
  for (int i = 0; i < 130 * 130; ++i) data += static_cast<char>(generator() % 127);
  data += "\x7f\x80\x81\x82";                                                    // 1, 2, 4, 8
  for (int i = 0; i < 2 * 32; ++i) data += static_cast<char>(generator() & 255); // FP4, 2 rows of 64
  data += "\x7f\x7e\x80\x01";
  const std::int64_t table[3] = {5, -7, 2};
  data.append(reinterpret_cast<const char*>(table), sizeof table);
  write("m.safetensors", file_text(R"({"p.weight":{"dtype":"F8_E4M3","shape":[130,130],"data_offsets":[0,16900]},)"
                                   R"("p.scale":{"dtype":"F8_E8M0","shape":[2,2],"data_offsets":[16900,16904]},)"
                                   R"("q.weight":{"dtype":"I8","shape":[2,32],"data_offsets":[16904,16968]},)"
                                   R"("q.scale":{"dtype":"F8_E8M0","shape":[2,2],"data_offsets":[16968,16972]},)"
                                   R"("t":{"dtype":"I64","shape":[1,3],"data_offsets":[16972,16996]}})",
                                   data));
  const Checkpoint checkpoint = Checkpoint::open(dir);
  EXPECT_EQ(checkpoint.tensors().size(), 3u);
  const auto* raw = reinterpret_cast<const std::uint8_t*>(data.data());

  std::vector<float> rows(4 * 130);
  checkpoint.read_rows("p.weight", 126, 130, rows);
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 130; ++c) {
      const float scale = (r + 126 < 128 ? 1.0f : 4.0f) * (c < 128 ? 1.0f : 2.0f);
      ASSERT_EQ(rows[static_cast<std::size_t>(r * 130 + c)], numeric::e4m3_to_f32(raw[(r + 126) * 130 + c]) * scale);
    }

  const CheckpointTensor& q = checkpoint.get("q.weight");
  EXPECT_EQ(q.storage, CheckpointStorage::fp4);
  EXPECT_EQ(q.dims, (std::vector<std::int64_t>{2, 64}));
  std::vector<float> fp4(64);
  checkpoint.read_rows("q.weight", 1, 2, fp4);
  for (int c = 0; c < 64; ++c) {
    const unsigned pair = raw[16904 + 32 + c / 2];
    const float value = numeric::e2m1_to_f32(static_cast<std::uint8_t>(c % 2 == 0 ? pair & 15 : pair >> 4));
    ASSERT_EQ(fp4[static_cast<std::size_t>(c)], std::ldexp(value, c < 32 ? 1 : -126));
  }
  std::vector<std::byte> packed(2 * sizeof(blocks::MXFP4));
  checkpoint.read_mxfp4("q.weight", 1, 2, packed);
  for (int c = 0; c < 64; ++c) {
    blocks::MXFP4 block;
    std::memcpy(&block, packed.data() + c / 32 * sizeof block, sizeof block);
    const unsigned code = c % 32 < 16 ? block.q[c % 32] & 15 : block.q[c % 32 - 16] >> 4;
    ASSERT_EQ(blocks::mxfp4_half_scale(block.e) * blocks::mxfp4_codes[code], fp4[static_cast<std::size_t>(c)]);
  }

  std::vector<std::int32_t> ints(3), many(64);
  checkpoint.read_ints("t", 0, 1, ints);
  EXPECT_THAT(ints, testing::ElementsAre(5, -7, 2));
  EXPECT_THAT(error_of([&] { checkpoint.read_rows("t", 0, 1, std::span(fp4).first(3)); }), HasSubstr("I64"));
  EXPECT_THAT(error_of([&] { checkpoint.read_ints("q.weight", 0, 1, many); }), HasSubstr("not integers"));
  EXPECT_THAT(error_of([&] { checkpoint.read_rows("q.weight", 1, 3, rows); }), HasSubstr("rows 1 to 3"));
  EXPECT_THAT(error_of([&] { checkpoint.read_rows("q.weight", -1, 0, fp4); }), HasSubstr("rows -1 to 0"));
  EXPECT_THAT(error_of([&] { checkpoint.read_rows("q.weight", 0, 2, fp4); }), HasSubstr("64 elements"));
  EXPECT_THAT(error_of([&] { checkpoint.read_mxfp4("p.weight", 0, 1, packed); }), HasSubstr("not FP4"));
  EXPECT_THAT(error_of([&] { checkpoint.get("nothing"); }), HasSubstr("no tensor \"nothing\""));
}

TEST_F(Directory, RefusesValuesThatDoNotFit) {
  const std::int64_t wide = std::int64_t{1} << 31;
  std::string data(reinterpret_cast<const char*>(&wide), sizeof wide);
  data += std::string(16, '\x11') + "\xff";
  write("m.safetensors", file_text(R"({"t":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                                   R"("q.weight":{"dtype":"I8","shape":[1,16],"data_offsets":[8,24]},)"
                                   R"("q.scale":{"dtype":"F8_E8M0","shape":[1,1],"data_offsets":[24,25]}})",
                                   data));
  const Checkpoint checkpoint = Checkpoint::open(dir);
  std::vector<std::int32_t> ints(1);
  std::vector<std::byte> packed(sizeof(blocks::MXFP4));
  EXPECT_THAT(error_of([&] { checkpoint.read_ints("t", 0, 1, ints); }),
              HasSubstr("holds 2147483648, which does not fit 32 bits"));
  EXPECT_THAT(error_of([&] { checkpoint.read_mxfp4("q.weight", 0, 1, packed); }),
              HasSubstr("the scale of row 0 is not a number"));
  std::vector<float> row(32);
  checkpoint.read_rows("q.weight", 0, 1, row);
  EXPECT_TRUE(std::isnan(row[0]));
}

} // namespace
} // namespace seacliff
