#include "ops/dtype/codec.hpp"

#include <seacliff/sdk/blocks.hpp>
#include <seacliff/sdk/numeric.hpp>

#include <cassert>
#include <cstring>

namespace seacliff::dtype {
namespace {

// Every product below has at most 24 significant bits, so the order of multiplication does not matter.

void decode_block(const blocks::Q8_0& b, float* out) {
  const float d = numeric::f16_to_f32(b.d);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(b.q[i]);
}

void decode_block(const blocks::Q2_K& b, float* out) {
  const float d = numeric::f16_to_f32(b.d), dmin = numeric::f16_to_f32(b.dmin);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(b.sc[s] & 15), min = dmin * static_cast<float>(b.sc[s] >> 4);
    const std::uint8_t* q = b.q + 32 * (s / 8) + 16 * (s % 2);
    const int shift = 2 * (s / 2 % 4);
    for (int l = 0; l < 16; ++l) *out++ = scale * static_cast<float>(q[l] >> shift & 3) - min;
  }
}

void decode_block(const blocks::Q3_K& b, float* out) {
  const float d = numeric::f16_to_f32(b.d);
  for (unsigned s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(blocks::q3_k_scale(b.sc, s) - 32);
    const std::uint8_t* q = b.q + 32 * (s / 8) + 16 * (s % 2);
    const std::uint8_t* high = b.hmask + 16 * (s % 2);
    for (int l = 0; l < 16; ++l) {
      const int code = (q[l] >> 2 * (s / 2 % 4) & 3) - ((high[l] >> s / 2 & 1) != 0 ? 0 : 4);
      *out++ = scale * static_cast<float>(code);
    }
  }
}

void decode_block(const blocks::Q4_K& b, float* out) {
  const float d = numeric::f16_to_f32(b.d), dmin = numeric::f16_to_f32(b.dmin);
  for (unsigned s = 0; s < 8; ++s) {
    const auto [sc, m] = blocks::k_scale_min(b.sc, s);
    const float scale = d * static_cast<float>(sc), min = dmin * static_cast<float>(m);
    const std::uint8_t* q = b.q + 32 * (s / 2);
    for (int l = 0; l < 32; ++l) *out++ = scale * static_cast<float>(q[l] >> 4 * (s % 2) & 15) - min;
  }
}

void decode_block(const blocks::Q5_K& b, float* out) {
  const float d = numeric::f16_to_f32(b.d), dmin = numeric::f16_to_f32(b.dmin);
  for (unsigned s = 0; s < 8; ++s) {
    const auto [sc, m] = blocks::k_scale_min(b.sc, s);
    const float scale = d * static_cast<float>(sc), min = dmin * static_cast<float>(m);
    const std::uint8_t* q = b.q + 32 * (s / 2);
    for (int l = 0; l < 32; ++l) {
      const int code = (q[l] >> 4 * (s % 2) & 15) | (b.qh[l] >> s & 1) << 4;
      *out++ = scale * static_cast<float>(code) - min;
    }
  }
}

void decode_block(const blocks::Q6_K& b, float* out) {
  const float d = numeric::f16_to_f32(b.d);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(b.sc[s]);
    const int half = s / 8, quarter = s / 2 % 4, offset = 16 * (s % 2);
    const std::uint8_t* low = b.ql + 64 * half + 32 * (quarter % 2) + offset;
    const std::uint8_t* high = b.qh + 32 * half + offset;
    for (int l = 0; l < 16; ++l) {
      const int code = (low[l] >> (quarter < 2 ? 0 : 4) & 15) | (high[l] >> 2 * quarter & 3) << 4;
      *out++ = scale * static_cast<float>(code - 32);
    }
  }
}

void decode_block(const blocks::IQ2_XXS& b, float* out) {
  const float d = numeric::f16_to_f32(b.d);
  for (int g = 0; g < 8; ++g) {
    const std::uint32_t indices = b.qs[g][0], rest = b.qs[g][1];
    const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.25f;
    for (int l = 0; l < 4; ++l) {
      const std::uint64_t grid = blocks::iq2xxs_grid[indices >> 8 * l & 255];
      const unsigned signs = blocks::ksigns[rest >> 7 * l & 127];
      for (int j = 0; j < 8; ++j) {
        const float magnitude = scale * static_cast<float>(grid >> 8 * j & 255);
        *out++ = (signs >> j & 1) != 0 ? -magnitude : magnitude;
      }
    }
  }
}

void decode_block(const blocks::MXFP4& b, float* out) {
  const float scale = blocks::mxfp4_half_scale(b.e);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(blocks::mxfp4_codes[b.q[i] & 15]);
    out[i + 16] = scale * static_cast<float>(blocks::mxfp4_codes[b.q[i] >> 4]);
  }
}

template <class Block> void decode_blocks(DType dtype, const std::byte* bytes, std::span<float> out) {
  const std::size_t elems = dtype_info(dtype).block_elems;
  assert(out.size() % elems == 0);
  for (std::size_t at = 0; at < out.size(); at += elems, bytes += sizeof(Block))
    decode_block(*reinterpret_cast<const Block*>(bytes), out.data() + at);
}

template <class Convert> void decode_halves(const std::byte* bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, bytes + 2 * i, 2);
    out[i] = convert(bits);
  }
}

} // namespace

void decode_row(DType dtype, const std::byte* bytes, std::span<float> out) {
  switch (dtype) {
  case DType::f32: std::memcpy(out.data(), bytes, out.size_bytes()); return;
  case DType::f16: return decode_halves(bytes, out, [](std::uint16_t b) { return numeric::f16_to_f32(b); });
  case DType::bf16: return decode_halves(bytes, out, [](std::uint16_t b) { return numeric::bf16_to_f32(b); });
  case DType::q8_0: return decode_blocks<blocks::Q8_0>(dtype, bytes, out);
  case DType::q2_k: return decode_blocks<blocks::Q2_K>(dtype, bytes, out);
  case DType::q3_k: return decode_blocks<blocks::Q3_K>(dtype, bytes, out);
  case DType::q4_k: return decode_blocks<blocks::Q4_K>(dtype, bytes, out);
  case DType::q5_k: return decode_blocks<blocks::Q5_K>(dtype, bytes, out);
  case DType::q6_k: return decode_blocks<blocks::Q6_K>(dtype, bytes, out);
  case DType::iq2_xxs: return decode_blocks<blocks::IQ2_XXS>(dtype, bytes, out);
  case DType::mxfp4: return decode_blocks<blocks::MXFP4>(dtype, bytes, out);
  case DType::i32: break;
  }
  assert(false && "not a floating format");
}

} // namespace seacliff::dtype
