// The indexer's scores of compressed rows.
#include "kernels/families.hpp"
#include "kernels/row_tiles.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr std::int64_t k_chunk = 32; // rows decoded at once

} // namespace

void index_score(const IndexScoreArgs& args) {
#ifdef SCF_HAS_TILES
  if (index_score_tiles_takes(args)) return index_score_tiles(args);
#endif
  alignas(64) float rows[k_chunk * attend_stride(k_index_dim)];
  alignas(64) float score[k_attend_heads * k_chunk];
  const std::int64_t stride = attend_stride(args.dim);
  RowReader reader(&args.rows, 1);
  std::int64_t done = 0;
  while (const std::int64_t n = reader.read(k_chunk, args.dim, rows, stride)) {
    score_rows(args.q, args.heads, args.dim, rows, stride, n, score, k_chunk);
    each(n, [&](std::int64_t r, auto part) {
      F total = zero();
      for (std::int64_t h = 0; h < args.heads; ++h)
        total = fma(max(load(score + h * k_chunk + r, part), zero()), set1(args.w[h]), total);
      store(args.out + done + r, total * set1(args.scale), part);
    });
    done += n;
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
