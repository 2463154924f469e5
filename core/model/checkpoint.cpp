#include "core/model/checkpoint.hpp"

#include "core/model/gguf_format.hpp"

#include <seacliff/sdk/blocks.hpp>
#include <seacliff/sdk/numeric.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <system_error>

namespace seacliff {
namespace {

namespace fs = std::filesystem;
using gguf::quote;

constexpr std::int64_t k_fp8_block = 128; // both ways
constexpr std::int64_t k_fp4_block = 32;  // along a row
constexpr std::string_view k_scale_suffix = ".scale", k_weight_suffix = ".weight";

std::int64_t blocks_of(std::int64_t n, std::int64_t block) { return n / block + (n % block != 0 ? 1 : 0); }

std::string shape_text(std::span<const std::int64_t> dims) { return fmt::format("[{}]", fmt::join(dims, ", ")); }

bool is_plain_name(const std::string& name) {
  return !name.empty() && fs::path(name).filename() == name && name != "..";
}

/// Shards in order of name: from the index where there is one, else every *.safetensors.
struct Shards {
  std::set<std::string> files;
  std::map<std::string, std::string> weight_map; // tensor -> file; empty without an index
};

Shards shards_from_index(const fs::path& index) {
  const auto fail = [&](std::string_view what) {
    throw Error(Code::data_loss, fmt::format("{}: {}", index.string(), what), "fetch the file again");
  };
  std::ifstream stream(index, std::ios::binary);
  if (!stream) throw Error(Code::permission_denied, fmt::format("{} cannot be read", index.string()));
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  if (json.is_discarded() || !json.is_object()) fail("not a JSON object");
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) fail("no weight_map");
  Shards shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get<std::string>()))
      fail(fmt::format("the file of tensor {} is not a plain file name", quote(tensor)));
    shards.files.insert(file.get<std::string>());
    shards.weight_map.emplace(tensor, file.get<std::string>());
  }
  return shards;
}

Shards find_shards(const fs::path& dir) {
  const fs::path index = dir / "model.safetensors.index.json";
  if (fs::exists(index)) return shards_from_index(index);
  Shards shards;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.path().extension() == ".safetensors") shards.files.insert(entry.path().filename().string());
  if (shards.files.empty())
    throw Error(Code::not_found, fmt::format("{} holds no safetensors files", dir.string()),
                "give the directory of an official checkpoint: config.json, tokenizer.json, *.safetensors");
  return shards;
}

template <class T> T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr std::array<float, 256> k_e4m3 = [] {
  std::array<float, 256> values{};
  for (unsigned i = 0; i < values.size(); ++i) values[i] = numeric::e4m3_to_f32(static_cast<std::uint8_t>(i));
  return values;
}();

void read_plain(SafeType type, const std::byte* in, std::span<float> out) {
  switch (type) {
  case SafeType::f32: std::memcpy(out.data(), in, out.size_bytes()); return;
  case SafeType::f16:
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = numeric::f16_to_f32(load<std::uint16_t>(in + 2 * i));
    return;
  default:
    assert(type == SafeType::bf16);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = numeric::bf16_to_f32(load<std::uint16_t>(in + 2 * i));
  }
}

void read_fp8(const std::byte* in, const std::byte* scales, std::span<float> row) {
  for (std::size_t block = 0; block * k_fp8_block < row.size(); ++block) {
    const float scale = numeric::e8m0_to_f32(std::to_integer<std::uint8_t>(scales[block]));
    const std::size_t begin = block * k_fp8_block, end = std::min<std::size_t>(begin + k_fp8_block, row.size());
    for (std::size_t i = begin; i < end; ++i) row[i] = k_e4m3[std::to_integer<std::uint8_t>(in[i])] * scale;
  }
}

void read_fp4(const std::byte* in, const std::byte* scales, std::span<float> row) {
  for (std::size_t i = 0; i < row.size(); i += 2) {
    const float scale = numeric::e8m0_to_f32(std::to_integer<std::uint8_t>(scales[i / k_fp4_block]));
    const auto pair = std::to_integer<std::uint8_t>(in[i / 2]);
    row[i] = numeric::e2m1_to_f32(pair & 15) * scale;
    row[i + 1] = numeric::e2m1_to_f32(pair >> 4) * scale;
  }
}

/// Neighbours share a byte in the checkpoint; in MXFP4 elements 16 apart do.
void repack_fp4(const std::byte* in, std::byte scale, std::byte* out) {
  const auto code = [&](int i) {
    return static_cast<unsigned>(std::to_integer<std::uint8_t>(in[i / 2]) >> 4 * (i % 2) & 15);
  };
  blocks::MXFP4 block;
  block.e = std::to_integer<std::uint8_t>(scale);
  for (int i = 0; i < 16; ++i) block.q[i] = static_cast<std::uint8_t>(code(i) | code(i + 16) << 4);
  std::memcpy(out, &block, sizeof block);
}

/// The tensor as its values are; the companion's shape is checked here.
CheckpointTensor describe(const SafetensorsFile& file, const SafeTensor& tensor, const SafeTensor* scale) {
  CheckpointTensor out;
  out.data = &tensor;
  out.dims = tensor.dims;
  switch (tensor.type) {
  case SafeType::f32:
  case SafeType::f16:
  case SafeType::bf16: out.storage = CheckpointStorage::plain; return out;
  case SafeType::i64:
  case SafeType::i32: out.storage = CheckpointStorage::integer; return out;
  case SafeType::f8_e4m3:
  case SafeType::i8: break;
  default: return out;
  }
  const auto complain = [&](std::string what) {
    throw Error(Code::data_loss, fmt::format("{}: tensor {}: {}", file.name(), quote(tensor.name), what),
                "the checkpoint is not in the format of the released ones");
  };
  if (scale == nullptr) complain(fmt::format("{} without its .scale", safe_type_name(tensor.type)));
  if (scale->type != SafeType::f8_e8m0)
    complain(fmt::format("its .scale is {}, not F8_E8M0", safe_type_name(scale->type)));
  if (tensor.dims.size() != 2) complain(fmt::format("shape {}, not a matrix", shape_text(tensor.dims)));
  std::vector<std::int64_t> wanted;
  if (tensor.type == SafeType::f8_e4m3) {
    out.storage = CheckpointStorage::fp8;
    wanted = {blocks_of(out.dims[0], k_fp8_block), blocks_of(out.dims[1], k_fp8_block)};
  } else {
    out.storage = CheckpointStorage::fp4;
    if (out.dims[1] % (k_fp4_block / 2) != 0)
      complain(fmt::format("rows of {} FP4 elements, not a multiple of {}", 2 * out.dims[1], k_fp4_block));
    out.dims[1] *= 2;
    wanted = {out.dims[0], out.dims[1] / k_fp4_block};
  }
  if (scale->dims != wanted)
    complain(fmt::format("its .scale has shape {}, not {}", shape_text(scale->dims), shape_text(wanted)));
  out.scale = scale;
  return out;
}

} // namespace

std::int64_t CheckpointTensor::rows() const {
  std::int64_t n = 1;
  for (std::size_t i = 0; i + 1 < dims.size(); ++i) n *= dims[i];
  return n;
}

Checkpoint Checkpoint::open(const fs::path& dir) {
  std::error_code ignored;
  if (!fs::is_directory(dir, ignored))
    throw Error(Code::not_found, fmt::format("{} is not a directory", dir.string()),
                "give the directory of an official checkpoint: config.json, tokenizer.json, *.safetensors");
  if (!fs::exists(dir / "config.json", ignored))
    throw Error(Code::not_found, fmt::format("{} holds no config.json: not a checkpoint directory", dir.string()));
  const Shards shards = find_shards(dir);
  Checkpoint checkpoint;
  checkpoint.dir_ = dir;
  checkpoint.files_.reserve(shards.files.size());
  for (const std::string& name : shards.files) {
    if (!fs::exists(dir / name, ignored))
      throw Error(Code::not_found, fmt::format("shard {} is missing from {}", name, dir.string()),
                  "fetch the whole checkpoint");
    checkpoint.files_.push_back(SafetensorsFile::open(dir / name));
  }
  for (const auto& [tensor, name] : shards.weight_map) {
    const auto at = std::distance(shards.files.begin(), shards.files.find(name));
    if (checkpoint.files_[static_cast<std::size_t>(at)].find(tensor) == nullptr)
      throw Error(Code::data_loss, fmt::format("{} does not hold tensor {}, which the index places there",
                                               (dir / name).string(), quote(tensor)));
  }
  for (const SafetensorsFile& file : checkpoint.files_) checkpoint.add(file);
  return checkpoint;
}

void Checkpoint::add(const SafetensorsFile& file) {
  // A companion may lie in another shard than its weight.
  const auto find_anywhere = [&](const std::string& name) -> const SafeTensor* {
    for (const SafetensorsFile& candidate : files_)
      if (const SafeTensor* found = candidate.find(name)) return found;
    return nullptr;
  };
  for (const SafeTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (name.ends_with(k_scale_suffix)) {
      const std::string stem(name.substr(0, name.size() - k_scale_suffix.size()));
      if (find_anywhere(stem + std::string(k_weight_suffix)) != nullptr) continue;
    }
    const SafeTensor* scale = nullptr;
    if (name.ends_with(k_weight_suffix))
      scale = find_anywhere(std::string(name.substr(0, name.size() - k_weight_suffix.size())) +
                            std::string(k_scale_suffix));
    if (!tensors_.emplace(tensor.name, describe(file, tensor, scale)).second)
      throw Error(Code::data_loss, fmt::format("{}: tensor {} is in another shard, too", file.name(), quote(name)));
  }
}

const CheckpointTensor* Checkpoint::find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

const CheckpointTensor& Checkpoint::get(std::string_view name) const {
  if (const CheckpointTensor* found = find(name)) return *found;
  throw Error(Code::not_found, fmt::format("{} has no tensor {}", dir_.string(), quote(name)),
              "the checkpoint is incomplete or of another architecture");
}

const CheckpointTensor& Checkpoint::rows_of(std::string_view name, std::int64_t begin, std::int64_t end,
                                            std::size_t out_elems) const {
  const CheckpointTensor& tensor = get(name);
  if (begin < 0 || begin > end || end > tensor.rows())
    throw Error(Code::out_of_range,
                fmt::format("rows {} to {} of tensor {}, which has {}", begin, end, quote(name), tensor.rows()));
  const auto wanted = static_cast<std::uint64_t>(end - begin) * static_cast<std::uint64_t>(tensor.cols());
  if (wanted != out_elems)
    throw Error(Code::invalid_argument, fmt::format("tensor {}: {} elements for {} rows of {}", quote(name), out_elems,
                                                    end - begin, tensor.cols()));
  return tensor;
}

void Checkpoint::read_rows(std::string_view name, std::int64_t begin, std::int64_t end, std::span<float> out) const {
  const CheckpointTensor& tensor = rows_of(name, begin, end, out.size());
  const auto cols = static_cast<std::size_t>(tensor.cols());
  const std::byte* bytes = tensor.data->bytes.data();
  if (tensor.storage == CheckpointStorage::plain) {
    const std::size_t offset = static_cast<std::size_t>(begin) * cols * safe_type_bytes(tensor.data->type);
    return read_plain(tensor.data->type, bytes + offset, out);
  }
  if (tensor.scale == nullptr)
    throw Error(Code::unimplemented, fmt::format("tensor {} is {}, which cannot be read as numbers", quote(name),
                                                 safe_type_name(tensor.data->type)));
  const bool fp8 = tensor.storage == CheckpointStorage::fp8;
  const std::size_t row_bytes = fp8 ? cols : cols / 2;
  const auto scale_cols = static_cast<std::size_t>(tensor.scale->dims[1]);
  for (std::int64_t r = begin; r < end; ++r) {
    const auto row = static_cast<std::size_t>(r);
    const std::size_t scale_row = fp8 ? row / k_fp8_block : row;
    const std::byte* scales = tensor.scale->bytes.data() + scale_row * scale_cols;
    (fp8 ? read_fp8 : read_fp4)(bytes + row * row_bytes, scales,
                                out.subspan(static_cast<std::size_t>(r - begin) * cols, cols));
  }
}

void Checkpoint::read_ints(std::string_view name, std::int64_t begin, std::int64_t end,
                           std::span<std::int32_t> out) const {
  const CheckpointTensor& tensor = rows_of(name, begin, end, out.size());
  if (tensor.storage != CheckpointStorage::integer)
    throw Error(Code::invalid_argument,
                fmt::format("tensor {} is {}, not integers", quote(name), safe_type_name(tensor.data->type)));
  const auto first = static_cast<std::size_t>(begin) * static_cast<std::size_t>(tensor.cols());
  const std::byte* bytes = tensor.data->bytes.data();
  if (tensor.data->type == SafeType::i32) {
    std::memcpy(out.data(), bytes + first * sizeof(std::int32_t), out.size_bytes());
    return;
  }
  using Limits = std::numeric_limits<std::int32_t>;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto value = load<std::int64_t>(bytes + (first + i) * sizeof(std::int64_t));
    if (value < Limits::min() || value > Limits::max())
      throw Error(Code::out_of_range,
                  fmt::format("tensor {} holds {}, which does not fit 32 bits", quote(name), value));
    out[i] = static_cast<std::int32_t>(value);
  }
}

void Checkpoint::read_mxfp4(std::string_view name, std::int64_t begin, std::int64_t end,
                            std::span<std::byte> out) const {
  const CheckpointTensor& tensor = get(name);
  if (tensor.storage != CheckpointStorage::fp4)
    throw Error(Code::invalid_argument, fmt::format("tensor {} is not FP4", quote(name)));
  assert(out.size() % sizeof(blocks::MXFP4) == 0);
  rows_of(name, begin, end, out.size() / sizeof(blocks::MXFP4) * k_fp4_block);
  const auto per_row = static_cast<std::size_t>(tensor.scale->dims[1]);
  const std::size_t first = static_cast<std::size_t>(begin) * per_row;
  for (std::size_t b = 0; b < out.size() / sizeof(blocks::MXFP4); ++b) {
    const std::byte scale = tensor.scale->bytes[first + b];
    if (scale == std::byte{255})
      throw Error(Code::data_loss,
                  fmt::format("tensor {}: the scale of row {} is not a number", quote(name), (first + b) / per_row));
    repack_fp4(tensor.data->bytes.data() + (first + b) * (k_fp4_block / 2), scale,
               out.data() + b * sizeof(blocks::MXFP4));
  }
}

} // namespace seacliff
