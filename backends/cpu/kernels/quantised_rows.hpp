// Where products of quantised tokens find weights and activations, and what of the weights they bring near meanwhile.
#pragma once

#include "kernels/simd.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// How far behind the rows being read those lie that are brought nearer, in bytes. In two steps: a core waits for no
/// more than 16 lines on their way into its first level at a time, which is 10 GB/s, but for three times as many into
/// the second. The hardware's own streams end with each page, and rows of 2-bit weights are a quarter of one.
struct Ahead {
  std::int64_t near, far;
};
constexpr std::int64_t k_far = 8192;

/// Rows that one call reads from one end to the other.
struct Rows {
  const std::byte* w;
  std::int64_t stride, count;
  const std::byte* next; // what the worker goes on with
};
SCF_INLINE Rows rows_of(const GemmArgs& a) { return {a.w, static_cast<std::int64_t>(a.w_stride), a.rows, a.next}; }

/// From `row` on, of which `n` are read side by side: the n rows that are `rows` further.
SCF_INLINE std::int64_t behind(const Rows& all, std::int64_t row, std::int64_t n, std::int64_t rows) {
  if (row + rows + n <= all.count) return rows * all.stride;
  if (all.next == nullptr) return 0;
  return all.next - all.w + (rows - all.count) * all.stride; // in `next` as far as they are beyond the last
}
SCF_INLINE Ahead ahead_of(const Rows& all, std::int64_t row, std::int64_t n, std::int64_t near) {
  const std::int64_t far = near + (k_far / all.stride + n) / n * n;
  return {behind(all, row, n, near), behind(all, row, n, far)};
}

/// The `BYTES` at p, plus what is ahead.
template <int BYTES> SCF_INLINE void fetch(const void* p, Ahead ahead) {
  const auto* from = static_cast<const char*>(p);
#pragma GCC unroll 32
  for (int i = 0; i < BYTES; i += 64) {
    __builtin_prefetch(from + i + ahead.near, 0, 3);
    __builtin_prefetch(from + i + ahead.far, 0, 2);
  }
}

/// One quantised activation row.
struct Row {
  const std::byte* codes;
  const float *scales, *sums16, *sums32;
};
SCF_INLINE Row row_at(const GemmArgs& a, std::int64_t t, std::uint64_t block) {
  const std::byte* p = a.x + static_cast<std::uint64_t>(a.x_row != nullptr ? a.x_row[t] : t) * a.x_stride;
  const std::uint64_t n = static_cast<std::uint64_t>(a.k), scales = up_to_line(n);
  const std::uint64_t sums16 = scales + up_to_line(n / block * 4), sums32 = sums16 + up_to_line(n / 16 * 4);
  return {p, reinterpret_cast<const float*>(p + scales), reinterpret_cast<const float*>(p + sums16),
          reinterpret_cast<const float*>(p + sums32)};
}
SCF_INLINE float* out_at(const GemmArgs& a, std::int64_t t) {
  return a.y + (a.y_row != nullptr ? a.y_row[t] : t) * a.y_stride;
}

} // namespace
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
