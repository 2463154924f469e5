// Instruction sets: what the kernels offer to the operations, once per set.
//
// kernels/*.cpp is compiled once per set and fills one `Isa` each; ops/*.cpp is compiled once, for the plain machine,
// and calls through the table. The sizes are whole rows or tiles, so the call costs nothing that counts.
#pragma once

#include <seacliff/sdk/dtype.hpp>

#include <cstddef>
#include <cstdint>

namespace seacliff::cpu {

/// How activations are quantised for the integer dot products.
enum class Act : std::uint32_t {
  none, // f32 as they are
  q8_0, // int8 per 32, scale max/127
  q8_k, // int8 per 256 (the last one may be shorter)
};

/// One quantised activation row of k elements: int8 codes, then f32 scales (per 32 or 256), then for q8_k the sums of
/// the codes of every 16 and of every 32 elements, as f32. Offsets in bytes; each part begins on 64 bytes.
struct ActLayout {
  std::uint64_t scales, sums16, sums32, bytes;
};
constexpr std::uint64_t up_to_line(std::uint64_t bytes) { return (bytes + 63) / 64 * 64; }
constexpr ActLayout act_layout(Act act, std::int64_t k) {
  const auto n = static_cast<std::uint64_t>(k);
  const std::uint64_t scales = up_to_line(n);
  const std::uint64_t sums16 = scales + up_to_line((act == Act::q8_k ? (n + 255) / 256 : n / 32) * 4);
  if (act != Act::q8_k) return {scales, sums16, sums16, sums16};
  const std::uint64_t sums32 = sums16 + up_to_line(n / 16 * 4);
  return {scales, sums16, sums32, sums32 + up_to_line(n / 32 * 4)};
}

/// Where products like their activations better in tiles of some tokens and elements: [chunk of k][tile], each of
/// k_packed_bytes, what is in them is the format's business.
struct PackedShape {
  std::int64_t tokens, k;
};
inline constexpr std::int64_t k_packed_tokens = 16, k_packed_k = 1024;
inline constexpr PackedShape k_packed_codes{k_packed_tokens, k_packed_k}, k_packed_plain{32, 256};
inline constexpr std::uint64_t k_packed_bytes = 16 * 1024 + 2 * 4 * 16 * 4;
/// Rows of the tokens of one tile into its chunks: quantised ones (Format::act_many), or f32 for plain formats.
struct PackArgs {
  const std::byte* x;
  std::uint64_t x_stride;              // bytes
  std::int64_t tokens, k;              // tokens: as many as a tile has, or fewer
  std::byte* out;                      // the tile's first chunk
  std::uint64_t out_stride;            // bytes from chunk to chunk
  const std::int32_t* x_row = nullptr; // token t is row x_row[t]; nullptr: t
  std::int64_t begin = 0, n = 0;       // elements of a row, from a multiple of 256 on; n 0: all of them
};

/// y[t][r] = w[r] . x[t]: `rows` rows of a weight matrix with `tokens` rows of activations.
struct GemmArgs {
  const std::byte* w;
  std::uint64_t w_stride; // bytes
  std::int64_t rows, k;   // k: a multiple of the format's block
  const std::byte* x;     // f32 rows, or quantised rows as the format wants
  std::uint64_t x_stride; // bytes
  std::int64_t tokens;
  float* y;
  std::int64_t y_stride;               // elements from token to token; rows are neighbours
  const std::int32_t* x_row = nullptr; // token t reads row x_row[t] of x; nullptr: t
  const std::int32_t* y_row = nullptr; // and writes row y_row[t] of y; nullptr: t
  const std::byte* w2 = nullptr;       // gemm_many with `pack`: another matrix like w with the same activations,
  float* y2 = nullptr;                 // and its results; nullptr: none
  bool packed = false;                 // x is the first of the tokens' tiles, x_stride from chunk to chunk
  bool act8 = false;                   // gemm: activations may be rounded, each by itself, to 8 bits
  std::byte* scratch = nullptr;        // from a cache line on; gemm_many: Isa::many_scratch(tokens) bytes, gemm:
                                       // gemm_scratch(tokens), or nullptr and be slower
  const std::byte* next = nullptr;     // weights that this worker reads afterwards; nullptr: not known
  bool stream = false;                 // y is large and not read soon: it may go past the caches
  bool brief = false;                  // gemm_many with `pack`: y is Brief, `rows` begin with a group of it
};

/// Rows of results as f16, in sixteenths, in groups of 32. The last group of a row is whole.
struct Brief {
  std::uint16_t half[32];
};
inline constexpr std::int64_t k_brief = 32; // elements
/// For sets whose gemm_many writes them; n: elements.
struct BriefRows {
  void (*round)(const float* x, std::int64_t n, Brief* out);
  /// out[0..n) = sum of rows, in their order; those that are read next lie as far behind them as `ahead` says.
  void (*sum)(const Brief* const* rows, std::int64_t count, std::int64_t ahead, float* out, std::int64_t n);
};

/// Steps of so many tokens or fewer use gemm_act; weights in plain formats are not prepared for so many or fewer.
inline constexpr std::int64_t k_few_tokens = 8, k_few_plain = 16;

/// The product with one weight format.
struct Format {
  DType dtype;
  void (*decode)(const std::byte* blocks, float* out, std::int64_t n);
  void (*gemm)(const GemmArgs&);         // f32 activations
  void (*gemm_squares)(const GemmArgs&); // and y[t][rows] = x[t] . x[t]: few and long rows, few tokens
  Act act;                               // what gemm_act takes; none: there is no product of quantised activations
  void (*gemm_act)(const GemmArgs&);     // quantised activations
  Act act_many;                          // what gemm_many takes
  void (*gemm_many)(const GemmArgs&);    // quantised activations, quicker than gemm_act for more tokens
  void (*pack)(const PackArgs&);         // for gemm_many, or gemm with act8; nullptr: it takes rows only
  std::int64_t few_of_many;              // of larger steps: up to so many tokens gemm_act is as quick, with act_many
};

/// Rows in memory, one every `stride` bytes; `pick` chooses among them.
struct Segment {
  const std::byte* base;
  std::uint64_t stride;
  std::int64_t count;
  const std::int32_t* pick = nullptr; // nullptr: 0, 1, 2, ...
  bool half = false;                  // f16, else f32
};

/// What one token sees of the rows of several segments, counted through: two stretches, the second behind the first.
struct Seen {
  std::int64_t begin[2], end[2];
};

/// Attention of some heads of neighbouring tokens over rows of the segments, which are keys and values in one.
struct AttendArgs {
  const float* q;     // [tokens, heads, dim]
  const float* sinks; // [heads]; nullptr with `partial`
  float* o;           // [tokens, heads, dim]; may be q
  std::int64_t heads, dim;
  float scale;
  const Segment* segments;
  std::int64_t n_segments;
  std::byte* scratch;         // Isa::attend_scratch(heads, dim, act8) bytes, 64-byte aligned
  bool rounded;               // rows hold no more than f16 does: they may be multiplied as a sum of two bf16
  bool act8 = false;          // queries, weights and rows may be rounded to 8 bits (then rounded, too)
  std::int64_t tokens = 1;    // Isa::attend_together at most
  const Seen* seen = nullptr; // [tokens]; nullptr: each sees all rows
  void (*before)(const void* context, std::int64_t token) = nullptr; // its queries are wanted
  void (*after)(const void* context, std::int64_t token) = nullptr;  // its results are there
  const void* context = nullptr;
  /// One token and some of its rows, where attend_together says more than 1: o is their weighted mean, without a sink,
  /// and these are each head's largest score and, e to the score less that, the sum of the weights.
  struct Partial {
    float *top, *weights; // [heads]
  };
  const Partial* partial = nullptr;
};
inline constexpr std::int64_t k_attend_heads = 128; // most heads in one call
inline constexpr std::int64_t k_attend_dim = 1024;  // largest dim
inline constexpr std::int64_t k_attend_tokens = 6;  // most tokens
inline constexpr std::int64_t k_index_dim = 256;    // largest of the indexer
/// Elements from row to row of decoded rows: whole lines, and one more, so that the rows of a column are not all in the
/// same few sets of the cache.
constexpr std::int64_t attend_stride(std::int64_t dim) { return (dim + 15) / 16 * 16 + 16; }

/// out[c] = scale * sum over heads of max(0, row c . q[h]) * w[h].
struct IndexScoreArgs {
  const float* q; // [heads, dim]
  const float* w; // [heads]
  std::int64_t heads, dim;
  float scale;
  Segment rows;
  float* out;
};

/// out[c][0..n) = sum over r of a[r * to + c] * s[r], plus post[c] * y; columns [0, n) of streams `stride` apart. Of as
/// many streams as come in, 8 at most, `out` may be `s`.
struct MixArgs {
  const float* s;
  float* out;
  std::int64_t stride; // elements between streams, in s and in out
  std::int64_t n;      // columns
  std::int64_t from, to;
  const float* a; // [from, to]
  const float* y; // [n] or nullptr
  const float* post;
  std::int64_t next = 0; // elements from y to what is read next, streams lie from * next further; 0: not known
};

struct Isa {
  const char* name;
  const Format* formats;
  std::int64_t n_formats;
  /// Elements [begin, begin + n) of a row of k, `x` the first of them. `begin` is a multiple of 256. `sums`: whether
  /// the row gets them.
  void (*quantise)(Act, const float* x, std::int64_t begin, std::int64_t n, std::int64_t k, std::byte* out, bool sums);
  std::uint64_t (*many_scratch)(std::int64_t tokens); // bytes that gemm_many needs for so many tokens or fewer
  std::uint64_t (*gemm_scratch)(std::int64_t tokens); // the same of gemm

  // Rows of n elements.
  float (*sum_squares)(const float* x, std::int64_t n);
  void (*scale_by)(const float* x, float scale, const float* w, float* out, std::int64_t n); // (x*scale)*w, w optional
  void (*add)(const float* a, const float* b, float* out, std::int64_t n);
  void (*swiglu)(const float* g, const float* u, float weight, float clamp, float* out, std::int64_t n);
  void (*sqrt_softplus)(const float* x, float* out, std::int64_t n); // sqrt(log(1 + e^x))
  void (*to_half)(const float* x, std::byte* out, std::int64_t n);
  void (*from_half)(const std::byte* x, float* out, std::int64_t n);
  void (*round_kv8)(float* x, std::int64_t n);  // numeric::kv8_round_trip
  void (*round_idx4)(float* x, std::int64_t n); // numeric::idx4_round_trip
  void (*mix)(const MixArgs&);
  const BriefRows* (*brief_rows)(); // nullptr: the set has none

  std::uint64_t (*attend_scratch)(std::int64_t heads, std::int64_t dim, bool act8); // bytes for one call
  /// Tokens that are better attended together than one by one, at most.
  std::int64_t (*attend_together)(std::int64_t heads, std::int64_t dim, bool rounded);
  void (*attend)(const AttendArgs&);
  void (*index_score)(const IndexScoreArgs&);
  /// out[j] = sum of softmax over rows of score[.][j] times value[.][j]; row r at value[r], score[r].
  void (*pool)(const float* const* value, const float* const* score, std::int64_t rows, std::int64_t n, float* out);

  /// nullptr when there is no such format.
  const Format* find(DType dtype) const {
    for (std::int64_t i = 0; i < n_formats; ++i)
      if (formats[i].dtype == dtype) return &formats[i];
    return nullptr;
  }
};

} // namespace seacliff::cpu
