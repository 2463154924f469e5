// Products of f32 values with tile registers: the tiles multiply bf16 and add in f32, so a value is cut into two bf16,
// value = high + low, and low * low is dropped.
//
// A word of an operand is a pair of elements 16 apart, which needs no shuffle to make; the order of a sum is free.
// Products are squares of 32 x 32 sums: tiles 0-3 hold them, 4 and 5 the A operand, 6 and 7 the B operand.
#pragma once

#include "kernels/tile_vectors.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

inline constexpr std::int64_t k_square = 32; // rows and columns of the sums; elements of k in one step
inline constexpr std::int64_t k_tile_bytes = 1024;

/// bf16 in the upper halves of words.
struct Cut {
  U16 high, low;
};
/// Cut off behind 8 and 16 bits: exact for f16 and bf16.
SCF_INLINE Cut cut(F16 v) {
  constexpr std::uint32_t upper = 0xffff0000u;
  const U16 high = reinterpret_cast<U16>(v) & upper;
  return {high, reinterpret_cast<U16>(v - reinterpret_cast<F16>(high)) & upper};
}
SCF_INLINE Cut cut(const float* p) { return cut(load_as<F16>(p)); }
/// Rounded to 8 bits, ties away from zero; NaN stays NaN.
SCF_INLINE U16 nearest(F16 v) {
  return ((reinterpret_cast<U16>(v) + 0x8000u) & 0xffff0000u) | (reinterpret_cast<U16>(v != v) & 0xffff0000u);
}
/// The high part rounded: what is lost has no sign of its own and is at most 2^-16 of the value. NaN stays in `low`.
SCF_INLINE Cut cut_near(const float* p) {
  const F16 v = load_as<F16>(p);
  const U16 high = nearest(v);
  return {high, reinterpret_cast<U16>(v - reinterpret_cast<F16>(high)) & 0xffff0000u};
}
SCF_INLINE Cut pair(const Cut& even, const Cut& odd) { return {even.high >> 16 | odd.high, even.low >> 16 | odd.low}; }
SCF_INLINE bool any(U16 v) {
  v |= __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v |= __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  return (v[0] | v[1] | v[2] | v[3]) != 0;
}

/// Lines of memory that are brought into the second-level cache between products: `rows` stretches of `lines`, `stride`
/// bytes apart.
struct Coming {
  const std::byte* row = nullptr;
  std::uint64_t stride = 0;
  std::int64_t rows = 0, lines = 0, line = 0;

  /// How many for each of so many times.
  std::int64_t each(std::int64_t times) const { return (rows * lines + times - 1) / times; }
  void fetch(std::int64_t n) {
    for (; n > 0 && rows > 0; --n) {
      __builtin_prefetch(row + 64 * line, 0, 2);
      if (++line < lines) continue;
      line = 0;
      row += stride;
      --rows;
    }
  }
};

SCF_INLINE void begin_squares() {
  TileShapes s;
  for (int t = 0; t < 8; ++t) {
    s.rows[t] = 16;
    s.row_bytes[t] = 64;
  }
  tiles_begin(s);
}
SCF_INLINE void zero_square() {
  tile_zero<0>();
  tile_zero<1>();
  tile_zero<2>();
  tile_zero<3>();
}
/// 32 x 32 sums, rows `stride` elements apart.
SCF_INLINE void load_square(const float* p, std::int64_t stride) {
  tile_load<0>(p, stride * 4);
  tile_load<1>(p + 16, stride * 4);
  tile_load<2>(p + 16 * stride, stride * 4);
  tile_load<3>(p + 16 * stride + 16, stride * 4);
}
SCF_INLINE void store_square(float* p, std::int64_t stride) {
  tile_store<0>(p, stride * 4);
  tile_store<1>(p + 16, stride * 4);
  tile_store<2>(p + 16 * stride, stride * 4);
  tile_store<3>(p + 16 * stride + 16, stride * 4);
}
SCF_INLINE void load_a(const std::int8_t* tiles) {
  tile_load<4>(tiles, 64);
  tile_load<5>(tiles + k_tile_bytes, 64);
}
SCF_INLINE void load_b(const std::int8_t* tiles) {
  tile_load<6>(tiles, 64);
  tile_load<7>(tiles + k_tile_bytes, 64);
}
SCF_INLINE void add_products() {
  tile_dot_bf16<0, 4, 6>();
  tile_dot_bf16<1, 4, 7>();
  tile_dot_bf16<2, 5, 6>();
  tile_dot_bf16<3, 5, 7>();
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
