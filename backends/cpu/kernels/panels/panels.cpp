// y = x . w of many quantised tokens. Outside: up to 256 tokens are packed for k_chunk elements of k, and meet one
// panel of 16 weight rows after the other, each unpacked once for all of them. Inside: micro_*.hpp.
#include "kernels/panels/products.hpp"

#include SCF_PANEL_MICRO

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

struct Output {
  const GemmArgs& a;
  bool first; // chunk of k

  /// 16 rows x 16 tokens into y; what lies outside is left out.
  void write(float (*sums)[16], std::int64_t row, std::int64_t token) const {
    alignas(64) float by_token[16][16];
    transpose_words([&](int r) { return sums[r]; }, by_token);
    const std::int64_t rows = lesser<std::int64_t>(16, a.rows - row),
                       tokens = lesser<std::int64_t>(16, a.tokens - token);
    for (std::int64_t t = 0; t < tokens; ++t) {
      float* y = a.y + (a.y_row != nullptr ? a.y_row[token + t] : token + t) * a.y_stride + row;
      if (rows == 16)
        store_as(y, first ? load_as<F16>(by_token[t]) : load_as<F16>(y) + load_as<F16>(by_token[t]));
      else
        for (std::int64_t r = 0; r < rows; ++r) y[r] = first ? by_token[t][r] : y[r] + by_token[t][r];
    }
  }
};

template <class Fmt> void gemm(const GemmArgs& a) {
  using Panel = typename PanelOf<Fmt>::Type;
  constexpr std::int64_t group = k_group_tiles * 16;
  static_assert(sizeof(Panel) <= k_panel_bytes);
  auto& panel = *reinterpret_cast<Panel*>(a.scratch);
  auto* tiles = reinterpret_cast<TokenTile*>(a.scratch + k_panel_bytes);
  alignas(64) float sums[k_group_tiles][16][16];
  Micro::begin<Panel>();
  for (std::int64_t token = 0; token < a.tokens; token += group)
    for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
      const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin));
      const int count = static_cast<int>((lesser(group, a.tokens - token) + 15) / 16);
      for (int t = 0; t < count; ++t) {
        const std::int64_t first = token + 16 * t;
        pack_tokens<Panel>(tiles[t], a, first, static_cast<int>(lesser<std::int64_t>(16, a.tokens - first)), begin, n);
        Micro::prepare<Panel>(tiles[t], n);
      }
      const Output out{a, begin == 0};
      for (std::int64_t row = 0; row < a.rows; row += k_panel_rows) {
        fill_panel<Fmt>(panel, a, row, begin, n, Micro::biased);
        Micro::multiply(panel, tiles, count, n, sums);
        for (int t = 0; t < count; ++t) out.write(sums[t], row, token + 16 * t);
      }
    }
  Micro::end();
}

} // namespace

void gemm_panels(DType dtype, const GemmArgs& a) {
  switch (dtype) {
  case DType::q8_0: return gemm<FormatQ8_0>(a);
  case DType::mxfp4: return gemm<FormatMXFP4>(a);
  case DType::q2_k: return gemm<FormatQ2_K>(a);
  case DType::q3_k: return gemm<FormatQ3_K>(a);
  case DType::q4_k: return gemm<FormatQ4_K>(a);
  case DType::q5_k: return gemm<FormatQ5_K>(a);
  case DType::q6_k: return gemm<FormatQ6_K>(a);
  case DType::iq2_xxs: return gemm<FormatIQ2_XXS>(a);
  default: __builtin_unreachable(); // no other format has a product with int8 activations
  }
}

std::uint64_t panels_scratch(std::int64_t tokens) { return panel_scratch(tokens); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
