// What reader and writer of GGUF share. Source: the GGUF container documentation.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace seacliff::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF values are copied as they lie in the file");

inline constexpr std::string_view k_magic = "GGUF";
inline constexpr std::uint32_t k_version = 3;
inline constexpr std::uint32_t k_default_alignment = 32;
inline constexpr std::uint32_t k_min_alignment = 8;
inline constexpr std::uint32_t k_max_alignment = 1u << 21; // a huge page
inline constexpr std::uint32_t k_max_dims = 4;
inline constexpr std::uint64_t k_max_name = 65535; // keys and tensor names
inline constexpr std::string_view k_alignment_key = "general.alignment";

enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

/// Whether tensor data may be aligned so: a power of two from 8 to 2 MiB.
constexpr bool valid_alignment(std::uint64_t alignment) {
  return std::has_single_bit(alignment) && alignment >= k_min_alignment && alignment <= k_max_alignment;
}

/// "iq3_xxs (18)", "a removed ggml type (4)", "an ik_llama.cpp private type (137)", ... for a tensor type number.
std::string describe_type(std::uint32_t number);

/// `raw` in quotes, unprintable bytes as \xNN, long strings cut: for error messages.
std::string quote(std::string_view raw);

} // namespace seacliff::gguf
