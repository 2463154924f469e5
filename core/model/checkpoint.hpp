// An official checkpoint directory: sharded safetensors with FP8 and FP4 weights, read as float32 rows. Sources: the
// released DeepSeek-V4 checkpoints, OCP 8-bit floating point, OCP MX v1.0.
#pragma once

#include "core/model/safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

/// How a tensor is stored.
enum class CheckpointStorage : std::uint8_t {
  plain,   // F32, F16, BF16
  fp8,     // F8_E4M3, with a companion `.scale` F8_E8M0 per 128x128 block
  fp4,     // I8, two E2M1 per byte (even column in the low nibble), with a companion `.scale` F8_E8M0 per 32 of a row
  integer, // I64, I32
  other    // kept, but cannot be read
};

struct CheckpointTensor {
  std::vector<std::int64_t> dims; // of the values, row-major: an FP4 row counts elements, not bytes
  CheckpointStorage storage = CheckpointStorage::other;
  const SafeTensor* data = nullptr;
  const SafeTensor* scale = nullptr; // fp8, fp4

  std::int64_t cols() const { return dims.empty() ? 1 : dims.back(); } // a vector is one row
  std::int64_t rows() const;
};

/// Every method but the move is const and may be called from many threads at once.
class Checkpoint {
public:
  /// `dir` holds config.json and either model.safetensors.index.json with its shards or *.safetensors. Throws Error
  /// that names the missing shard, or the tensor whose shape, dtype or scale is wrong.
  static Checkpoint open(const std::filesystem::path& dir);

  const std::filesystem::path& dir() const { return dir_; }
  /// All tensors by name; companions `.scale` are not listed.
  const std::map<std::string, CheckpointTensor, std::less<>>& tensors() const { return tensors_; }
  const CheckpointTensor* find(std::string_view name) const;
  /// Throws Error(not_found).
  const CheckpointTensor& get(std::string_view name) const;

  /// Exact values of rows [begin, end): `out` holds (end - begin) · cols elements. NaN codes stay NaN. Throws Error for
  /// a missing tensor, an integer one, or rows that do not exist.
  void read_rows(std::string_view name, std::int64_t begin, std::int64_t end, std::span<float> out) const;
  /// Rows of an integer tensor. Throws Error(out_of_range) naming a value that does not fit int32.
  void read_ints(std::string_view name, std::int64_t begin, std::int64_t end, std::span<std::int32_t> out) const;
  /// Rows of an FP4 tensor as MXFP4 blocks, without loss: 17 bytes per 32 elements. Throws Error for another storage
  /// and for a scale that is NaN.
  void read_mxfp4(std::string_view name, std::int64_t begin, std::int64_t end, std::span<std::byte> out) const;

private:
  void add(const SafetensorsFile& file);
  const CheckpointTensor& rows_of(std::string_view name, std::int64_t begin, std::int64_t end,
                                  std::size_t out_elems) const;

  std::filesystem::path dir_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, CheckpointTensor, std::less<>> tensors_;
};

} // namespace seacliff
