// Attention and the indexer's scores with tile registers, for the sets that have them.
//
// Operands are one bf16, rounded, where 8 bits are enough, else cut into two (bf16_tiles.hpp), exact for all rows in
// f16; products with a low part that is zero throughout a tile are left out. That is most of them: rows rounded to E4M3
// and keys of the indexer fit the high part.
//
// Scores: keys are the A operand, queries the B operand, whose transposition is done once per token; a row of the
// result is 16 heads, so the softmax runs along vectors of heads. Weighted rows: weights are the A operand, rows the B
// operand.
//
// Neighbouring tokens see nearly the same rows. These are prepared for several of them: as keys, for all scores, then,
// in the same place, as values for all weighted rows; loads from the second-level cache bound the products, and it
// holds little more. Up to 21 blocks of rows, the window and 512 more, are one chunk, with which the sums of weighted
// rows are complete.
#include "kernels/families.hpp"
#include "kernels/row_tiles.hpp"

#ifdef SCF_HAS_TILES

#include "kernels/bf16_tiles.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

constexpr std::int64_t k_block = k_square; // rows, heads and columns that two tiles hold
constexpr std::int64_t k_blocks = 6;       // of rows in a chunk of one token
constexpr std::int64_t k_many_blocks = 21; // of several tokens
/// Blocks of rows whose weights are used together; of one part that is all.
template <int PARTS> constexpr std::int64_t k_near_blocks = PARTS == 1 ? k_many_blocks : 12;
constexpr std::int64_t k_steps = 16; // blocks of columns whose queries stay there
constexpr std::int64_t k_most_steps = k_attend_dim / k_block;

// ---- operands -------------------------------------------------------------------------------------------------------

/// A value as PARTS bf16: one, to the nearest, or two.
template <int PARTS> SCF_INLINE Cut cut_into(F16 v) {
  if constexpr (PARTS == 1) return {nearest(v), U16{}};
  return cut(v);
}
/// 16 elements of a row from `column`.
template <int PARTS> SCF_INLINE Cut cut_row(const RowAt& row, std::int64_t column) {
  if (!row.half) return cut_into<PARTS>(load_as<F16>(reinterpret_cast<const float*>(row.data) + column));
  float v[16]; // nothing but a name where a vector has 16 elements
  for (int i = 0; i < 16; i += k_lanes) store(v + i, load_f16(row.data + 2 * (column + i)));
  return cut_into<PARTS>(load_as<F16>(v));
}

/// An operand as tiles: [block][step][2] of k_tile_bytes bytes, values [step][block][2]; high and low parts, the latter
/// only where there are two.
struct Operand {
  std::int8_t *high, *low;
  Operand from(std::int64_t tile) const {
    return {high + tile * k_tile_bytes, low != nullptr ? low + tile * k_tile_bytes : nullptr};
  }
};
SCF_INLINE void put(std::int8_t* tiles, std::int64_t tile, std::int64_t row, U16 words) {
  store_as(tiles + tile * k_tile_bytes + 64 * row, words);
}

/// 16 rows of an operand from its columns.
template <int PARTS> SCF_INLINE void put_turned(const Operand& out, std::int64_t tile, const Cut (&columns)[16]) {
  transpose_words([&](int i) { return &columns[i].high; }, out.high + tile * k_tile_bytes);
  if constexpr (PARTS == 2) transpose_words([&](int i) { return &columns[i].low; }, out.low + tile * k_tile_bytes);
}

/// Queries of 32 heads per block: columns by heads. Says whether a low part is needed.
template <int PARTS>
SCF_INLINE bool put_queries(const float* q, std::int64_t heads, std::int64_t dim, const Operand& out) {
  const std::int64_t steps = dim / k_block;
  U16 low{};
  for (std::int64_t h = 0; h < heads; h += 16)
    for (std::int64_t s = 0; s < steps; ++s) {
      Cut words[16];
      for (int i = 0; i < 16; ++i) {
        const float* p = q + (h + i) * dim + s * k_block;
        words[i] = pair(cut_into<PARTS>(load_as<F16>(p)), cut_into<PARTS>(load_as<F16>(p + 16)));
        low |= words[i].low;
      }
      put_turned<PARTS>(out, (h / k_block * steps + s) * 2 + h / 16 % 2, words);
    }
  return any(low);
}

/// 32 rows of which n are real.
struct RowBlock {
  RowAt row[k_block];
  std::int64_t n;
};
SCF_INLINE RowBlock next_block(RowReader& reader) {
  static const std::byte zeros[k_attend_dim * 2] = {};
  RowBlock block;
  block.n = reader.point(k_block, block.row);
  for (std::int64_t i = block.n; i < k_block; ++i) block.row[i] = {zeros, true};
  return block;
}

enum class As { keys, values };
/// 32 rows as keys (rows by columns) or as values (pairs of rows by columns). `needs_low`: per step; low parts are only
/// there where it says so. `blocks`: of all values. `coming`: as many lines of it for each step.
template <int PARTS, As AS>
SCF_INLINE void put_rows(const RowBlock& rows, std::int64_t block, std::int64_t blocks, std::int64_t steps,
                         const Operand& out, bool* needs_low, Coming& coming, std::int64_t lines) {
  for (std::int64_t s = 0; s < steps; ++s) {
    coming.fetch(lines);
    const std::int64_t tile = (AS == As::keys ? block * steps + s : s * blocks + block) * 2, column = s * k_block;
    const auto put_parts = [&](std::int8_t* tiles, std::int64_t r, U16 a, U16 b, U16 c, U16 d) {
      put(tiles, tile, r, a >> 16 | (AS == As::keys ? b : c));
      put(tiles, tile + 1, r, (AS == As::keys ? c : b) >> 16 | d);
    };
    const auto each_pair = [&](auto body) {
      for (std::int64_t r = 0; r < 16; ++r) {
        const RowAt &upper = rows.row[r], &lower = rows.row[r + 16];
        body(r, cut_row<PARTS>(upper, column), cut_row<PARTS>(upper, column + 16), cut_row<PARTS>(lower, column),
             cut_row<PARTS>(lower, column + 16));
      }
    };
    U16 low{};
    each_pair([&](std::int64_t r, const Cut& a, const Cut& b, const Cut& c, const Cut& d) {
      put_parts(out.high, r, a.high, b.high, c.high, d.high);
      low |= a.low | b.low | c.low | d.low;
    });
    needs_low[s] = any(low);
    if (!needs_low[s]) continue;
    each_pair([&](std::int64_t r, const Cut& a, const Cut& b, const Cut& c, const Cut& d) {
      put_parts(out.low, r, a.low, b.low, c.low, d.low);
    });
  }
}

// ---- products -------------------------------------------------------------------------------------------------------

/// score[row][head] of 32 rows and 32 heads, over steps [begin, end).
template <int PARTS>
SCF_INLINE void add_scores(const Operand& keys, std::int64_t key_tile, const Operand& queries, std::int64_t begin,
                           std::int64_t end, bool query_low, const bool* key_low, Coming& coming, std::int64_t lines) {
  for (std::int64_t s = begin; s < end; ++s) {
    coming.fetch(lines);
    const std::int64_t k = (key_tile + 2 * s) * k_tile_bytes, q = 2 * s * k_tile_bytes;
    load_a(keys.high + k);
    if (PARTS == 2 && query_low) {
      load_b(queries.low + q);
      add_products();
    }
    load_b(queries.high + q);
    add_products();
    if (PARTS == 2 && key_low[s]) {
      load_a(keys.low + k);
      add_products();
    }
  }
}

// ---- attention ------------------------------------------------------------------------------------------------------

/// What a call works in; all of it in its scratch. Rows: of a chunk, as keys, then as values. Queries and weights: of
/// each token.
struct Room {
  Operand rows, queries[k_attend_tokens], weights[k_attend_tokens];
  float* score;
  std::uint64_t bytes;
};
template <int PARTS>
SCF_INLINE Room room_in(std::byte* base, std::int64_t heads, std::int64_t dim, std::int64_t tokens,
                        std::int64_t blocks) {
  std::uint64_t used = 0;
  const auto take = [&](std::int64_t bytes) {
    std::byte* part = base + used;
    used += up_to_line(static_cast<std::uint64_t>(bytes));
    return part;
  };
  const auto operand = [&](std::int64_t elems) {
    auto* high = reinterpret_cast<std::int8_t*>(take(elems * 2));
    return Operand{high, PARTS == 2 ? reinterpret_cast<std::int8_t*>(take(elems * 2)) : nullptr};
  };
  const std::int64_t rows = blocks * k_block;
  Room room{};
  room.rows = operand(rows * dim);
  for (std::int64_t t = 0; t < tokens; ++t) {
    room.queries[t] = operand(heads * dim);
    room.weights[t] = operand(rows * heads);
  }
  room.score = reinterpret_cast<float*>(take(rows * k_block * 4));
  room.bytes = used;
  return room;
}

/// What a token carries from chunk to chunk.
struct Softmax {
  alignas(64) float top[k_attend_heads], weights[k_attend_heads], keep[k_attend_heads];
  bool query_low[k_attend_heads / k_block];

  /// `sinks`: nullptr where there are none.
  void begin(const float* sinks, std::int64_t heads) {
    for (std::int64_t h = 0; h < heads; ++h) {
      top[h] = sinks != nullptr ? sinks[h] : -__builtin_inff();
      weights[h] = sinks != nullptr ? 1.0f : 0.0f;
    }
  }
};

/// body(row) for the rows of a chunk of n from `at` that a token sees.
template <class Body> SCF_INLINE void each_seen(const Seen& seen, std::int64_t at, std::int64_t n, Body body) {
  for (int i = 0; i < 2; ++i)
    for (std::int64_t r = greater(seen.begin[i] - at, std::int64_t{0}), end = lesser(seen.end[i] - at, n); r < end; ++r)
      body(r);
}
/// Scores of rows that it does not see, and of those beyond n, become weights of zero.
SCF_INLINE void clear_unseen(const Seen& seen, std::int64_t at, std::int64_t padded, float* score) {
  const auto clear = [&](std::int64_t from, std::int64_t to) {
    from = greater(from - at, std::int64_t{0});
    to = lesser(to - at, padded);
    if (from < to) __builtin_memset(score + from * k_block, 0, static_cast<std::size_t>((to - from) * k_block) * 4);
  };
  clear(at, seen.begin[0]);
  clear(seen.end[0], seen.begin[1]);
  clear(seen.end[1], at + padded);
}

/// 2^x of x <= 0 to 1e-4 of it: bf16 keeps less. NaN stays.
SCF_INLINE F short_exp2(F x) {
  x = max(set1(-126.0f), x);
  const F n = round(x), r = x - n;
  F p = set1(5.51716691e-2f);
  p = fma(p, r, set1(2.42611122e-1f));
  p = fma(p, r, set1(6.93260985e-1f));
  p = fma(p, r, set1(9.99928074e-1f));
  return p * pow2(n);
}

/// Scores [n][32] of the rows from `at` with 32 heads from h on become weights.
template <int PARTS>
SCF_INLINE void weigh(float* score, const Seen& seen, std::int64_t at, std::int64_t n, std::int64_t padded,
                      std::int64_t h, float scale, Softmax& of) {
  constexpr int n_side = k_block / k_lanes; // vectors of a row
  const F unit = set1(scale * 1.44269504f);
  F high[n_side], total[n_side], shift[n_side];
  for (int u = 0; u < n_side; ++u) {
    high[u] = set1(-__builtin_inff());
    total[u] = zero();
  }
  each_seen(seen, at, n, [&](std::int64_t r) {
    for (int u = 0; u < n_side; ++u) high[u] = max(high[u], load(score + r * k_block + u * k_lanes));
  });
  for (int u = 0; u < n_side; ++u) {
    high[u] = max(load(of.top + h + u * k_lanes), high[u] * set1(scale));
    shift[u] = high[u] * set1(-1.44269504f);
  }
  each_seen(seen, at, n, [&](std::int64_t r) {
    for (int u = 0; u < n_side; ++u) {
      float* p = score + r * k_block + u * k_lanes;
      const F s = load(p), w = PARTS == 1 ? short_exp2(fma(s, unit, shift[u])) : exp(s * set1(scale) - high[u]);
      store(p, w);
      total[u] = total[u] + w;
    }
  });
  for (int u = 0; u < n_side; ++u) {
    const std::int64_t i = h + u * k_lanes;
    const F keep = exp(load(of.top + i) - high[u]);
    store(of.keep + i, keep);
    store(of.weights + i, fma(load(of.weights + i), keep, total[u]));
    store(of.top + i, high[u]);
  }
  clear_unseen(seen, at, padded, score);
}

/// Weights [rows][32] as heads by pairs of rows; `share` of each head's.
template <int PARTS>
SCF_INLINE void put_weights(const float* weight, std::int64_t blocks, const float* share, const Operand& out) {
  for (std::int64_t h = 0; h < k_block; h += 16) {
    const F16 of_heads = load_as<F16>(share + h);
    for (std::int64_t b = 0; b < blocks; ++b) {
      Cut words[16];
      for (std::int64_t r = 0; r < 16; ++r) {
        const float* p = weight + (b * k_block + r) * k_block + h;
        words[r] = pair(cut_into<PARTS>(load_as<F16>(p) * of_heads),
                        cut_into<PARTS>(load_as<F16>(p + 16 * k_block) * of_heads));
      }
      put_turned<PARTS>(out, b * 2 + h / 16, words);
    }
  }
}

/// Which low parts are needed, by block and step.
typedef bool Lows[k_many_blocks][k_most_steps];
/// Blocks of rows, of which `n` are real, in a chunk of `most`.
struct Chunk {
  std::int64_t blocks, most, n;
};

/// `coming`: what is fetched meanwhile, in a chunk of `expected` blocks.
template <int PARTS, As AS>
SCF_INLINE Chunk read_chunk(RowReader& reader, const Room& room, std::int64_t dim, std::int64_t most, Lows& low,
                            Coming coming, std::int64_t expected) {
  const std::int64_t lines = coming.each(greater(expected, std::int64_t{1}) * (dim / k_block));
  Chunk chunk{0, most, 0};
  while (chunk.blocks < most) {
    const RowBlock rows = next_block(reader);
    if (rows.n == 0) break;
    put_rows<PARTS, AS>(rows, chunk.blocks, most, dim / k_block, room.rows, low[chunk.blocks], coming, lines);
    chunk.n += rows.n;
    ++chunk.blocks;
    if (rows.n < k_block) break;
  }
  return chunk;
}

/// Of 32 heads. `coming`: as many lines of it for each step.
template <int PARTS>
SCF_INLINE void score_chunk(const Room& room, const Operand& queries, std::int64_t blocks, std::int64_t steps,
                            bool query_low, const Lows& low, Coming& coming, std::int64_t lines) {
  for (std::int64_t begin = 0; begin < steps; begin += k_steps)
    for (std::int64_t b = 0; b < blocks; ++b) {
      float* score = room.score + b * k_block * k_block;
      if (begin == 0)
        zero_square();
      else
        load_square(score, k_block);
      add_scores<PARTS>(room.rows, b * steps * 2, queries, begin, lesser(steps, begin + k_steps), query_low, low[b],
                        coming, lines);
      store_square(score, k_block);
    }
}

template <int PARTS>
SCF_INLINE void mix_chunk(const Room& room, const Operand& weights, const Chunk& chunk, std::int64_t heads,
                          std::int64_t dim, bool first, const Lows& low, float* o) {
  const std::int64_t steps = dim / k_block;
  for (std::int64_t h = 0; h < heads; h += k_block)
    for (std::int64_t begin = 0; begin < chunk.blocks; begin += k_near_blocks<PARTS>)
      for (std::int64_t s = 0; s < steps; ++s) {
        float* out = o + h * dim + s * k_block;
        if (first && begin == 0)
          zero_square();
        else
          load_square(out, dim);
        const std::int64_t end = lesser(chunk.blocks, begin + k_near_blocks<PARTS>);
        for (std::int64_t b = begin; b < end; ++b) {
          const std::int64_t w = (h / k_block * chunk.most + b) * 2 * k_tile_bytes,
                             v = (s * chunk.most + b) * 2 * k_tile_bytes;
          load_b(room.rows.high + v);
          if constexpr (PARTS == 2) {
            load_a(weights.low + w);
            add_products();
          }
          load_a(weights.high + w);
          add_products();
          if (PARTS == 2 && low[b][s]) {
            load_b(room.rows.low + v);
            add_products();
          }
        }
        store_square(out, dim);
      }
}

/// One call. `most`: blocks in a chunk; `once`: all rows are one chunk; `expected`: blocks in the first one.
template <int PARTS> class Attention {
public:
  Attention(const AttendArgs& a, std::int64_t rows)
      : args(a), most(a.tokens > 1 ? k_many_blocks : k_blocks), expected(lesser(most, (rows + k_block - 1) / k_block)),
        once(rows <= most * k_block), room(room_in<PARTS>(a.scratch, a.heads, a.dim, a.tokens, most)) {}

  void run() {
    for (std::int64_t t = 0; t < args.tokens; ++t) softmax[t].begin(args.sinks, args.heads);
    RowReader keys(args.segments, args.n_segments), values = keys;
    std::int64_t at = 0;
    for (Chunk chunk; (chunk = read<As::keys>(keys, at == 0 ? queries_of(0) : Coming{})).n > 0; at += chunk.n) {
      for (std::int64_t t = 0; t < args.tokens; ++t) score(t, chunk, at);
      read<As::values>(values, {});
      for (std::int64_t t = 0; t < args.tokens; ++t) mix(t, chunk, at);
    }
    for (std::int64_t t = 0; t < args.tokens && (at == 0 || !once); ++t) finish(t, at == 0);
    if (args.partial == nullptr) return;
    __builtin_memcpy(args.partial->top, softmax[0].top, static_cast<std::size_t>(args.heads) * sizeof(float));
    __builtin_memcpy(args.partial->weights, softmax[0].weights, static_cast<std::size_t>(args.heads) * sizeof(float));
  }

private:
  float* result(std::int64_t t) const { return args.o + t * args.heads * args.dim; }
  /// Queries of a token, which come from memory; nothing behind the last one.
  Coming queries_of(std::int64_t t) const {
    if (t >= args.tokens) return {};
    return {reinterpret_cast<const std::byte*>(args.q + t * args.heads * args.dim), 0, 1, args.heads * args.dim / 16};
  }

  template <As AS> Chunk read(RowReader& reader, const Coming& coming) {
    return read_chunk<PARTS, AS>(reader, room, args.dim, most, low, coming, expected);
  }

  void score(std::int64_t t, const Chunk& chunk, std::int64_t at) {
    if (at == 0 && args.before != nullptr) args.before(args.context, t);
    Coming next = at == 0 ? queries_of(t + 1) : Coming{};
    const std::int64_t lines = next.each(args.heads / k_block * chunk.blocks * (args.dim / k_block));
    for (std::int64_t h = 0; h < args.heads; h += k_block) score_heads(t, h, chunk, at, next, lines);
  }
  /// 32 heads from h on.
  void score_heads(std::int64_t t, std::int64_t h, const Chunk& chunk, std::int64_t at, Coming& next,
                   std::int64_t lines) {
    const std::int64_t dim = args.dim, steps = dim / k_block;
    const Operand queries = once ? room.queries[0] : room.queries[t].from(h / k_block * steps * 2);
    Softmax& of = softmax[t];
    bool& query_low = of.query_low[h / k_block];
    if (at == 0) query_low = put_queries<PARTS>(args.q + (t * args.heads + h) * dim, k_block, dim, queries);
    score_chunk<PARTS>(room, queries, chunk.blocks, steps, query_low, low, next, lines);
    const Seen seen = args.seen != nullptr ? args.seen[t] : Seen{{0, at + chunk.n}, {at + chunk.n, at + chunk.n}};
    weigh<PARTS>(room.score, seen, at, chunk.n, chunk.blocks * k_block, h, args.scale, of);
    alignas(64) float share[k_block];
    for (std::int64_t i = 0; i < k_block; ++i) share[i] = once ? 1.0f / of.weights[h + i] : 1.0f;
    put_weights<PARTS>(room.score, chunk.blocks, share, room.weights[t].from(h / k_block * most * 2));
  }
  void mix(std::int64_t t, const Chunk& chunk, std::int64_t at) {
    float* o = result(t);
    for (std::int64_t h = 0; h < args.heads && at != 0; ++h)
      if (softmax[t].keep[h] != 1.0f)
        scale_by(o + h * args.dim, softmax[t].keep[h], nullptr, o + h * args.dim, args.dim);
    mix_chunk<PARTS>(room, room.weights[t], chunk, args.heads, args.dim, at == 0, low, o);
    if (once && args.after != nullptr) args.after(args.context, t);
  }
  /// Weights were not yet shares, or there were no rows: the sink has all.
  void finish(std::int64_t t, bool none) const {
    for (std::int64_t h = 0; h < args.heads; ++h) {
      float* o = result(t) + h * args.dim;
      if (none) __builtin_memset(o, 0, static_cast<std::size_t>(args.dim) * sizeof(float));
      scale_by(o, 1.0f / softmax[t].weights[h], nullptr, o, args.dim);
    }
    if (args.after != nullptr) args.after(args.context, t);
  }

  const AttendArgs& args;
  const std::int64_t most, expected;
  const bool once;
  const Room room;
  Softmax softmax[k_attend_tokens];
  Lows low;
};

} // namespace

std::uint64_t attend_tiles_scratch(std::int64_t heads, std::int64_t dim, bool act8) {
  const auto room = act8 ? room_in<1> : room_in<2>;
  return room(nullptr, heads, dim, k_attend_tokens, k_many_blocks).bytes;
}

bool attend_tiles_takes(std::int64_t heads, std::int64_t dim, bool rounded) {
  return rounded && heads % k_block == 0 && dim % k_block == 0;
}

void attend_tiles(const AttendArgs& args) {
  std::int64_t rows = 0;
  for (std::int64_t s = 0; s < args.n_segments; ++s) rows += args.segments[s].count;
  begin_squares();
  if (args.act8)
    Attention<1>(args, rows).run();
  else
    Attention<2>(args, rows).run();
  tiles_end();
}

// ---- indexer --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::int64_t k_index_heads = 64, k_index_columns = 128; // most that tiles are used for
constexpr std::int64_t k_index_rows = 256;                        // fewer: not worth transposing the queries

} // namespace

bool index_score_tiles_takes(const IndexScoreArgs& args) {
  return args.rows.half && args.rows.count >= k_index_rows && args.heads % k_block == 0 &&
         args.heads <= k_index_heads && args.dim % k_block == 0 && args.dim <= k_index_columns;
}

void index_score_tiles(const IndexScoreArgs& args) {
  alignas(64) std::int8_t queries[2][k_index_heads * k_index_columns * 2], keys[2][k_block * k_index_columns * 2];
  alignas(64) float score[k_block * k_index_heads];
  const std::int64_t heads = args.heads, steps = args.dim / k_block;
  const Operand query{queries[0], queries[1]}, key{keys[0], keys[1]};
  const bool query_low = put_queries<2>(args.q, heads, args.dim, query);
  begin_squares();
  RowReader reader(&args.rows, 1);
  std::int64_t done = 0;
  bool low[k_most_steps];
  Coming none;
  for (RowBlock rows = next_block(reader); rows.n > 0; rows = next_block(reader)) {
    put_rows<2, As::keys>(rows, 0, 1, steps, key, low, none, 0);
    for (std::int64_t h = 0; h < heads; h += k_block) {
      zero_square();
      add_scores<2>(key, 0, query.from(h / k_block * steps * 2), 0, steps, query_low, low, none, 0);
      store_square(score + h, heads);
    }
    for (std::int64_t r = 0; r < rows.n; ++r) {
      F total = zero();
      for (std::int64_t h = 0; h < heads; h += k_lanes)
        total = fma(max(load(score + r * heads + h), zero()), load(args.w + h), total);
      args.out[done + r] = sum(total) * args.scale;
    }
    done += rows.n;
  }
  tiles_end();
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#endif // SCF_HAS_TILES
