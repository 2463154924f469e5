// Products of many tokens with tile registers, for the sets that have them.
//
// Outside: 64 weight rows are unpacked for k_chunk elements of k (amx_weights.hpp) and meet all tokens, 32 at a time,
// whose codes are gathered next to each other first. Inside: 16 rows x 32 tokens, where the activations are the A
// operand and the weights the B operand, so that a row of the result is 16 neighbours of y. The sums of one step
// are scaled and added in f32 while the tiles work on the next step.
#include "kernels/families.hpp"
#include "kernels/simd.hpp"

#ifdef SCF_HAS_TILES

#include "kernels/amx_weights.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

// Tunables: panels of weights unpacked at once, tokens at once (two tiles).
constexpr int k_panels = 4, k_tokens = 32;
constexpr int k_sums = 256; // int32 in a tile

/// What both kinds of product need of 32 tokens; tokens beyond the last one are zero.
struct Tokens {
  alignas(64) std::int8_t codes[k_chunk / 64][k_tokens][64];
  alignas(64) std::int8_t sums[k_chunk / 256][k_tokens][64]; // formats of 256: 16 sums, high and low part
  alignas(64) float scale[k_chunk / 32][k_tokens];           // per 32 or, in the first rows, per 256
};

SCF_INLINE const std::byte* row_of(const GemmArgs& a, std::int64_t t) {
  return a.x + static_cast<std::uint64_t>(a.x_row != nullptr ? a.x_row[t] : t) * a.x_stride;
}
SCF_INLINE float* y_of(const GemmArgs& a, std::int64_t t) {
  return a.y + (a.y_row != nullptr ? a.y_row[t] : t) * a.y_stride;
}

/// The sums of 16 codes, |s| <= 2032, as s = 64 * high + low.
SCF_INLINE void cut_sums(const std::byte* sums, std::int8_t* out) {
  typedef std::int8_t Signed __attribute__((vector_size(16)));
  const I16 s = __builtin_convertvector(load_as<F16>(sums), I16);
  store_as(out, __builtin_convertvector(s >> 6, Signed));
  store_as(out + 16, __builtin_convertvector(s & 63, Signed));
}

/// n elements from `begin` of tokens [first, first + count), count <= 32.
template <bool WIDE>
SCF_INLINE void gather(Tokens& out, const GemmArgs& a, std::int64_t first, int count, std::int64_t begin, int n) {
  constexpr int block = WIDE ? 256 : 32, step = WIDE ? 256 : 128;
  const std::uint64_t k = static_cast<std::uint64_t>(a.k), at_scales = up_to_line(k);
  const std::uint64_t at_sums = at_scales + up_to_line(k / block * 4);
  const int padded = (n + step - 1) / step * step;
  for (int t = 0; t < (count > 16 ? k_tokens : 16); ++t) { // the second tile only where it is used
    if (t >= count || n < padded) {
      for (int i = 0; i < padded / 64; ++i) __builtin_memset(out.codes[i][t], 0, 64);
      for (int i = 0; i < padded / block; ++i) out.scale[i][t] = 0;
      if (WIDE)
        for (int i = 0; i < padded / 256; ++i) __builtin_memset(out.sums[i][t], 0, 64);
    }
    if (t >= count) continue;
    const std::byte* x = row_of(a, first + t);
    for (int i = 0; i < n / 64; ++i) store_as(out.codes[i][t], load_as<U16>(x + begin + 64 * i));
    if (n % 64 != 0) store_b(out.codes[n / 64][t], load_b(x + begin + n / 64 * 64));
    const std::byte* scales = x + at_scales + static_cast<std::uint64_t>(begin / block) * 4;
    for (int i = 0; i < n / block; ++i) __builtin_memcpy(&out.scale[i][t], scales + 4 * i, 4);
    if (WIDE)
      for (int i = 0; i < n / 256; ++i) {
        cut_sums(x + at_sums + static_cast<std::uint64_t>(begin / 16 + 16 * i) * 4, out.sums[i][t]);
        __builtin_memset(out.sums[i][t] + 32, 0, 32);
      }
  }
}

/// y of 16 rows x 32 tokens while a chunk is added. Whole rows are one vector; parts of them are rare.
struct Result {
  alignas(64) float y[k_tokens][k_panel_rows];
};
SCF_INLINE std::size_t row_bytes_of(const GemmArgs& a, std::int64_t row) {
  return sizeof(float) * static_cast<std::size_t>(lesser<std::int64_t>(k_panel_rows, a.rows - row));
}
SCF_INLINE void read_result(Result& out, const GemmArgs& a, std::int64_t row, std::int64_t token, int count) {
  const std::size_t bytes = row_bytes_of(a, row);
  for (int t = 0; t < count; ++t)
    if (bytes == 64)
      store_as(out.y[t], load_as<F16>(y_of(a, token + t) + row));
    else
      __builtin_memcpy(out.y[t], y_of(a, token + t) + row, bytes);
}
SCF_INLINE void write_result(const Result& in, const GemmArgs& a, std::int64_t row, std::int64_t token, int count) {
  const std::size_t bytes = row_bytes_of(a, row);
  for (int t = 0; t < count; ++t)
    if (bytes == 64)
      store_as(y_of(a, token + t) + row, load_as<F16>(in.y[t]));
    else
      __builtin_memcpy(y_of(a, token + t) + row, in.y[t], bytes);
}

/// Row t of an int32 tile.
SCF_INLINE I16 sums_of(const std::int32_t* tile, int t) { return load_as<I16>(tile + 16 * t); }
SCF_INLINE F16 floats(I16 v) { return __builtin_convertvector(v, F16); }

/// tiles(i, buffer), then absorb(i, buffer) for all i < n, in an order that lets the tiles of i + 1 run beside the
/// vectors of i; the two take turns with two buffers.
template <class Tiles, class Absorb> SCF_INLINE void overlap(int n, Tiles tiles, Absorb absorb) {
  tiles(0, 0);
  for (int i = 1; i < n; ++i) {
    tiles(i, i & 1);
    absorb(i - 1, (i - 1) & 1);
  }
  absorb(n - 1, (n - 1) & 1);
}

// ---- formats of 32: four groups of 32 elements at a time, 16 tokens -------------------------------------------------

SCF_INLINE TileShapes shapes_for(const Panel32&) {
  TileShapes s;
  for (int t = 0; t < 8; ++t) {
    s.rows[t] = t < 6 ? 16 : 8;
    s.row_bytes[t] = t == 4 || t == 5 ? 32 : 64;
  }
  return s;
}

template <int G> SCF_INLINE void group_32(const Panel32& panel, const Tokens& x, int step, int half) {
  constexpr int a = 4 + G % 2, b = 6 + G % 2, side = G % 2;
  tile_zero<G>();
  tile_load<a>(x.codes[2 * step + G / 2][16 * half] + 32 * side, 64);
  tile_load<b>(panel.codes[2 * step + G / 2] + k_tile_bytes / 2 * side, 64);
  tile_dot<G, a, b>();
}

template <int HALVES> SCF_INLINE void multiply(const Panel32& panel, const Tokens& x, int n, Result& result) {
  alignas(64) std::int32_t sums[2][4][k_sums];
  const auto tiles = [&](int i, int buffer) {
    const int step = i / HALVES, half = i % HALVES;
    group_32<0>(panel, x, step, half);
    group_32<1>(panel, x, step, half);
    group_32<2>(panel, x, step, half);
    group_32<3>(panel, x, step, half);
    tile_store<0>(sums[buffer][0], 64);
    tile_store<1>(sums[buffer][1], 64);
    tile_store<2>(sums[buffer][2], 64);
    tile_store<3>(sums[buffer][3], 64);
  };
  const auto absorb = [&](int i, int buffer) {
    const int step = i / HALVES, half = i % HALVES;
    F16 scale[4];
    for (int g = 0; g < 4; ++g) scale[g] = load_as<F16>(panel.scale[4 * step + g]);
    for (int t = 0; t < 16; ++t) {
      float* y = result.y[16 * half + t];
      F16 acc = load_as<F16>(y);
      for (int g = 0; g < 4; ++g)
        acc += floats(sums_of(sums[buffer][g], t)) * (scale[g] * x.scale[4 * step + g][16 * half + t]);
      store_as(y, acc);
    }
  };
  overlap((n + 127) / 128 * HALVES, tiles, absorb);
}

// ---- formats of 256: a block at a time, 16 or 32 tokens -------------------------------------------------------------

template <class Fmt> SCF_INLINE TileShapes shapes_for(const Panel256<Fmt>&) {
  TileShapes s;
  for (int t = 0; t < 8; ++t) {
    s.rows[t] = 16;
    s.row_bytes[t] = 64;
  }
  return s;
}

/// Tile 2p + h: plane p of the weights times half h of the tokens.
template <int HALVES, int PLANES> SCF_INLINE void zero_sums() {
  tile_zero<0>();
  if constexpr (HALVES == 2) tile_zero<1>();
  if constexpr (PLANES == 2) tile_zero<2>();
  if constexpr (PLANES * HALVES == 4) tile_zero<3>();
}
template <int HALVES, int PLANES>
SCF_INLINE void add_products(const std::int8_t (&w)[PLANES][k_tile_bytes], const std::int8_t (&x)[k_tokens][64]) {
  tile_load<4>(x[0], 64);
  tile_load<6>(w[0], 64);
  tile_dot<0, 4, 6>();
  if constexpr (HALVES == 2) {
    tile_load<5>(x[16], 64);
    tile_dot<1, 5, 6>();
  }
  if constexpr (PLANES == 2) {
    tile_load<7>(w[1], 64);
    tile_dot<2, 4, 7>();
    if constexpr (HALVES == 2) tile_dot<3, 5, 7>();
  }
}
template <int HALVES, int PLANES> SCF_INLINE void store_sums(std::int32_t (*sums)[k_sums]) {
  tile_store<0>(sums[0], 64);
  if constexpr (HALVES == 2) tile_store<1>(sums[1], 64);
  if constexpr (PLANES == 2) tile_store<2>(sums[2], 64);
  if constexpr (PLANES * HALVES == 4) tile_store<3>(sums[3], 64);
}

/// Of 64 * high + low, the planes of one number; |sum| < 2^28 in every format.
template <int PLANES> SCF_INLINE F16 joined(const std::int32_t (*sums)[k_sums], int half, int t) {
  const I16 high = sums_of(sums[half], t);
  if constexpr (PLANES == 1) return floats(high);
  return floats((high << 6) + sums_of(sums[2 + half], t));
}

template <int HALVES, class Fmt>
SCF_INLINE void multiply(const Panel256<Fmt>& panel, const Tokens& x, int n, Result& result) {
  constexpr int planes = Fmt::planes;
  constexpr bool has_min = Fmt::Out::has_min;
  alignas(64) std::int32_t sums[2][has_min ? 8 : 4][k_sums];
  const auto tiles = [&](int unit, int buffer) {
    zero_sums<HALVES, planes>();
    for (int i = 0; i < 4; ++i) add_products<HALVES>(panel.codes[unit][i], x.codes[4 * unit + i]);
    store_sums<HALVES, planes>(sums[buffer]);
    if constexpr (has_min) {
      zero_sums<HALVES, 2>();
      add_products<HALVES>(panel.mins[unit], x.sums[unit]);
      store_sums<HALVES, 2>(sums[buffer] + 4);
    }
  };
  const auto absorb = [&](int unit, int buffer) {
    const F16 scale = load_as<F16>(panel.scale[unit]), min_scale = load_as<F16>(panel.min_scale[unit]);
    for (int half = 0; half < HALVES; ++half)
      for (int t = 0; t < 16; ++t) {
        F16 part = joined<planes>(sums[buffer], half, t) * scale;
        if constexpr (has_min) part -= joined<2>(sums[buffer] + 4, half, t) * min_scale;
        float* y = result.y[16 * half + t];
        store_as(y, load_as<F16>(y) + part * x.scale[unit][16 * half + t]);
      }
  };
  overlap(n / 256, tiles, absorb);
}

// ---- all of it ------------------------------------------------------------------------------------------------------

template <class Fmt, class Panel> void gemm_panels(const GemmArgs& a) {
  Panel panels[k_panels];
  Tokens x;
  Result result;
  tiles_begin(shapes_for(panels[0]));
  for (std::int64_t row = 0; row < a.rows; row += k_panels * k_panel_rows)
    for (std::int64_t begin = 0; begin < a.k; begin += k_chunk) {
      const int n = static_cast<int>(lesser<std::int64_t>(k_chunk, a.k - begin));
      const std::int64_t rows = lesser<std::int64_t>(k_panels * k_panel_rows, a.rows - row);
      for (int p = 0; p * k_panel_rows < rows; ++p) fill_panel<Fmt>(panels[p], a, row + p * k_panel_rows, begin, n);
      for (std::int64_t t = 0; t < a.tokens; t += k_tokens) {
        const int count = static_cast<int>(lesser<std::int64_t>(k_tokens, a.tokens - t));
        gather<Fmt::act == Act::q8_k>(x, a, t, count, begin, n);
        for (int p = 0; p * k_panel_rows < rows; ++p) {
          if (begin == 0 || count < k_tokens) __builtin_memset(&result, 0, sizeof result); // no rubbish beside y
          if (begin != 0) read_result(result, a, row + p * k_panel_rows, t, count);
          if (count > 16)
            multiply<2>(panels[p], x, n, result);
          else
            multiply<1>(panels[p], x, n, result);
          write_result(result, a, row + p * k_panel_rows, t, count);
        }
      }
    }
  tiles_end();
}

} // namespace

void gemm_tiles_act(DType dtype, const GemmArgs& a) {
  switch (dtype) {
  case DType::q8_0: return gemm_panels<FormatQ8_0, Panel32>(a);
  case DType::mxfp4: return gemm_panels<FormatMXFP4, Panel32>(a);
  case DType::q2_k: return gemm_panels<FormatQ2_K, Panel256<FormatQ2_K>>(a);
  case DType::q3_k: return gemm_panels<FormatQ3_K, Panel256<FormatQ3_K>>(a);
  case DType::q4_k: return gemm_panels<FormatQ4_K, Panel256<FormatQ4_K>>(a);
  case DType::q5_k: return gemm_panels<FormatQ5_K, Panel256<FormatQ5_K>>(a);
  case DType::q6_k: return gemm_panels<FormatQ6_K, Panel256<FormatQ6_K>>(a);
  case DType::iq2_xxs: return gemm_panels<FormatIQ2_XXS, Panel256<FormatIQ2_XXS>>(a);
  default: __builtin_unreachable(); // no other format has a product with int8 activations
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#endif // SCF_HAS_TILES
