// Vectors of 64 bytes as compiler vector types, and the transposition of words in them.
#pragma once

#include "kernels/simd.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

typedef float F16 __attribute__((vector_size(64)));
typedef std::int32_t I16 __attribute__((vector_size(64)));
typedef std::uint32_t U16 __attribute__((vector_size(64)));

template <class V> SCF_INLINE V load_as(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V> SCF_INLINE void store_as(void* p, V v) { __builtin_memcpy(p, &v, sizeof v); }
/// Past the caches, to the first byte of a line. Others see it after settle_streams().
SCF_INLINE void stream(float* p, F16 v) {
#ifdef __AVX512F__
  _mm512_stream_ps(p, (__m512)v);
#else
  store_as(p, v);
#endif
}
SCF_INLINE void settle_streams() {
#ifdef __AVX512F__
  _mm_sfence();
#endif
}

/// One step of the transposition of 16 x 16 words: two blocks of S x S, side by side in rows i and i + S, swap their
/// outer corners.
template <int S> SCF_INLINE void swap_blocks(U16& a, U16& b) {
#define SCF_UPPER(i) ((i)&S ? 16 + (i)-S : (i))
#define SCF_LOWER(i) ((i)&S ? 16 + (i) : (i) + S)
#define SCF_ALL(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
  const U16 upper = __builtin_shufflevector(a, b, SCF_ALL(SCF_UPPER));
  b = __builtin_shufflevector(a, b, SCF_ALL(SCF_LOWER));
  a = upper;
#undef SCF_UPPER
#undef SCF_LOWER
#undef SCF_ALL
}
template <int S> SCF_INLINE void swap_all(U16 (&v)[16]) {
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    if ((i & S) == 0) swap_blocks<S>(v[i], v[i + S]);
}
/// out[c][r] = v[r][c] in words of four bytes; rows of `out` lie 64 bytes apart.
SCF_INLINE void transpose_vectors(U16 (&v)[16], void* out) {
  swap_all<8>(v);
  swap_all<4>(v);
  swap_all<2>(v);
  swap_all<1>(v);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) store_as(static_cast<std::byte*>(out) + 64 * i, v[i]);
}
/// The same of what row(r) points at.
template <class Row> SCF_INLINE void transpose_words(Row row, void* out) {
  U16 v[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) v[i] = load_as<U16>(row(i));
  transpose_vectors(v, out);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
