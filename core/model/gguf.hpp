// GGUF v3 files: a checked, memory-mapped reader and a streaming writer. Source: the GGUF container documentation.
#pragma once

#include "core/base/status.hpp"

#include <seacliff/sdk/dtype.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace seacliff {

class MappedFile;

/// A metadata value. Integers of every width arrive as int64/uint64, floats as double. Arrays of integers and booleans
/// arrive as int64 (larger values as the largest one), nested arrays flattened.
using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>>;

/// A tensor of the file. `data` points into the mapping and lives as long as the GgufFile.
struct GgufTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> dims; // row-major: outermost first (the reverse of GGUF's ne), trailing ones dropped
  std::uint64_t offset = 0;       // absolute, in the file
  std::uint64_t bytes = 0;
  const std::byte* data = nullptr;
};

/// Read-only view of a GGUF file. Every count, offset, type and size has been checked against the file: `data` +
/// `bytes` of every tensor lies inside the mapping.
class GgufFile {
public:
  /// Throws Error(not_found | data_loss | invalid_argument) that names the key, tensor or byte at fault, and the mend.
  static GgufFile open(const std::filesystem::path& path);
  /// The same checks on bytes in memory, which the caller keeps alive (fuzzing, tests).
  static GgufFile parse(std::span<const std::byte> bytes, std::string name);

  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  const std::string& name() const; // path or the name given
  std::uint64_t file_bytes() const;
  std::uint64_t data_bytes() const; // distinct bytes that tensors cover (aliased ranges count once)
  std::uint32_t version() const;    // of the container: 2 or 3
  std::uint64_t alignment() const;  // of tensor data, bytes
  /// The mapping, for advice about its pages; nullptr after `parse`. Owned by this file.
  const MappedFile* mapping() const;
  /// MappedFile::copy_into_memory, where there is a mapping; addresses stay.
  void copy_into_memory();

  const std::map<std::string, GgufValue, std::less<>>& metadata() const;
  bool has(std::string_view key) const;
  /// Numeric access at any stored width; nullopt when the key is missing, Error when it has another type.
  std::optional<std::int64_t> get_int(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  const std::string* get_string(std::string_view key) const;
  const std::vector<std::int64_t>* get_ints(std::string_view key) const;
  const std::vector<std::string>* get_strings(std::string_view key) const;
  /// A float array, or a scalar as an array of one.
  std::optional<std::vector<double>> get_floats(std::string_view key) const;

  std::span<const GgufTensor> tensors() const; // in file order
  const GgufTensor* find(std::string_view tensor) const;

private:
  struct Impl;
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Writes a GGUF v3 file: metadata first, then every tensor declared, then their bytes in the same order. The file is
/// written as `PATH.part` and renamed by `finish`; a writer destroyed before that removes the part.
class GgufWriter {
public:
  explicit GgufWriter(std::filesystem::path path, std::uint32_t alignment = 32);
  ~GgufWriter();
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  void put_u32(std::string_view key, std::uint32_t value);
  void put_f32(std::string_view key, float value);
  void put_bool(std::string_view key, bool value);
  void put_string(std::string_view key, std::string_view value);
  void put_u32s(std::string_view key, std::span<const std::uint32_t> values);
  void put_i32s(std::string_view key, std::span<const std::int32_t> values);
  void put_f32s(std::string_view key, std::span<const float> values);
  void put_strings(std::string_view key, std::span<const std::string> values);
  /// `dims` row-major, outermost first. With `same_data_as` the tensor shares the bytes of an earlier one.
  void declare(std::string_view tensor, DType dtype, std::span<const std::int64_t> dims,
               std::string_view same_data_as = {});
  /// Bytes of the next tensor that has bytes of its own, in any number of pieces.
  void write(std::span<const std::byte> bytes);
  /// Checks that everything declared was written, then renames. Throws Error otherwise.
  void finish();

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
