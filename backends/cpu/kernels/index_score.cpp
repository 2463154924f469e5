// The indexer's scores of compressed rows. Vectors run along the heads, for which the queries are transposed once: so
// no product needs a horizontal sum, only each row's score does.
#include "kernels/families.hpp"
#include "kernels/row_tiles.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

// A register tile of sums: rows x vectors of heads.
constexpr int k_rows = k_lanes == 4 ? 4 : 6, k_vectors = k_lanes == 16 ? 4 : 2;
constexpr std::int64_t k_heads = k_vectors * k_lanes; // of a tile
constexpr std::int64_t k_chunk = 4 * k_rows;          // rows decoded at once
static_assert(k_attend_heads % k_heads == 0);

/// [dim][padded] from [heads][dim]; heads that do not exist are zero.
SCF_INLINE void transpose(const float* q, std::int64_t heads, std::int64_t padded, std::int64_t dim, float* out) {
  for (std::int64_t d = 0; d < dim; ++d)
    for (std::int64_t h = 0; h < padded; ++h) out[d * padded + h] = h < heads ? q[h * dim + d] : 0.0f;
}

/// Adds to total[r] what 64 heads (or as many as a tile has) give row r, as a vector still to be summed.
SCF_INLINE void add_heads(const float* q, std::int64_t padded, const float* w, const float* const* rows,
                          std::int64_t dim, F (&total)[k_rows]) {
  F acc[k_rows][k_vectors];
  for (auto& row : acc)
    for (F& v : row) v = zero();
  for (std::int64_t d = 0; d < dim; ++d) {
    F x[k_vectors];
    for (int v = 0; v < k_vectors; ++v) x[v] = load(q + d * padded + v * k_lanes);
    for (int r = 0; r < k_rows; ++r) {
      const F y = set1(rows[r][d]);
      for (int v = 0; v < k_vectors; ++v) acc[r][v] = fma(y, x[v], acc[r][v]);
    }
  }
  for (int v = 0; v < k_vectors; ++v) {
    const F weight = load(w + v * k_lanes);
    for (int r = 0; r < k_rows; ++r) total[r] = fma(max(acc[r][v], zero()), weight, total[r]);
  }
}

} // namespace

void index_score(const IndexScoreArgs& args) {
#ifdef SCF_HAS_TILES
  if (index_score_tiles_takes(args)) return index_score_tiles(args);
#endif
  alignas(64) float q[k_attend_heads * k_index_dim], w[k_attend_heads] = {};
  alignas(64) float decoded[k_chunk * attend_stride(k_index_dim)];
  const std::int64_t padded = (args.heads + k_heads - 1) / k_heads * k_heads, stride = attend_stride(args.dim);
  transpose(args.q, args.heads, padded, args.dim, q);
  for (std::int64_t h = 0; h < args.heads; ++h) w[h] = args.w[h] * args.scale;
  RowReader reader(&args.rows, 1);
  float* out = args.out;
  while (const std::int64_t n = reader.read(k_chunk, args.dim, decoded, stride)) {
    for (std::int64_t begin = 0; begin < n; begin += k_rows) {
      const float* rows[k_rows];
      F total[k_rows];
      for (int r = 0; r < k_rows; ++r) {
        rows[r] = decoded + lesser(begin + r, n - 1) * stride; // the last one again where there are no more
        total[r] = zero();
      }
      for (std::int64_t h = 0; h < padded; h += k_heads) add_heads(q + h, padded, w + h, rows, args.dim, total);
      for (int r = 0; r < k_rows && begin + r < n; ++r) *out++ = sum(total[r]);
    }
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
