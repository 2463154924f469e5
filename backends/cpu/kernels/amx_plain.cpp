// y = x . w of many tokens with weights in f16 or bf16, with tile registers.
//
// Weights are the sum of two bf16 (bf16_tiles.hpp) and lose nothing, activations keep 16 bits: high * high, low * high
// and high * low are added. Where 8 bits of activations are enough, they have no low part; weights that are bf16
// already, whatever their format, have none either.
//
// Weights are the A operand, a panel of 32 rows for up to 512 tokens: they are prepared for every piece of tokens, and
// that takes no shuffle. Tokens are transposed into the B operand, once where they come packed; they stay in the
// second-level cache while one panel after the other passes.
#include "kernels/families.hpp"
#include "kernels/simd.hpp"

#ifdef SCF_HAS_TILES

#include "kernels/bf16_tiles.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr std::int64_t k_unit = 256;                 // elements of k in one stretch of memory
constexpr std::int64_t k_group = 512, k_block = 128; // tokens and rows whose sums are kept from chunk to chunk
constexpr std::int64_t k_steps = k_unit / k_square;  // of a unit
constexpr std::int64_t k_low = 2 * k_tile_bytes;     // where a step's low tiles begin: behind two high ones
/// Elements of k at once.
template <int PARTS> constexpr std::int64_t k_chunk = (PARTS == 1 ? 2 : 1) * k_unit;

/// k_unit elements of 32 tokens or of 32 weight rows, as PARTS bf16.
template <int PARTS> struct Packed { alignas(64) std::int8_t step[k_steps][PARTS * k_low]; };
struct Panel {
  Packed<2> operand;
  bool low[k_steps]; // whether the low tiles are needed; they are only there if so
};
template <int PARTS> struct Tokens {
  Packed<PARTS> operand;
  bool low;
};
static_assert(k_square == k_packed_plain.tokens && k_unit == k_packed_plain.k && sizeof(Tokens<1>) <= k_packed_bytes);
/// Tiles 0-3 one behind the other: rows of weights x tokens, 16 by 16.
struct Square {
  alignas(64) float sum[2][2][16][16];
};

template <int PARTS> struct Room {
  Panel* panel;          // [units of a chunk]
  Tokens<PARTS>* tokens; // [units][blocks of 32 tokens of a group]
  Square* sums;          // [blocks of 32 rows][blocks of tokens]
  std::uint64_t bytes;
};
constexpr std::int64_t blocks_of(std::int64_t n) { return (n + k_square - 1) / k_square; }
template <int PARTS> SCF_INLINE Room<PARTS> room_in(std::byte* base, std::int64_t tokens) {
  const std::uint64_t blocks = blocks_of(lesser(tokens, k_group)), units = k_chunk<PARTS> / k_unit;
  const std::uint64_t at_tokens = units * sizeof(Panel), at_sums = at_tokens + units * blocks * sizeof(Tokens<PARTS>);
  return {reinterpret_cast<Panel*>(base), reinterpret_cast<Tokens<PARTS>*>(base + at_tokens),
          reinterpret_cast<Square*>(base + at_sums), at_sums + blocks * (k_block / k_square) * sizeof(Square)};
}

/// n elements from `begin` of all of k.
struct Stretch {
  std::int64_t begin, n;
  std::int64_t steps() const { return blocks_of(n); }
};

/// body(u, unit) for the units of a chunk, or of all.
template <class Body> SCF_INLINE void each_unit(const Stretch& all, Body body) {
  for (std::int64_t u = 0; u * k_unit < all.n; ++u)
    body(u, Stretch{all.begin + u * k_unit, lesser(k_unit, all.n - u * k_unit)});
}

// ---- operands -------------------------------------------------------------------------------------------------------

/// 32 neighbouring elements of a token.
template <int PARTS> SCF_INLINE Cut words_of(const float* x) {
  if constexpr (PARTS == 1) return pair({nearest(load_as<F16>(x)), U16{}}, {nearest(load_as<F16>(x + 16)), U16{}});
  return pair(cut_near(x), cut_near(x + 16));
}
/// A step of 32 tokens into the B operand, words(r) of the r-th; the low tiles, if there are any, behind the high ones.
/// Adds to `low` what is in them.
template <int PARTS, class Words> SCF_INLINE void put_step(std::int8_t* out, U16& low, Words words) {
  Cut all[k_square];
  for (int r = 0; r < k_square; ++r) all[r] = words(r);
  for (int half = 0; half < 2; ++half)
    transpose_words([&](int r) { return &all[16 * half + r].high; }, out + half * k_tile_bytes);
  if constexpr (PARTS == 1) return;
  for (const Cut& row : all) low |= row.low;
  for (int half = 0; half < 2; ++half)
    transpose_words([&](int r) { return &all[16 * half + r].low; }, out + k_low + half * k_tile_bytes);
}
/// n elements of 32 tokens, zeros behind them. Adds to `low` what is in the low parts.
template <int PARTS>
SCF_INLINE void pack_unit(Packed<PARTS>& out, const float* const (&row)[k_square], std::int64_t n, U16& low) {
  const std::int64_t whole = n / k_square;
  for (std::int64_t s = 0; s < whole; ++s)
    put_step<PARTS>(out.step[s], low, [&](int r) { return words_of<PARTS>(row[r] + s * k_square); });
  if (whole * k_square == n) return;
  put_step<PARTS>(out.step[whole], low, [&](int r) {
    float part[k_square] = {};
    for (std::int64_t i = whole * k_square; i < n; ++i) part[i - whole * k_square] = row[r][i];
    return words_of<PARTS>(part);
  });
}
alignas(64) constexpr float k_no_token[k_unit] = {};
/// Args: GemmArgs or PackArgs.
template <class Args> SCF_INLINE const float* x_at(const Args& a, std::int64_t token) {
  const std::int64_t row = a.x_row != nullptr ? a.x_row[token] : token;
  return reinterpret_cast<const float*>(a.x + static_cast<std::uint64_t>(row) * a.x_stride);
}

/// A unit's elements of tokens [first, first + count), zeros for those that are missing.
template <int PARTS, class Args>
SCF_INLINE bool pack_tokens(Packed<PARTS>& out, const Args& a, std::int64_t first, std::int64_t count,
                            const Stretch& c) {
  const float* row[k_square];
  for (int r = 0; r < k_square; ++r) row[r] = r < count ? x_at(a, first + r) + c.begin : k_no_token;
  U16 low{};
  pack_unit(out, row, c.n, low);
  return PARTS > 1 && any(low);
}

template <bool BRAIN> SCF_INLINE F16 load_weights(const std::byte* p) {
  float v[16]; // nothing but a name where a vector has 16 elements
  for (int i = 0; i < 16; i += k_lanes) store(v + i, BRAIN ? load_bf16(p + 2 * i) : load_f16(p + 2 * i));
  return load_as<F16>(v);
}
/// A step of 32 weight rows into the A operand, row(r) the r-th. `exact`: as if all were bf16 already; returns whether
/// they are, else the low tiles are made too.
template <bool BRAIN, class Row> SCF_INLINE bool put_rows(std::int8_t* out, bool exact, Row row) {
  U16 low{};
  for (int r = 0; r < k_square; ++r, out += 64) {
    const std::byte* p = row(r);
    const F16 even = load_weights<BRAIN>(p), odd = load_weights<BRAIN>(p + k_square);
    if (exact) {
      store_as(out, reinterpret_cast<U16>(even) >> 16 | reinterpret_cast<U16>(odd));
      low |= reinterpret_cast<U16>(even) | reinterpret_cast<U16>(odd);
    } else {
      const Cut words = pair(cut(even), cut(odd));
      store_as(out, words.high);
      store_as(out + k_low, words.low);
    }
  }
  return BRAIN || (exact && !any(low & 0xffffu));
}

/// A unit's elements of rows [row, row + 32); from a.rows on they are the last one again, and not written later.
template <bool BRAIN> void fill_panel(Panel& panel, const GemmArgs& a, std::int64_t row, const Stretch& c) {
  const std::byte* from[k_square];
  for (std::int64_t r = 0; r < k_square; ++r)
    from[r] = a.w + static_cast<std::uint64_t>(lesser(row + r, a.rows - 1)) * a.w_stride + 2 * c.begin;
  bool exact = true;
  for (std::int64_t s = 0; s < c.steps(); ++s) {
    std::int8_t* out = panel.operand.step[s];
    const std::int64_t at = 2 * s * k_square, left = c.n - s * k_square;
    std::byte part[k_square][2 * k_square];
    const auto whole = [&](int r) { return from[r] + at; };
    const auto tail = [&](int r) {
      __builtin_memset(part[r], 0, sizeof part[r]);
      __builtin_memcpy(part[r], from[r] + at, static_cast<std::size_t>(2 * left));
      return part[r];
    };
    const auto put = [&](bool as_exact) {
      return left < k_square ? put_rows<BRAIN>(out, as_exact, tail) : put_rows<BRAIN>(out, as_exact, whole);
    };
    // A chunk of a row is too short for the hardware to run ahead into the next panel.
    for (const std::byte* p : from) __builtin_prefetch(p + at + k_square * static_cast<std::int64_t>(a.w_stride));
    exact = exact && put(true);
    if (!exact) put(false);
    panel.low[s] = !exact;
  }
}

// ---- products -------------------------------------------------------------------------------------------------------

SCF_INLINE void load_tiles(const Square& s) {
  tile_load<0>(s.sum[0][0], 64);
  tile_load<1>(s.sum[0][1], 64);
  tile_load<2>(s.sum[1][0], 64);
  tile_load<3>(s.sum[1][1], 64);
}
SCF_INLINE void store_tiles(Square& s) {
  tile_store<0>(s.sum[0][0], 64);
  tile_store<1>(s.sum[0][1], 64);
  tile_store<2>(s.sum[1][0], 64);
  tile_store<3>(s.sum[1][1], 64);
}

/// A chunk of n elements of 32 tokens and a panel; `stride` bytes from one unit of the tokens to the next.
template <int PARTS>
SCF_INLINE void multiply(const std::byte* x, std::uint64_t stride, const Panel* panel, std::int64_t n, bool first,
                         Square& out) {
  if (first)
    zero_square();
  else
    load_tiles(out);
  for (const Panel* w = panel; n > 0; n -= k_unit, x += stride, ++w) {
    const auto& tokens = *reinterpret_cast<const Tokens<PARTS>*>(x);
    for (std::int64_t s = 0; s < blocks_of(lesser(n, k_unit)); ++s) {
      load_a(w->operand.step[s]);
      if (PARTS > 1 && tokens.low) {
        load_b(tokens.operand.step[s] + k_low);
        add_products();
      }
      load_b(tokens.operand.step[s]);
      add_products();
      if (w->low[s]) {
        load_a(w->operand.step[s] + k_low);
        add_products();
      }
    }
  }
  store_tiles(out);
}

/// 32 rows x 32 tokens into y; what lies outside is left out.
SCF_INLINE void write(const Square& sums, const GemmArgs& a, std::int64_t row, std::int64_t token) {
  const std::int64_t rows = lesser(k_square, a.rows - row), tokens = lesser(k_square, a.tokens - token);
  alignas(64) float by_token[2][16][16];
  for (std::int64_t t = 0; t < tokens; ++t) {
    if (t % 16 == 0)
      for (int half = 0; half < 2; ++half)
        transpose_words([&](int r) { return sums.sum[half][t / 16][r]; }, by_token[half]);
    float* y = a.y + (a.y_row != nullptr ? a.y_row[token + t] : token + t) * a.y_stride + row;
    for (std::int64_t r = 0; r < rows; r += 16) {
      const float* from = by_token[r / 16][t % 16];
      if (r + 16 <= rows)
        store_as(y + r, load_as<F16>(from));
      else
        for (std::int64_t i = 0; i < rows - r; ++i) y[r + i] = from[i];
    }
  }
}

/// Rows [row, until) for the tokens of a group.
template <bool BRAIN, int PARTS>
void multiply_block(const GemmArgs& a, const Room<PARTS>& room, std::int64_t row, std::int64_t until,
                    std::int64_t token) {
  const std::int64_t tokens = lesser(k_group, a.tokens - token), blocks = blocks_of(tokens);
  const std::int64_t panels = blocks_of(until - row);
  // Units of tokens: from one to the next of k, and of tokens.
  const std::uint64_t stride = a.packed ? a.x_stride : static_cast<std::uint64_t>(blocks) * sizeof(Tokens<PARTS>);
  const std::uint64_t across = a.packed ? k_packed_bytes : sizeof(Tokens<PARTS>);
  for (Stretch c{0, 0}; c.begin < a.k; c.begin += k_chunk<PARTS>) {
    c.n = lesser(k_chunk<PARTS>, a.k - c.begin);
    const std::byte* x = reinterpret_cast<const std::byte*>(room.tokens);
    if (a.packed)
      x = a.x + static_cast<std::uint64_t>(c.begin / k_unit) * stride +
          static_cast<std::uint64_t>(token / k_square) * across;
    else
      each_unit(c, [&](std::int64_t u, const Stretch& unit) {
        for (std::int64_t b = 0; b < blocks; ++b) {
          Tokens<PARTS>& to = room.tokens[u * blocks + b];
          to.low = pack_tokens(to.operand, a, token + b * k_square, lesser(k_square, tokens - b * k_square), unit);
        }
      });
    for (std::int64_t p = 0; p < panels; ++p) {
      each_unit(c, [&](std::int64_t u, const Stretch& unit) {
        fill_panel<BRAIN>(room.panel[u], a, row + p * k_square, unit);
      });
      for (std::int64_t b = 0; b < blocks; ++b)
        multiply<PARTS>(x + static_cast<std::uint64_t>(b) * across, stride, room.panel, c.n, c.begin == 0,
                        room.sums[p * blocks + b]);
    }
  }
  for (std::int64_t p = 0; p < panels; ++p)
    for (std::int64_t b = 0; b < blocks; ++b)
      write(room.sums[p * blocks + b], a, row + p * k_square, token + b * k_square);
}

template <bool BRAIN, int PARTS> void multiply_all(const GemmArgs& a) {
  const auto room = room_in<PARTS>(a.scratch, a.tokens);
  begin_squares();
  for (std::int64_t token = 0; token < a.tokens; token += k_group)
    for (std::int64_t row = 0; row < a.rows; row += k_block)
      multiply_block<BRAIN, PARTS>(a, room, row, lesser(a.rows, row + k_block), token);
  tiles_end();
}

} // namespace

std::uint64_t plain_tiles_scratch(std::int64_t tokens) {
  return greater(room_in<1>(nullptr, tokens).bytes, room_in<2>(nullptr, tokens).bytes);
}

bool plain_tiles_takes(DType dtype, const GemmArgs& args) {
  const bool many = args.packed || args.tokens > k_few_plain;
  return (dtype == DType::f16 || dtype == DType::bf16) && args.scratch != nullptr && many && args.k > 0;
}

void plain_tiles(DType dtype, const GemmArgs& args) {
  const bool brain = dtype == DType::bf16;
  if (args.act8)
    (brain ? multiply_all<true, 1> : multiply_all<false, 1>)(args);
  else
    (brain ? multiply_all<true, 2> : multiply_all<false, 2>)(args);
}

void plain_tiles_pack(const PackArgs& args) {
  each_unit({0, args.k}, [&](std::int64_t u, const Stretch& c) {
    auto* unit = reinterpret_cast<Tokens<1>*>(args.out + static_cast<std::uint64_t>(u) * args.out_stride);
    pack_tokens(unit->operand, args, 0, args.tokens, c);
  });
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#endif // SCF_HAS_TILES
