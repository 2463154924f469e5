// Element and block formats: numbers, names and geometry. Source: GGUF container documentation, ggml block layouts.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace seacliff {

/// Same numbers as SCF_DTYPE_*, which are those of GGUF.
enum class DType : std::uint32_t {
  f32 = SCF_DTYPE_F32,
  f16 = SCF_DTYPE_F16,
  q8_0 = SCF_DTYPE_Q8_0,
  q2_k = SCF_DTYPE_Q2_K,
  q3_k = SCF_DTYPE_Q3_K,
  q4_k = SCF_DTYPE_Q4_K,
  q5_k = SCF_DTYPE_Q5_K,
  q6_k = SCF_DTYPE_Q6_K,
  iq2_xxs = SCF_DTYPE_IQ2_XXS,
  i32 = SCF_DTYPE_I32,
  bf16 = SCF_DTYPE_BF16,
  mxfp4 = SCF_DTYPE_MXFP4,
};

/// A row is a whole number of blocks, one after another; a block holds `block_elems` consecutive elements.
struct DTypeInfo {
  DType dtype;
  std::string_view name; // as users type it: "q4_k"
  std::uint32_t block_elems;
  std::uint32_t block_bytes;
};

inline constexpr std::array<DTypeInfo, 12> k_dtypes{{
    {DType::f32, "f32", 1, 4},
    {DType::f16, "f16", 1, 2},
    {DType::q8_0, "q8_0", 32, 34},
    {DType::q2_k, "q2_k", 256, 84},
    {DType::q3_k, "q3_k", 256, 110},
    {DType::q4_k, "q4_k", 256, 144},
    {DType::q5_k, "q5_k", 256, 176},
    {DType::q6_k, "q6_k", 256, 210},
    {DType::iq2_xxs, "iq2_xxs", 256, 66},
    {DType::i32, "i32", 1, 4},
    {DType::bf16, "bf16", 1, 2},
    {DType::mxfp4, "mxfp4", 32, 17},
}};

/// nullptr when the number is not one of `k_dtypes`.
constexpr const DTypeInfo* find_dtype(std::uint32_t number) {
  for (const DTypeInfo& info : k_dtypes)
    if (static_cast<std::uint32_t>(info.dtype) == number) return &info;
  return nullptr;
}

/// nullptr when there is no format of that name (lower case).
constexpr const DTypeInfo* find_dtype(std::string_view name) {
  for (const DTypeInfo& info : k_dtypes)
    if (info.name == name) return &info;
  return nullptr;
}

constexpr const DTypeInfo& dtype_info(DType dtype) { return *find_dtype(static_cast<std::uint32_t>(dtype)); }

/// Bytes of a row of `elems` elements; `elems` must be a multiple of the block size.
constexpr std::uint64_t row_bytes(DType dtype, std::uint64_t elems) {
  const DTypeInfo& info = dtype_info(dtype);
  return elems / info.block_elems * info.block_bytes;
}

} // namespace seacliff
