// Products of few rows: the workgroup brings x into shared memory, as bytes or as floats, and each of its subgroups then
// streams rows of weights past it. A lane takes sixteen neighbouring bytes of a row at a time, a unit, and has the next
// tile of units on its way while it works on one.
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const uint K = 16;
layout(constant_id = 3) const uint LANES = 32; // of a subgroup
layout(constant_id = 4) const uint ROWS = 1;   // rows of weights of a tile
layout(constant_id = 5) const uint DEEP = 1;   // units of a row that a lane has in a tile
layout(constant_id = 6) const uint TOKENS = 1; // rows of x that are multiplied with each weight
// 7: DIGITS
layout(constant_id = 8) const uint SETS = 1; // rows of x kept: TOKENS, or TOKENS times slots
#include "digits.glsl"

const bool k_plain = DIGITS == 0; // x is floats, weights are elements and no blocks
const bool k_four_blocks = FORMAT == k_q2_k_planes || FORMAT == k_iq2_xxs_planes;
const bool k_two_blocks = FORMAT == k_q4_k_planes || FORMAT == k_mxfp4_planes;
const bool k_two_codes = FORMAT == k_iq2_xxs_planes;
const bool k_has_least = FORMAT == k_q2_k_planes || FORMAT == k_q4_k_planes;
// A unit meets x piece by piece: sixteen elements, or four where x is floats.
const uint k_piece = k_plain ? 4 : 16;
const uint k_pieces = k_four_blocks ? 4 : k_two_blocks ? 2 : k_plain && FORMAT != k_f32 ? 2 : 1;
const uint k_units = K / (k_piece * k_pieces); // of a row
const uint k_span = LANES * DEEP;              // units of a row in a tile
const uint k_row_parts = (K / 16 + LANES - 1) / LANES; // of a row of x, a chunk for each lane
const uint k_parts = (k_units + k_span - 1) / k_span;

shared uvec4 x_codes[k_plain ? 1 : SETS * DIGITS * (K / 16)];
shared float x_scales[k_plain ? 1 : SETS * (K / 16)];
shared float x_sums[k_has_least ? SETS * (K / 16) : 1]; // of the codes of a piece, in its scale
shared vec4 x_floats[k_plain ? SETS * (K / 4) : 1];
shared float x_squares[TOKENS * k_row_parts];
shared uvec2 magnitudes[FORMAT == k_iq2_xxs_planes ? 256 : 1];

/// Where piece i of a row of x lies: the first pieces of all units, then their second ones, ...
uint piece_place(uint i) {
  if (FORMAT == k_q2_k_planes) return (i / 2u % 4u) * k_units + i / 16u * 4u + i / 8u % 2u * 2u + i % 2u;
  if (FORMAT == k_q4_k_planes) return (i / 2u % 2u) * k_units + i / 4u * 2u + i % 2u;
  return i % k_pieces * k_units + i / k_pieces;
}

void keep_digits(uint set, uint chunk, Digits d) {
  const uint place = piece_place(chunk);
  [[unroll]] for (uint i = 0; i < DIGITS; ++i) x_codes[(set * DIGITS + i) * (K / 16u) + place] = d.codes[i];
  x_scales[set * (K / 16u) + place] = d.scale;
  if (k_has_least) {
    float sums[k_most_digits];
    [[unroll]] for (uint i = 0; i < k_kept; ++i) sums[i] = dot16_float(d.codes[i], uvec4(0x01010101u));
    x_sums[set * (K / 16u) + place] = joined(sums) * d.scale;
  }
}

uint64_t x_rows[TOKENS]; // where they begin

/// The rows of x, by the whole workgroup, all of them at once: times the gain, if there is one; `norm`: their squares are
/// summed. A barrier must follow.
void keep_rows(bool norm, uint64_t gain) {
  const uint chunks = k_row_parts * LANES; // of a row, some of which may lie behind it: a subgroup has but one row
  [[unroll]] for (uint i0 = 0; i0 < TOKENS * chunks; i0 += THREADS) {
    const uint i = i0 + gl_SubgroupID * LANES + gl_SubgroupInvocationID, chunk = i % chunks;
    if (i >= TOKENS * chunks) break;
    uint set = 0;
    uint64_t x = x_rows[0];
    [[unroll]] for (uint t = 1; t < TOKENS; ++t)
      if (i >= t * chunks) {
        set = t;
        x = x_rows[t];
      }
    float squares = 0.0;
    if (chunk < K / 16u) {
      Chunk c = aligned_chunk(k_f32, x, chunk);
      if (norm) {
        squares = chunk_dot(c, c);
        if (gain != 0UL) c = times(c, aligned_chunk(k_f32, gain, chunk));
      }
      if (k_plain) {
        [[unroll]] for (uint j = 0; j < 4; ++j) x_floats[set * (K / 4u) + piece_place(4u * chunk + j)] = c.v[j];
      } else {
        keep_digits(set, chunk, digits_of(c));
      }
    }
    if (norm) {
      squares = subgroupAdd(squares);
      if (gl_SubgroupInvocationID == 0) x_squares[i / LANES] = squares;
    }
  }
}

/// What row `set` is to be multiplied with, after the barrier.
float norm_scale(uint set, float eps) {
  float squares = 0.0;
  for (uint i = 0; i < k_row_parts; ++i) squares += x_squares[set * k_row_parts + i];
  return 1.0 / sqrt(squares / float(K) + eps);
}

/// The table of a format that has one. A barrier must follow.
void keep_table(uint64_t grid) {
  if (FORMAT != k_iq2_xxs_planes) return;
  for (uint i = THREAD; i < 256u; i += THREADS) magnitudes[i] = InWords2(grid + uint64_t(i) * 8UL).v;
}

struct Unit {
  uvec4 codes;
  uvec4 more; // scales and the like
};

// What a lane is at work on: rows of the tile after this one, that tile, this one, sums of its rows.
uint64_t tile_rows[ROWS];
Unit next_tile[ROWS * DEEP], this_tile[ROWS * DEEP];
float sums[ROWS * TOKENS];

Unit load_unit(uint64_t row, uint j) {
  Unit u;
  u.codes = InWords4(row + uint64_t(j * 16u)).v;
  if (FORMAT == k_q8_0_planes) u.more.x = half_at(row + uint64_t(K), j / 2u);
  if (FORMAT == k_q2_k_planes) {
    u.more.x = InWords(row + uint64_t(K / 4u)).v[j];
    u.more.y = InWords(row + uint64_t(K / 4u + K / 16u)).v[j / 4u];
  }
  if (FORMAT == k_q4_k_planes) u.more = InWords4(row + uint64_t(K / 2u) + uint64_t(j / 8u * 16u)).v;
  if (FORMAT == k_iq2_xxs_planes) u.more.x = half_at(row + uint64_t(K / 4u), j / 4u);
  if (FORMAT == k_mxfp4_planes) u.more.x = byte_at(row + uint64_t(K / 2u), j);
  return u;
}

/// Fills next_tile with this lane's units of part `part` of tile_rows.
void load_tile(uint part) {
  [[unroll]] for (uint r = 0; r < ROWS; ++r)
    [[unroll]] for (uint d = 0; d < DEEP; ++d) {
      const uint j = part * k_span + d * LANES + gl_SubgroupInvocationID;
      if (k_units % k_span == 0 || j < k_units) next_tile[r * DEEP + d] = load_unit(tile_rows[r], j);
    }
}

/// The tile that was loaded becomes the one to work on.
void take_tile() {
  [[unroll]] for (uint i = 0; i < ROWS * DEEP; ++i) this_tile[i] = next_tile[i];
}

// What becomes of the sums of a subgroup's lanes: each lane ends up with one of them, over all lanes.
const uint k_lanes_of_sum = LANES / (ROWS * TOKENS);
bool is_first_of_sum() { return gl_SubgroupInvocationID % k_lanes_of_sum == 0u; }
uint sum_row() { return gl_SubgroupInvocationID / k_lanes_of_sum / TOKENS; } // of the tile
uint sum_token() { return gl_SubgroupInvocationID / k_lanes_of_sum % TOKENS; }

/// That sum. Each step halves what a lane goes on with.
float folded_sums() {
  uint left = ROWS * TOKENS;
  [[unroll]] for (uint apart = LANES / 2u; apart > 0u; apart /= 2u) {
    if (left == 1u) {
      sums[0] += subgroupShuffleXor(sums[0], apart);
      continue;
    }
    left /= 2u;
    const bool upper = (gl_SubgroupInvocationID & apart) != 0u;
    [[unroll]] for (uint i = 0; i < left; ++i) {
      const float kept = upper ? sums[i + left] : sums[i], given = upper ? sums[i] : sums[i + left];
      sums[i] = kept + subgroupShuffleXor(given, apart);
    }
  }
  return sums[0];
}

void clear_sums() {
  [[unroll]] for (uint i = 0; i < ROWS * TOKENS; ++i) sums[i] = 0.0;
}

/// Sixteen elements: (code - least/scale)·scale.
struct Piece {
  uvec4 codes;
  uvec4 also; // with k_two_codes: codes to be added
  float scale, least;
};

Piece iq2_xxs_piece(Unit u, uint p) {
  const uint indices = (p < 2u ? u.codes.x : u.codes.z) >> 16u * (p % 2u), tail = p < 2u ? u.codes.y : u.codes.w;
  Piece piece;
  piece.scale = unpackHalf2x16(u.more.x).x * (0.125 + 0.25 * whole(tail >> 28));
  [[unroll]] for (uint i = 0; i < 2; ++i) {
    const uvec2 sizes = magnitudes[indices >> 8u * i & 0xffu];
    // Seven signs, four times side by side: the first four of them end up in the lowest bits of four bytes, the others
    // four bits above; the eighth makes their number even.
    const uint seven = tail >> 7u * (2u * (p % 2u) + i) & 127u, spread = seven * 0x00204081u;
    const uint low = spread & 0x01010101u, high = (spread >> 4) + (bitCount(seven) << 24) & 0x01010101u;
    // A negative is the complement and one more; that one is left to the products.
    piece.codes[2 * i] = sizes.x ^ low * 255u;
    piece.codes[2 * i + 1] = sizes.y ^ high * 255u;
    piece.also[2 * i] = low;
    piece.also[2 * i + 1] = high;
  }
  return piece;
}

/// Bits stay where they are in their bytes and words where that fits: a power of two is cheaper taken from the scales.
Piece q2_k_piece(Unit u, uint p) {
  const uint moved = p < 3u ? 2u * p : 0u, at = p == 0u ? 0u : 8u, scales = u.more.x >> 8u * p - at;
  const uvec4 codes = (p < 3u ? u.codes : u.codes >> 6) & 0x03030303u << moved;
  const vec2 d = unpackHalf2x16(u.more.y) / float(1u << at);
  return Piece(codes, uvec4(0), d.x / float(1u << moved) * whole(scales & 15u << at),
               d.y / 16.0 * whole(scales & 240u << at));
}

Piece q4_k_piece(Unit u, uint j, uint p) {
  // The six-bit scales and mins of sub-blocks 2a and 2a+1, see scale_min().
  const uint a = j % 8u / 2u, s = 2u * a + p;
  const uint low = u.more.y >> 8u * (s % 4u), mid = u.more.z >> 8u * (s % 4u), high = u.more.w >> 8u * (s % 4u);
  const uint scale = s < 4u ? low & 63u : (high & 15u) | (low >> 6 & 3u) << 4;
  const uint least = s < 4u ? mid & 63u : (high >> 4 & 15u) | (mid >> 6 & 3u) << 4;
  const vec2 d = unpackHalf2x16(u.more.x);
  return Piece(u.codes >> 4u * p & 0x0f0f0f0fu, uvec4(0), d.x * whole(scale), d.y * whole(least));
}

/// Four nibbles of E2M1, doubled: 0, 1, 2, 3, 4, 6, 8, 12 and their negatives.
uint mxfp4_bytes(uint nibbles) {
  const uint low = nibbles & 0x03030303u, large = nibbles >> 2 & 0x01010101u;
  const uint three = low & low >> 1 & 0x01010101u & large;
  const uint size = low + (low & large * 255u) + (large << 2) + (three << 1);
  const uint some = (nibbles | nibbles >> 1 | nibbles >> 2) & 0x01010101u;
  const uint negative = nibbles >> 3 & some; // a zero has no sign: its carry would leave the byte
  return (size ^ negative * 255u) + negative;
}

Piece piece_of(Unit u, uint j, uint p) {
  switch (FORMAT) {
  case k_q2_k_planes: return q2_k_piece(u, p);
  case k_q4_k_planes: return q4_k_piece(u, j, p);
  case k_iq2_xxs_planes: return iq2_xxs_piece(u, p);
  case k_mxfp4_planes: {
    const uvec4 nibbles = u.codes >> 4u * p & 0x0f0f0f0fu;
    return Piece(uvec4(mxfp4_bytes(nibbles.x), mxfp4_bytes(nibbles.y), mxfp4_bytes(nibbles.z), mxfp4_bytes(nibbles.w)),
                 uvec4(0), mxfp4_scale(u.more.x), 0.0);
  }
  default: return Piece(u.codes, uvec4(0), unpackHalf2x16(u.more.x).x, 0.0); // Q8_0
  }
}

vec4 plain_piece(Unit u, uint p) {
  if (FORMAT == k_f32) return uintBitsToFloat(u.codes);
  const uvec2 pair = p == 0 ? u.codes.xy : u.codes.zw;
  return four_halves(FORMAT, pair);
}

void add_bytes(uint d, uint j, uint set) {
  [[unroll]] for (uint p = 0; p < k_pieces; ++p) {
    uvec4 codes[TOKENS * k_kept];
    float scales[TOKENS], least[TOKENS];
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      const uint at = p * k_units + j;
      [[unroll]] for (uint i = 0; i < k_kept; ++i)
        codes[t * k_kept + i] = x_codes[((set + t) * k_kept + i) * (K / 16u) + at];
      scales[t] = x_scales[(set + t) * (K / 16u) + at];
      least[t] = k_has_least ? x_sums[(set + t) * (K / 16u) + at] : 0.0;
    }
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
      const Piece piece = piece_of(this_tile[r * DEEP + d], j, p);
      [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
        float dots[k_most_digits];
        [[unroll]] for (uint i = 0; i < k_kept; ++i) {
          int sum = k_unit_one_bits;
          if (k_two_codes) sum = dot16(piece.also, codes[t * k_kept + i], sum);
          dots[i] = intBitsToFloat(dot16(piece.codes, codes[t * k_kept + i], sum)) - k_unit_one;
        }
        sums[r * TOKENS + t] += piece.scale * scales[t] * joined(dots);
        if (k_has_least) sums[r * TOKENS + t] -= piece.least * least[t];
      }
    }
  }
}

void add_plain(uint d, uint j, uint set) {
  [[unroll]] for (uint p = 0; p < k_pieces; ++p)
    [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
      const vec4 x = x_floats[(set + t) * (K / 4u) + p * k_units + j];
      [[unroll]] for (uint r = 0; r < ROWS; ++r)
        sums[r * TOKENS + t] += dot(plain_piece(this_tile[r * DEEP + d], p), x);
    }
}

/// Adds products of this_tile, part `part` of its rows, with rows `set`, ... of x to the sums.
void add_tile(uint part, uint set) {
  [[unroll]] for (uint d = 0; d < DEEP; ++d) {
    const uint j = part * k_span + d * LANES + gl_SubgroupInvocationID;
    if (k_units % k_span != 0 && j >= k_units) continue;
    if (k_plain)
      add_plain(d, j, set);
    else
      add_bytes(d, j, set);
  }
}
