// The gates of hyper-connections for many tokens: few and very long rows of f32, with tile registers.
//
// Both operands are cut into two bf16 (bf16_tiles.hpp), both parts rounded, and low * low is dropped: 2^-17 of a value
// is lost at most, and on average 5e-6 of a sum. Three tiles hold the B operand of 24 rows and 32 elements: the high
// parts of 16 rows; high and low parts of the other 8 side by side, whose sums are added in the end; the low parts of
// the 16. Tiles add one product after the other, so that the sums of long rows would lose as much again: they are of
// 256 elements. Squares are added while tokens are packed.
#include "kernels/families.hpp"
#include "kernels/simd.hpp"

#ifdef SCF_HAS_TILES

#include "kernels/bf16_tiles.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr std::int64_t k_rows = 24, k_wide = 16; // of the gates; of them in tiles of their own
constexpr std::int64_t k_steps = 8;              // of 32 elements, packed before they are multiplied
constexpr std::int64_t k_step_bytes = 3 * k_tile_bytes;

/// Steps of 16 tokens: a high tile and a low one each.
struct Packed {
  alignas(64) std::int8_t step[k_steps][2 * k_tile_bytes];
};

/// To the nearest, ties to even, as bits in the upper halves; NaN stays.
SCF_INLINE U16 round_to_bf16(F16 v) {
  const auto bits = reinterpret_cast<U16>(v);
  const U16 rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return v == v ? rounded : bits | 0x400000u;
}
/// Both parts rounded: what is lost is 2^-17 of the value at most.
SCF_INLINE Cut cut_gate(const float* p) {
  constexpr std::uint32_t upper = 0xffff0000u;
  const F16 v = load_as<F16>(p);
  const U16 high = round_to_bf16(v) & upper;
  return {high, round_to_bf16(v - reinterpret_cast<F16>(high)) & upper};
}
/// The same, quicker; a NaN may vanish, but not from the squares.
SCF_INLINE Cut cut_token(F16 v) {
  constexpr std::uint32_t upper = 0xffff0000u, half = 0x8000u;
  const U16 high = (reinterpret_cast<U16>(v) + half) & upper;
  return {high, (reinterpret_cast<U16>(v - reinterpret_cast<F16>(high)) + half) & upper};
}

std::uint64_t gate_bytes(DType dtype, std::int64_t rows, std::int64_t k) {
  if (dtype != DType::f32 || rows > k_rows || k % k_square != 0) return 0;
  return static_cast<std::uint64_t>(k / k_square * k_step_bytes);
}

void cut_gates(const std::byte* w, std::int64_t rows, std::int64_t k, std::int64_t begin, std::int64_t end,
               std::byte* out) {
  for (std::int64_t at = begin; at < end; at += k_square) {
    Cut words[k_rows];
    for (std::int64_t r = 0; r < k_rows; ++r) { // those that are missing are the last one again, and not read later
      const float* from = reinterpret_cast<const float*>(w) + lesser(r, rows - 1) * k + at;
      words[r] = pair(cut_gate(from), cut_gate(from + 16));
    }
    std::byte* to = out + at / k_square * k_step_bytes;
    transpose_words([&](int r) { return &words[r].high; }, to);
    transpose_words([&](int r) { return r < 8 ? &words[k_wide + r].high : &words[k_wide + r - 8].low; },
                    to + k_tile_bytes);
    transpose_words([&](int r) { return &words[r].low; }, to + 2 * k_tile_bytes);
  }
}

/// Tokens [first, first + 16), or the last one again, whose squares are added to `squares`; meanwhile some LINES of the
/// gates from `next` on are brought into the second-level cache for each row of a tile.
template <int LINES>
SCF_INLINE void pack_tokens(Packed& out, const GateArgs& a, std::int64_t first, std::int64_t begin, std::int64_t steps,
                            F16 (&squares)[16], const std::byte*& next) {
  for (std::int64_t t = 0; t < 16; ++t) {
    const float* x = a.x + lesser(first + t, a.tokens - 1) * a.k + begin;
    F16 sum = squares[t], other{};
    for (std::int64_t s = 0; s < steps; ++s, x += k_square) {
      for (int i = 0; i < LINES; ++i, next += 64) __builtin_prefetch(next, 0, 2);
      const F16 even = load_as<F16>(x), odd = load_as<F16>(x + 16);
      const Cut words = pair(cut_token(even), cut_token(odd));
      store_as(out.step[s] + 64 * t, words.high);
      store_as(out.step[s] + k_tile_bytes + 64 * t, words.low);
      sum += even * even;
      other += odd * odd;
    }
    squares[t] = sum + other;
  }
}

/// TWO: of 32 tokens, else of 16.
template <bool TWO> SCF_INLINE void multiply(const Packed (&x)[2], const std::byte* gates, std::int64_t steps) {
  for (std::int64_t s = 0; s < steps; ++s, gates += k_step_bytes) {
    const std::int8_t *one = x[0].step[s], *two = x[1].step[s];
    tile_load<6>(gates, 64);
    tile_load<7>(gates + k_tile_bytes, 64);
    tile_load<4>(one + k_tile_bytes, 64);
    tile_dot_bf16<0, 4, 6>();
    tile_dot_bf16<1, 4, 7>();
    if (TWO) {
      tile_load<5>(two + k_tile_bytes, 64);
      tile_dot_bf16<2, 5, 6>();
      tile_dot_bf16<3, 5, 7>();
    }
    tile_load<4>(one, 64);
    tile_dot_bf16<0, 4, 6>();
    tile_dot_bf16<1, 4, 7>();
    if (TWO) {
      tile_load<5>(two, 64);
      tile_dot_bf16<2, 5, 6>();
      tile_dot_bf16<3, 5, 7>();
    }
    tile_load<6>(gates + 2 * k_tile_bytes, 64);
    tile_dot_bf16<0, 4, 6>();
    if (TWO) tile_dot_bf16<2, 5, 6>();
  }
}

SCF_INLINE float total(F16 v) {
  float sum = 0;
  for (int i = 0; i < 16; ++i) sum += v[i];
  return sum;
}

/// Adds tiles 0 to 3 to sums of 32 tokens, or of 16; they begin with zero again.
template <bool TWO> SCF_INLINE void add_sums(float (&sums)[k_square][k_square]) {
  alignas(64) float part[k_square][k_square];
  store_square(part[0], k_square);
  zero_square();
  for (std::int64_t t = 0; t < (TWO ? 32 : 16); ++t)
    for (std::int64_t r = 0; r < k_square; r += 16)
      store_as(sums[t] + r, load_as<F16>(sums[t] + r) + load_as<F16>(part[t] + r));
}

/// Tokens [first, first + 32), or 16.
template <bool TWO> void multiply_tokens(const GateArgs& a, std::int64_t first) {
  Packed x[2];
  F16 squares[2][16] = {};
  alignas(64) float sums[k_square][k_square] = {};
  zero_square();
  for (std::int64_t begin = 0; begin < a.k; begin += k_steps * k_square) {
    const std::int64_t steps = lesser(k_steps, (a.k - begin) / k_square);
    const std::byte* gates = a.gates + begin / k_square * k_step_bytes;
    const std::byte* next = gates + k_steps * k_step_bytes; // nothing is read behind the end, only asked for
    pack_tokens<TWO ? 2 : 3>(x[0], a, first, begin, steps, squares[0], next);
    if (TWO) pack_tokens<1>(x[1], a, first + 16, begin, steps, squares[1], next);
    multiply<TWO>(x, gates, steps);
    add_sums<TWO>(sums);
  }
  const std::int64_t tokens = lesser<std::int64_t>(a.tokens - first, TWO ? 32 : 16);
  for (std::int64_t t = 0; t < tokens; ++t) {
    float* y = a.y + (first + t) * (a.rows + 1);
    for (std::int64_t r = 0; r < a.rows; ++r) y[r] = r < k_wide ? sums[t][r] : sums[t][r] + sums[t][r + 8];
    y[a.rows] = total(squares[t / 16][t % 16]);
  }
}

void multiply_gates(const GateArgs& a) {
  begin_squares();
  for (std::int64_t t = 0; t < a.tokens;) {
    const bool two = a.tokens - t > 16;
    two ? multiply_tokens<true>(a, t) : multiply_tokens<false>(a, t);
    t += two ? 32 : 16;
  }
  tiles_end();
}

constexpr GateTiles k_tiles{k_square, 16, gate_bytes, cut_gates, multiply_gates};

} // namespace

const GateTiles* gate_tiles() { return &k_tiles; }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#else

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
const GateTiles* gate_tiles() { return nullptr; }
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#endif // SCF_HAS_TILES
