// One safetensors file: a checked, memory-mapped reader. Source: the safetensors format documentation (u64 header
// length, JSON header, tensor bytes without holes).
#pragma once

#include "core/base/status.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

/// Element types that tensors of a safetensors file may have.
enum class SafeType : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  u16,
  i16,
  f16,
  bf16,
  u32,
  i32,
  f32,
  u64,
  i64,
  f64
};
std::string_view safe_type_name(SafeType type); // as in the header: "BF16"
std::uint64_t safe_type_bytes(SafeType type);   // of one element

/// `bytes` points into the mapping, at any alignment, and lives as long as the SafetensorsFile.
struct SafeTensor {
  std::string name;
  SafeType type = SafeType::f32;
  std::vector<std::int64_t> dims; // row-major, outermost first
  std::span<const std::byte> bytes;
};

/// Read-only view of a file. Every length, shape and offset has been checked: the tensors cover the data section
/// without overlap, and the bytes of each are as many as its shape says.
class SafetensorsFile {
public:
  /// Throws Error(not_found | permission_denied | data_loss) that names the file and the tensor at fault.
  static SafetensorsFile open(const std::filesystem::path& path);
  /// The same checks on bytes in memory, which the caller keeps alive.
  static SafetensorsFile parse(std::span<const std::byte> bytes, std::string name);

  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile();

  const std::string& name() const;             // path or the name given
  std::span<const SafeTensor> tensors() const; // in the order of their bytes
  const SafeTensor* find(std::string_view tensor) const;

private:
  struct Impl;
  explicit SafetensorsFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
