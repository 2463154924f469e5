// Tile registers with the instructions of AMX-TILE, AMX-INT8 and AMX-BF16. Written in assembler, because the compiler's
// own wrappers take the register only as a literal. tiles_model.hpp does the same in plain C++.
#pragma once

#include "kernels/simd/tile_shapes.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

SCF_INLINE void tiles_begin(const TileShapes& shapes) { __asm__ volatile("ldtilecfg %0" ::"m"(shapes) : "memory"); }
SCF_INLINE void tiles_end() { __asm__ volatile("tilerelease" ::: "memory"); }
template <int T> SCF_INLINE void tile_zero() { __asm__ volatile("tilezero %%tmm%c0" ::"i"(T)); }
/// Rows of the tile lie `stride` bytes apart.
template <int T> SCF_INLINE void tile_load(const void* p, std::int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(T) : "memory");
}
/// The same; the first-level cache need not keep it.
template <int T> SCF_INLINE void tile_load_passing(const void* p, std::int64_t stride) {
  __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(T) : "memory");
}
template <int T> SCF_INLINE void tile_store(void* p, std::int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(T) : "memory");
}
/// C[m][n] += sum over k of A[m][k] * B[k / 4][4 n + k % 4], int8 times int8 to int32.
template <int C, int A, int B> SCF_INLINE void tile_dot() {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}
/// C[m][n] += sum over k of A[m][k] * B[k / 2][2 n + k % 2], bf16 times bf16 to f32.
template <int C, int A, int B> SCF_INLINE void tile_dot_bf16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
