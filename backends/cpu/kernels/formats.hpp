// The block formats as registers see them: `unpack` turns one block into codes of a byte, 32 to a vector, with f32
// scales (d included) and, where the format has them, f32 minima:
//   value = s[sub-block] * code - m[sub-block].
// The float and the integer product, for one token and for many, are all written on top of this.
#pragma once

#include "kernels/simd.hpp"

#include <seacliff/sdk/blocks.hpp>

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

/// VECTORS x 32 elements; SUB elements share a scale; SIGNED codes are int8, else uint8 up to 127.
template <int VECTORS, int SUB, bool SIGNED, bool MIN> struct Unpacked {
  static constexpr int vectors = VECTORS, sub = SUB;
  static constexpr bool is_signed = SIGNED, has_min = MIN;
  static constexpr int subs = VECTORS * 32 / SUB;
  static constexpr int min_vectors = MIN ? subs / 8 : 1;
  B c[VECTORS];
  float s[subs];
  F8 m[min_vectors];
};

SCF_INLINE void store8(float* p, F8 v) { __builtin_memcpy(p, &v, sizeof v); }
SCF_INLINE std::uint64_t load_u64(const void* p) {
  std::uint64_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
SCF_INLINE std::uint32_t load_u32(const void* p) {
  std::uint32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

struct FormatQ8_0 {
  using Block = blocks::Q8_0;
  using Out = Unpacked<1, 32, true, false>;
  static constexpr DType dtype = DType::q8_0;
  static constexpr Act act = Act::q8_0;
  static constexpr int top = 127; // the largest code, or its negative
  SCF_INLINE void unpack(const Block& b, Out& out) {
    out.c[0] = load_b(b.q);
    out.s[0] = half_to_float(b.d);
  }
};

struct FormatMXFP4 {
  using Block = blocks::MXFP4;
  using Out = Unpacked<1, 32, true, false>;
  static constexpr DType dtype = DType::mxfp4;
  static constexpr Act act = Act::q8_0;
  static constexpr int top = 12;
  SCF_INLINE void unpack(const Block& b, Out& out) {
    const H q = load_h(b.q);
    const B v = join(q & 15, q >> 4);
    out.c[0] = lookup16(blocks::mxfp4_codes.data(), v);
    const std::uint32_t bits = b.e < 2 ? 0x00200000u << b.e : (b.e - 1u) << 23;
    __builtin_memcpy(out.s, &bits, sizeof bits);
  }
};

struct FormatQ2_K {
  using Block = blocks::Q2_K;
  using Out = Unpacked<8, 16, false, true>;
  static constexpr DType dtype = DType::q2_k;
  static constexpr Act act = Act::q8_k;
  static constexpr int top = 3;
  SCF_INLINE void unpack(const Block& b, Out& out) {
    for (int a = 0; a < 2; ++a) {
      const B q = load_b(b.q + 32 * a);
      out.c[4 * a] = q & 3;
      out.c[4 * a + 1] = q >> 2 & 3;
      out.c[4 * a + 2] = q >> 4 & 3;
      out.c[4 * a + 3] = q >> 6;
    }
    const F8 d = set8(half_to_float(b.d)), dmin = set8(half_to_float(b.dmin));
    for (int h = 0; h < 2; ++h) {
      const std::uint64_t sc = load_u64(b.sc + 8 * h);
      store8(out.s + 8 * h, d * u8_to_f8(sc & 0x0f0f0f0f0f0f0f0full));
      out.m[h] = dmin * u8_to_f8(sc >> 4 & 0x0f0f0f0f0f0f0f0full);
    }
  }
};

struct FormatQ3_K {
  using Block = blocks::Q3_K;
  using Out = Unpacked<8, 16, true, false>;
  static constexpr DType dtype = DType::q3_k;
  static constexpr Act act = Act::q8_k;
  static constexpr int top = 4;
  /// 16 six-bit scales, a byte each: low halves in sc[0..7], two high bits each in sc[8..11].
  struct SixBits {
    std::uint64_t first, second;
  };
  SCF_INLINE SixBits six_bits(const Block& b) {
    const std::uint64_t low = load_u64(b.sc);
    const std::uint64_t high = load_u32(b.sc + 8);
    const std::uint64_t h0 = high & 0x03030303u, h1 = high >> 2 & 0x03030303u;
    const std::uint64_t h2 = high >> 4 & 0x03030303u, h3 = high >> 6 & 0x03030303u;
    return {(low & 0x0f0f0f0f0f0f0f0full) | (h0 | h1 << 32) << 4, (low >> 4 & 0x0f0f0f0f0f0f0f0full) | (h2 | h3 << 32)
                                                                                                           << 4};
  }
  SCF_INLINE void unpack(const Block& b, Out& out) {
    const B mask = load_b(b.hmask);
    for (int a = 0; a < 2; ++a) {
      const B q = load_b(b.q + 32 * a);
      for (int i = 0; i < 4; ++i) out.c[4 * a + i] = (q >> 2 * i & 3) + ((mask >> (4 * a + i) & 1) << 2) - 4;
    }
    const SixBits six = six_bits(b);
    const F8 d = set8(half_to_float(b.d)), bias = set8(32.0f);
    store8(out.s, d * (u8_to_f8(six.first) - bias));
    store8(out.s + 8, d * (u8_to_f8(six.second) - bias));
  }
};

/// The 6-bit scales and minima that Q4_K and Q5_K share, a byte each.
struct ScaleBytes {
  std::uint64_t scale, min;
};
template <class Block> SCF_INLINE ScaleBytes scale_bytes(const Block& b) {
  const std::uint64_t x = load_u32(b.sc), y = load_u32(b.sc + 4), z = load_u32(b.sc + 8);
  return {(x & 0x3f3f3f3fu) | ((z & 0x0f0f0f0fu) | (x >> 6 & 0x03030303u) << 4) << 32,
          (y & 0x3f3f3f3fu) | ((z >> 4 & 0x0f0f0f0fu) | (y >> 6 & 0x03030303u) << 4) << 32};
}
template <class Block, class Out> SCF_INLINE void unpack_scales(const Block& b, Out& out) {
  const ScaleBytes bytes = scale_bytes(b);
  store8(out.s, set8(half_to_float(b.d)) * u8_to_f8(bytes.scale));
  out.m[0] = set8(half_to_float(b.dmin)) * u8_to_f8(bytes.min);
}

struct FormatQ4_K {
  using Block = blocks::Q4_K;
  using Out = Unpacked<8, 32, false, true>;
  static constexpr DType dtype = DType::q4_k;
  static constexpr Act act = Act::q8_k;
  static constexpr int top = 15;
  SCF_INLINE void unpack(const Block& b, Out& out) {
    for (int a = 0; a < 4; ++a) {
      const B q = load_b(b.q + 32 * a);
      out.c[2 * a] = q & 15;
      out.c[2 * a + 1] = q >> 4;
    }
    unpack_scales(b, out);
  }
};

struct FormatQ5_K {
  using Block = blocks::Q5_K;
  using Out = Unpacked<8, 32, false, true>;
  static constexpr DType dtype = DType::q5_k;
  static constexpr Act act = Act::q8_k;
  static constexpr int top = 31;
  SCF_INLINE void unpack(const Block& b, Out& out) {
    const B high = load_b(b.qh);
    for (int a = 0; a < 4; ++a) {
      const B q = load_b(b.q + 32 * a);
      out.c[2 * a] = (q & 15) | (high >> 2 * a & 1) << 4;
      out.c[2 * a + 1] = q >> 4 | (high >> (2 * a + 1) & 1) << 4;
    }
    unpack_scales(b, out);
  }
};

struct FormatQ6_K {
  using Block = blocks::Q6_K;
  using Out = Unpacked<8, 16, true, false>;
  static constexpr DType dtype = DType::q6_k;
  static constexpr Act act = Act::q8_k;
  static constexpr int top = 32;
  SCF_INLINE void unpack(const Block& b, Out& out) {
    for (int a = 0; a < 2; ++a) {
      const B even = load_b(b.ql + 64 * a), odd = load_b(b.ql + 64 * a + 32), high = load_b(b.qh + 32 * a);
      out.c[4 * a] = ((even & 15) | (high & 3) << 4) - 32;
      out.c[4 * a + 1] = ((odd & 15) | (high >> 2 & 3) << 4) - 32;
      out.c[4 * a + 2] = (even >> 4 | (high >> 4 & 3) << 4) - 32;
      out.c[4 * a + 3] = (odd >> 4 | high >> 6 << 4) - 32;
    }
    const F8 d = set8(half_to_float(b.d));
    for (int h = 0; h < 2; ++h) store8(out.s + 8 * h, d * s8_to_f8(load_u64(b.sc + 8 * h)));
  }
};

struct FormatIQ2_XXS {
  using Block = blocks::IQ2_XXS;
  using Out = Unpacked<8, 32, true, false>;
  static constexpr DType dtype = DType::iq2_xxs;
  static constexpr Act act = Act::q8_k;
  static constexpr int top = 43;
  typedef std::uint32_t Words __attribute__((vector_size(32)));
  /// Signs and scale of the eight groups.
  SCF_INLINE Words second_words(const Block& b) {
    const auto* p = reinterpret_cast<const std::byte*>(&b) + 2;
    return __builtin_shufflevector((Words)load_b(p), (Words)load_b(p + 32), 1, 3, 5, 7, 9, 11, 13, 15);
  }

  /// Four 7-bit sign indices each as 32 sign bits: the eighth of every byte makes the number of negatives even.
  SCF_INLINE Words sign_bits(Words w) {
    const Words pairs = (w & 0x3fffu) | (w << 2 & 0x3fff0000u), seven = pairs + (pairs & 0x3f803f80u);
    Words odd = seven ^ seven >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return seven | (odd & 0x01010101u) << 7;
  }
  SCF_INLINE void unpack(const Block& b, Out& out) {
    const auto* p = reinterpret_cast<const std::byte*>(&b) + 2; // per group of 32: four indices, signs and scale
    const Words second = second_words(b);
    const F8 scale = to_f8((I8)(second >> 28 << 1 | 1u));
    store8(out.s, scale * set8(half_to_float(b.d) * 0.125f));
    const Words signs = sign_bits(second);
    const std::uint64_t* grid = blocks::iq2xxs_grid.data();
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const std::uint32_t i = load_u32(p + 8 * g);
      out.c[g] = negate_where(signs[g], pick4(grid, i & 255u, i >> 8 & 255u, i >> 16 & 255u, i >> 24));
    }
  }
};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
