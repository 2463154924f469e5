// Tile registers in plain C++, for tests on machines without them: the same functions as tiles_amx.hpp. What the
// processor would refuse stops the program here too.
#pragma once

#include "kernels/simd/tile_shapes.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

struct TileModel {
  bool configured = false;
  TileShapes shapes;
  std::uint8_t data[8][16][64] = {};
};
inline constinit thread_local TileModel tile_model;

SCF_INLINE void tile_require(bool legal) {
  if (!legal) __builtin_trap();
}
SCF_INLINE void tiles_begin(const TileShapes& shapes) {
  tile_require(shapes.palette == 1 && shapes.start_row == 0);
  for (const std::uint8_t byte : shapes.reserved) tile_require(byte == 0);
  for (int t = 0; t < 16; ++t) {
    tile_require(shapes.rows[t] <= 16 && shapes.row_bytes[t] <= 64);
    tile_require((shapes.rows[t] == 0) == (shapes.row_bytes[t] == 0));
    tile_require(t < 8 || shapes.rows[t] == 0);
  }
  tile_model = {};
  tile_model.shapes = shapes;
  tile_model.configured = true;
}
SCF_INLINE void tiles_end() { tile_model.configured = false; }

template <int T> SCF_INLINE void tile_check() {
  static_assert(T >= 0 && T < 8);
  tile_require(tile_model.configured && tile_model.shapes.rows[T] != 0);
}
template <int T> SCF_INLINE void tile_zero() {
  tile_check<T>();
  __builtin_memset(tile_model.data[T], 0, sizeof tile_model.data[T]);
}
/// Rows of the tile lie `stride` bytes apart.
template <int T> SCF_INLINE void tile_load(const void* p, std::int64_t stride) {
  tile_zero<T>(); // rows and columns outside the shape become zero
  for (int r = 0; r < tile_model.shapes.rows[T]; ++r)
    __builtin_memcpy(tile_model.data[T][r], static_cast<const std::byte*>(p) + r * stride,
                     tile_model.shapes.row_bytes[T]);
}
template <int T> SCF_INLINE void tile_load_passing(const void* p, std::int64_t stride) { tile_load<T>(p, stride); }
template <int T> SCF_INLINE void tile_store(void* p, std::int64_t stride) {
  tile_check<T>();
  for (int r = 0; r < tile_model.shapes.rows[T]; ++r)
    __builtin_memcpy(static_cast<std::byte*>(p) + r * stride, tile_model.data[T][r], tile_model.shapes.row_bytes[T]);
}
template <int C, int A, int B> SCF_INLINE const TileShapes& tile_dot_check() {
  static_assert(C != A && C != B && A != B);
  tile_check<C>();
  tile_check<A>();
  tile_check<B>();
  const TileShapes& s = tile_model.shapes;
  tile_require(s.rows[C] == s.rows[A] && s.row_bytes[C] == s.row_bytes[B] && s.row_bytes[A] == 4 * s.rows[B]);
  tile_require(s.row_bytes[C] % 4 == 0);
  return s;
}
/// C[m][n] += sum over k of A[m][k] * B[k / 4][4 n + k % 4], int8 times int8 to int32.
template <int C, int A, int B> SCF_INLINE void tile_dot() {
  const TileShapes& s = tile_dot_check<C, A, B>();
  for (int half = 0; half < 2; ++half) // columns outside the shape are zero in B
    for (int m = 0; m < s.rows[C]; ++m) {
      I8 sums;
      __builtin_memcpy(&sums, tile_model.data[C][m] + half * sizeof sums, sizeof sums);
      for (int k = 0; k < s.row_bytes[A]; k += 4) {
        I8 quads; // four elements of k for each of eight columns
        __builtin_memcpy(&quads, tile_model.data[B][k / 4] + half * sizeof quads, sizeof quads);
        for (int i = 0; i < 4; ++i)
          sums += static_cast<std::int8_t>(tile_model.data[A][m][k + i]) * ((quads << (24 - 8 * i)) >> 24);
      }
      __builtin_memcpy(tile_model.data[C][m] + half * sizeof sums, &sums, sizeof sums);
    }
}
SCF_INLINE float tile_bf16(const std::uint8_t* p) {
  std::uint32_t bits = static_cast<std::uint32_t>(p[0]) << 16 | static_cast<std::uint32_t>(p[1]) << 24;
  if ((bits & 0x7f800000u) == 0) bits &= 0x80000000u; // denormals count as zero
  float v;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
/// C[m][n] += sum over k of A[m][k] * B[k / 2][2 n + k % 2], bf16 times bf16 to f32.
template <int C, int A, int B> SCF_INLINE void tile_dot_bf16() {
  const TileShapes& s = tile_dot_check<C, A, B>();
  for (int m = 0; m < s.rows[C]; ++m) {
    float sums[16];
    __builtin_memcpy(sums, tile_model.data[C][m], sizeof sums);
    for (int k = 0; k < s.row_bytes[A] / 2; ++k) {
      const float a = tile_bf16(tile_model.data[A][m] + 2 * k);
      for (int n = 0; n < s.row_bytes[C] / 4; ++n)
        sums[n] += a * tile_bf16(tile_model.data[B][k / 2] + 4 * n + 2 * (k % 2));
    }
    __builtin_memcpy(tile_model.data[C][m], sums, sizeof sums);
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
