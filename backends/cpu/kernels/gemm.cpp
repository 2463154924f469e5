// y = x . w for every weight format.
//
// f32, f16 and bf16 weights are read straight into registers for one token, and f16 and bf16 by tile registers for many
// where there are such (amx_plain.cpp). Everything else goes through tiles of f32: a few rows are unpacked once and
// meet all tokens while they lie in the first-level cache.
#include "kernels/dot_tile.hpp"
#include "kernels/families.hpp"
#include "kernels/formats.hpp"
#include "kernels/quantised_rows.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

// Tunables. Rows and elements of an f32 tile (k_tile_k a multiple of 256; rows * k * 4 bytes should fit half of a
// second-level cache), tokens that meet them before the next ones (their activations should fit the other half), rows
// and elements of a tile of codes (fits a first-level cache).
constexpr std::int64_t k_tile_rows = 16, k_tile_k = 512, k_group_tokens = 48;
// Rows and elements of a tile that meets few tokens at a time: both fit a first-level cache.
constexpr std::int64_t k_gate_rows = 32, k_gate_k = 256;
constexpr int k_code_rows = 4;
constexpr std::int64_t k_code_k = 2048;

SCF_INLINE const float* x_at(const GemmArgs& a, std::int64_t t) {
  const std::int64_t row = a.x_row != nullptr ? a.x_row[t] : t;
  return reinterpret_cast<const float*>(a.x + static_cast<std::uint64_t>(row) * a.x_stride);
}
SCF_INLINE float* y_at(const GemmArgs& a, std::int64_t t) {
  return a.y + (a.y_row != nullptr ? a.y_row[t] : t) * a.y_stride;
}
SCF_INLINE const std::byte* w_at(const GemmArgs& a, std::int64_t r) {
  return a.w + static_cast<std::uint64_t>(r) * a.w_stride;
}

// ---- plain formats -------------------------------------------------------------------------------------------------

struct PlainF32 {
  static constexpr DType dtype = DType::f32;
  static constexpr std::uint64_t bytes = 4;
  SCF_INLINE F read(const std::byte* p) { return load(reinterpret_cast<const float*>(p)); }
};
struct PlainF16 {
  static constexpr DType dtype = DType::f16;
  static constexpr std::uint64_t bytes = 2;
  SCF_INLINE F read(const std::byte* p) { return load_f16(p); }
};
struct PlainBF16 {
  static constexpr DType dtype = DType::bf16;
  static constexpr std::uint64_t bytes = 2;
  SCF_INLINE F read(const std::byte* p) { return load_bf16(p); }
};

template <class Plain> SCF_INLINE F read_part(const std::byte* p, Whole) { return Plain::read(p); }
template <class Plain> SCF_INLINE F read_part(const std::byte* p, Part part) {
  std::byte tail[Plain::bytes * k_lanes] = {};
  __builtin_memcpy(tail, p, Plain::bytes * static_cast<std::size_t>(part.n));
  return Plain::read(tail);
}

template <class Plain> void decode_plain(const std::byte* p, float* out, std::int64_t n) {
  each(n, [&](std::int64_t i, auto part) {
    store(out + i, read_part<Plain>(p + static_cast<std::uint64_t>(i) * Plain::bytes, part), part);
  });
}

/// R rows, one token, two sums per row in flight. Of the next R, lines are brought into the second-level cache.
template <class Plain, int R>
SCF_INLINE void vector_rows(const GemmArgs& a, std::int64_t row, const float* x, float* y) {
  constexpr std::uint64_t step = 2 * k_lanes * Plain::bytes; // a line, or half or two
  const std::byte* then = row + 2 * R <= a.rows ? w_at(a, row + R) : a.next != nullptr ? a.next : w_at(a, row);
  const std::int64_t ahead = then - w_at(a, row);
  F acc[R][2];
  const std::byte* w[R];
  for (int r = 0; r < R; ++r) {
    acc[r][0] = acc[r][1] = zero();
    w[r] = w_at(a, row + r);
  }
  std::int64_t i = 0;
  for (; i + 2 * k_lanes <= a.k; i += 2 * k_lanes) {
    const F x0 = load(x + i), x1 = load(x + i + k_lanes);
    const std::uint64_t at = static_cast<std::uint64_t>(i) * Plain::bytes;
    for (int r = 0; r < R; ++r) {
      for (std::uint64_t line = 0; line < step; line += 64) __builtin_prefetch(w[r] + ahead + at + line, 0, 2);
      acc[r][0] = fma(Plain::read(w[r] + at), x0, acc[r][0]);
      acc[r][1] = fma(Plain::read(w[r] + at + k_lanes * Plain::bytes), x1, acc[r][1]);
    }
  }
  each(a.k - i, [&](std::int64_t j, auto part) {
    const F v = load(x + i + j, part);
    for (int r = 0; r < R; ++r)
      acc[r][0] = fma(read_part<Plain>(w[r] + static_cast<std::uint64_t>(i + j) * Plain::bytes, part), v, acc[r][0]);
  });
  for (int r = 0; r < R; ++r) y[row + r] = sum(acc[r][0] + acc[r][1]);
}

// ---- f32 tiles -----------------------------------------------------------------------------------------------------

/// Tokens [token, token + tokens).
struct TokenRange {
  std::int64_t token, tokens;
};
/// rows x n weights as f32, times some tokens; adds to y unless `begin` is 0.
template <std::int64_t STRIDE>
SCF_INLINE void multiply_tile(const GemmArgs& a, const float* tile, std::int64_t row, std::int64_t rows,
                              std::int64_t begin, std::int64_t n, TokenRange some) {
  const bool first = begin == 0;
  cover<k_tile_tokens>(rows, some.tokens, [&](auto R, std::int64_t r, auto T, std::int64_t t) {
    constexpr int nr = decltype(R)::value, nt = decltype(T)::value;
    const float *w[nr], *x[nt];
    for (int i = 0; i < nr; ++i) w[i] = tile + (r + i) * STRIDE;
    for (int i = 0; i < nt; ++i) x[i] = x_at(a, some.token + t + i) + begin;
    float out[nt][nr];
    dot_tile<nr, nt>(w, x, n, out);
    for (int j = 0; j < nt; ++j) {
      float* y = y_at(a, some.token + t + j) + row + r;
      for (int i = 0; i < nr; ++i) y[i] = first ? out[j][i] : y[i] + out[j][i];
    }
  });
}

template <void (*DECODE)(const std::byte*, float*, std::int64_t), std::uint64_t BLOCK, std::uint64_t BLOCK_BYTES>
void gemm_tiles(const GemmArgs& a) {
  alignas(64) float tile[k_tile_rows * k_tile_k];
  for (std::int64_t token = 0; token < a.tokens; token += k_group_tokens) {
    const TokenRange group{token, lesser(k_group_tokens, a.tokens - token)};
    for (std::int64_t row = 0; row < a.rows; row += k_tile_rows) {
      const std::int64_t rows = lesser(k_tile_rows, a.rows - row);
      for (std::int64_t begin = 0; begin < a.k; begin += k_tile_k) {
        const std::int64_t n = lesser(k_tile_k, a.k - begin);
        const std::uint64_t at = static_cast<std::uint64_t>(begin) / BLOCK * BLOCK_BYTES;
        for (std::int64_t r = 0; r < rows; ++r) DECODE(w_at(a, row + r) + at, tile + r * k_tile_k, n);
        multiply_tile<k_tile_k>(a, tile, row, rows, begin, n, group);
      }
    }
  }
}

/// What the rows' next piece of k is unpacked from, brought near part by part: the hardware sees no stream where rows
/// are long and pieces short.
struct NextPiece {
  const std::byte* first;
  std::uint64_t stride, lines; // lines of each row
  std::int64_t rows;

  /// The share of some tokens of all.
  void fetch(TokenRange some, std::int64_t all) const {
    for (std::int64_t r = some.token * rows / all; r < (some.token + some.tokens) * rows / all; ++r)
      for (std::uint64_t i = 0; i < lines; ++i)
        __builtin_prefetch(first + static_cast<std::uint64_t>(r) * stride + 64 * i, 0, 2);
  }
};

/// A piece of k of all rows meets a few tokens at a time, whose squares are added while they are there.
template <void (*DECODE)(const std::byte*, float*, std::int64_t), std::uint64_t BLOCK, std::uint64_t BLOCK_BYTES>
void gemm_squares(const GemmArgs& a) {
  alignas(64) float tile[k_gate_rows * k_gate_k];
  for (std::int64_t begin = 0; begin < a.k; begin += k_gate_k) {
    const std::int64_t n = lesser(k_gate_k, a.k - begin);
    const std::uint64_t at = static_cast<std::uint64_t>(begin) / BLOCK * BLOCK_BYTES;
    for (std::int64_t row = 0; row < a.rows; row += k_gate_rows) {
      const std::int64_t rows = lesser(k_gate_rows, a.rows - row);
      for (std::int64_t r = 0; r < rows; ++r) DECODE(w_at(a, row + r) + at, tile + r * k_gate_k, n);
      constexpr std::uint64_t piece = k_gate_k / BLOCK * BLOCK_BYTES;
      const std::int64_t left = lesser(k_gate_k, a.k - begin - n);
      const NextPiece next{w_at(a, row) + at + piece, a.w_stride,
                           (static_cast<std::uint64_t>(left) / BLOCK * BLOCK_BYTES + 63) / 64, rows};
      for (std::int64_t t = 0; t < a.tokens; t += k_tile_tokens) {
        const TokenRange some{t, lesser<std::int64_t>(k_tile_tokens, a.tokens - t)};
        next.fetch(some, a.tokens);
        for (std::int64_t i = t; i < t + some.tokens && row == 0; ++i) {
          float* y = y_at(a, i) + a.rows;
          *y = (begin == 0 ? 0.0f : *y) + sum_squares(x_at(a, i) + begin, n);
        }
        multiply_tile<k_gate_k>(a, tile, row, rows, begin, n, some);
      }
    }
  }
}

template <class Plain> void gemm_plain(const GemmArgs& a) {
#ifdef SCF_HAS_TILES
  if (plain_tiles_takes(Plain::dtype, a)) return plain_tiles(Plain::dtype, a);
#endif
  if (a.tokens != 1) return gemm_tiles<decode_plain<Plain>, 1, Plain::bytes>(a);
  const float* x = x_at(a, 0);
  float* y = y_at(a, 0);
  std::int64_t row = 0;
  for (; row + 4 <= a.rows; row += 4) vector_rows<Plain, 4>(a, row, x, y);
  for (; row < a.rows; ++row) vector_rows<Plain, 1>(a, row, x, y);
}

// ---- block formats, f32 activations --------------------------------------------------------------------------------

template <class Fmt> void decode_blocks(const std::byte* p, float* out, std::int64_t n) {
  using Out = typename Fmt::Out;
  const auto* block = reinterpret_cast<const typename Fmt::Block*>(p);
  for (; n > 0; ++block, n -= 32 * Out::vectors, out += 32 * Out::vectors) {
    Out u;
    Fmt::unpack(*block, u);
    std::uint8_t codes[32 * Out::vectors]; // whole vectors: GCC 12 miscompiles copies of parts of `u.c`
    for (int j = 0; j < Out::vectors; ++j) store_b(codes + 32 * j, u.c[j]);
    for (int s = 0; s < Out::subs; ++s) {
      const std::uint8_t* code = codes + s * Out::sub;
      const float min = Out::has_min ? u.m[s / 8 % Out::min_vectors][s % 8] : 0.0f;
      for (int i = 0; i < Out::sub; ++i) {
        const int value = Out::is_signed ? static_cast<std::int8_t>(code[i]) : code[i];
        out[s * Out::sub + i] = u.s[s] * static_cast<float>(value) - min;
      }
    }
  }
}

// ---- block formats, int8 activations -------------------------------------------------------------------------------

template <class Fmt> SCF_INLINE Row act_at(const GemmArgs& a, std::int64_t t) {
  return row_at(a, t, Fmt::act == Act::q8_k ? 256 : 32);
}

template <class Out> SCF_INLINE F8 multiply_codes(const Out& w, int j, const std::byte* codes) {
  const B v = load_b(codes + 32 * j);
  if constexpr (Out::is_signed) return to_f8(dot_s8(w.c[j], v, fix_for(v)));
  return to_f8(dot_u8(w.c[j], v));
}

/// acc += one block of weights times the same block of an activation row.
template <class Out> SCF_INLINE F8 multiply_block(const Out& w, const Row& x, std::int64_t block, F8 acc) {
  const std::byte* codes = x.codes + block * 32 * Out::vectors;
  if constexpr (Out::vectors == 1) {
    return fma8(multiply_codes(w, 0, codes), set8(w.s[0] * x.scales[block]), acc);
  } else {
    F8 part{};
#pragma GCC unroll 8
    for (int j = 0; j < Out::vectors; ++j) {
      const F8 scale = Out::sub == 16 ? pair8(w.s[2 * j % Out::subs], w.s[(2 * j + 1) % Out::subs]) : set8(w.s[j]);
      part = fma8(multiply_codes(w, j, codes), scale, part);
    }
    if constexpr (Out::has_min) {
      const float* sums = Out::sub == 16 ? x.sums16 : x.sums32;
      for (int i = 0; i < Out::min_vectors; ++i) part = part - w.m[i] * load8(sums + block * Out::subs + 8 * i);
    }
    return fma8(part, set8(x.scales[block]), acc);
  }
}

/// R rows, one token: unpacked into registers and used at once.
template <class Fmt, int R> SCF_INLINE void vector_blocks(const GemmArgs& a, std::int64_t row, const Row& x, float* y) {
  using Out = typename Fmt::Out;
  const std::int64_t n = a.k / (32 * Out::vectors);
  const typename Fmt::Block* w[R];
  F8 acc[R];
  for (int r = 0; r < R; ++r) {
    w[r] = reinterpret_cast<const typename Fmt::Block*>(w_at(a, row + r));
    acc[r] = F8{};
  }
  for (std::int64_t i = 0; i < n; ++i)
    for (int r = 0; r < R; ++r) {
      Out u;
      Fmt::unpack(w[r][i], u);
      acc[r] = multiply_block(u, x, i, acc[r]);
    }
  for (int r = 0; r < R; ++r) y[row + r] = sum8(acc[r]);
}

template <class Fmt, int R, int T>
SCF_INLINE void multiply_tokens(const GemmArgs& a, const typename Fmt::Out (*tile)[k_code_k / (32 * Fmt::Out::vectors)],
                                std::int64_t row, std::int64_t t, std::int64_t begin, std::int64_t n) {
  F8 acc[R][T] = {};
  Row x[T];
  for (int j = 0; j < T; ++j) x[j] = act_at<Fmt>(a, t + j);
  for (std::int64_t i = 0; i < n; ++i)
    for (int r = 0; r < R; ++r)
      for (int j = 0; j < T; ++j) acc[r][j] = multiply_block(tile[r][i], x[j], begin + i, acc[r][j]);
  for (int j = 0; j < T; ++j) {
    float* y = y_at(a, t + j) + row;
    for (int r = 0; r < R; ++r) y[r] = begin == 0 ? sum8(acc[r][j]) : y[r] + sum8(acc[r][j]);
  }
}

template <class Fmt, int R> SCF_INLINE void code_rows(const GemmArgs& a, std::int64_t row) {
  using Out = typename Fmt::Out;
  constexpr std::int64_t most = k_code_k / (32 * Out::vectors);
  Out tile[R][most];
  const std::int64_t blocks = a.k / (32 * Out::vectors);
  for (std::int64_t begin = 0; begin < blocks; begin += most) {
    const std::int64_t n = lesser(most, blocks - begin);
    for (int r = 0; r < R; ++r) {
      const auto* w = reinterpret_cast<const typename Fmt::Block*>(w_at(a, row + r)) + begin;
      for (std::int64_t i = 0; i < n; ++i) Fmt::unpack(w[i], tile[r][i]);
    }
    std::int64_t t = 0;
    for (; t + 2 <= a.tokens; t += 2) multiply_tokens<Fmt, R, 2>(a, tile, row, t, begin, n);
    for (; t < a.tokens; ++t) multiply_tokens<Fmt, R, 1>(a, tile, row, t, begin, n);
  }
}

template <class Fmt> void gemm_act(const GemmArgs& a) {
  if (OwnProduct<Fmt::dtype>::takes(a)) return OwnProduct<Fmt::dtype>::few(a);
  std::int64_t row = 0;
  if (a.tokens == 1) {
    constexpr int side_by_side = Fmt::Out::vectors == 1 ? 4 : 2;
    const Row x = act_at<Fmt>(a, 0);
    float* y = y_at(a, 0);
    for (; row + side_by_side <= a.rows; row += side_by_side) vector_blocks<Fmt, side_by_side>(a, row, x, y);
    for (; row < a.rows; ++row) vector_blocks<Fmt, 1>(a, row, x, y);
    return;
  }
  for (; row + k_code_rows <= a.rows; row += k_code_rows) code_rows<Fmt, k_code_rows>(a, row);
  for (; row < a.rows; ++row) code_rows<Fmt, 1>(a, row);
}

template <class Fmt> void gemm_many(const GemmArgs& a) {
  if constexpr (PanelProduct<void>::exists) return PanelProduct<void>::multiply(Fmt::dtype, a);
  if constexpr (OwnProduct<Fmt::dtype>::has_many) return OwnProduct<Fmt::dtype>::many(a);
  gemm_act<Fmt>(a);
}
template <class Fmt> void pack(const PackArgs& a) { PanelProduct<void>::pack(Fmt::dtype, a); }

template <class Plain> constexpr auto plain_pack() {
  void (*pack)(const PackArgs&) = nullptr;
#ifdef SCF_HAS_TILES
  if (Plain::bytes == 2) pack = plain_tiles_pack;
#endif
  return pack;
}
template <class Plain> constexpr Format plain_format() {
  return {Plain::dtype,        decode_plain<Plain>,
          gemm_plain<Plain>,   gemm_squares<decode_plain<Plain>, 1, Plain::bytes>,
          Act::none,           nullptr,
          Act::none,           nullptr,
          plain_pack<Plain>(), k_few_tokens};
}
/// Tile registers are quicker early, where the weights take long to unpack for gemm_act too.
template <class Blocks> constexpr std::int64_t few_of_many() {
#ifdef SCF_HAS_TILES
  if (Blocks::act == Act::q8_k) return 3;
#endif
  return k_few_tokens;
}
template <class Blocks> constexpr Format block_format() {
  constexpr bool wide = PanelProduct<void>::exists || OwnProduct<Blocks::dtype>::has_many;
  return {Blocks::dtype,
          decode_blocks<Blocks>,
          gemm_tiles<decode_blocks<Blocks>, 32 * Blocks::Out::vectors, sizeof(typename Blocks::Block)>,
          gemm_squares<decode_blocks<Blocks>, 32 * Blocks::Out::vectors, sizeof(typename Blocks::Block)>,
          Blocks::act,
          gemm_act<Blocks>,
          wide ? Act::q8_k : Blocks::act,
          gemm_many<Blocks>,
          PanelProduct<void>::exists ? pack<Blocks> : nullptr,
          few_of_many<Blocks>()};
}

} // namespace

const Format formats[] = {
    plain_format<PlainF32>(),   plain_format<PlainF16>(),      plain_format<PlainBF16>(),   block_format<FormatQ8_0>(),
    block_format<FormatQ2_K>(), block_format<FormatQ3_K>(),    block_format<FormatQ4_K>(),  block_format<FormatQ5_K>(),
    block_format<FormatQ6_K>(), block_format<FormatIQ2_XXS>(), block_format<FormatMXFP4>(),
};
const std::int64_t n_formats = sizeof formats / sizeof formats[0];

std::uint64_t many_scratch(std::int64_t tokens) { return PanelProduct<void>::scratch(tokens); }
#ifdef SCF_HAS_TILES
std::uint64_t gemm_scratch(std::int64_t tokens) { return plain_tiles_scratch(tokens); }
#else
std::uint64_t gemm_scratch(std::int64_t) { return 0; }
#endif

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
