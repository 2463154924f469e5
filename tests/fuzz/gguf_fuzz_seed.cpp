// Writes the seeds of gguf_fuzz into a directory: a complete small model, one of a single layer, and a file with every
// type of metadata value.
#include "tests/unit/core/gguf_bytes.hpp"
#include "tests/unit/core/small_model.hpp"

#include <cstdio>
#include <fstream>

namespace {

using namespace seacliff;
using namespace seacliff::test;

void write_values(const std::filesystem::path& path) {
  GgufBytes bytes;
  bytes.key("u8", U8, std::uint8_t{1}).key("i8", I8, std::int8_t{-1}).key("u16", U16, std::uint16_t{2});
  bytes.key("i16", I16, std::int16_t{-2}).key("u32", U32, 3u).key("i32", I32, -3).key("f32", F32, 0.5f);
  bytes.key("bool", BOOL, std::uint8_t{1}).text("string", "text").key("u64", U64, std::uint64_t{4});
  bytes.key("i64", I64, std::int64_t{-4}).key("f64", F64, 0.25);
  const Raw inner = Raw().number(std::uint32_t{U8}).number(std::uint64_t{2}).number(std::uint16_t{0x0201});
  const Raw nested =
      Raw().number(std::uint32_t{ARRAY}).number(std::uint64_t{2}).text_only(inner.all()).text_only(inner.all());
  bytes.key("nested", ARRAY, nested);
  bytes.key("general.alignment", U32, 32u);
  bytes.tensor("f16", {4, 2}, 1).tensor("q8_0", {32, 2}, 8, 32).tensor("same", {64}, 8, 32);
  std::ofstream(path, std::ios::binary) << bytes.build();
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gguf_fuzz_seed DIR\n");
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    write_model(folder / "model.gguf", small_hparams());
    HParams plain = small_hparams();
    plain.n_layers = 1;
    plain.ratios = {0};
    plain.clamp_exp = plain.clamp_shared = {10};
    write_model(folder / "plain.gguf", plain);
    write_values(folder / "values.gguf");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gguf_fuzz_seed: %s\n", error.what());
    return 1;
  }
  return 0;
}
