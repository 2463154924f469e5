// IQ2_XXS with 1 to 8 quantised tokens by VBMI, GFNI and VNNI: two super-blocks (512 weights, a "pair") at a time.
//
// Register j holds the j-th weight of all 64 groups of eight, so that a dword lane is one sub-block of 32 weights, with
// a scale of its own. The grid's magnitudes are 2-bit digits: an entry is two bytes, looked up by vpermb. What follows
// is bits: affine maps over GF(2) (vgf2p8affineqb) bring digits and signs of two weights into one byte, and turn each
// nibble into the weight plus 128.
#include "kernels/vbmi/iq2_xxs.hpp"

#include "kernels/vbmi/iq2_xxs_bits.hpp"
#include "kernels/vnni/wide512.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

// A nibble between the maps: bits 0 and 1 the digit, bit 2 the sign, bit 3 the sign of a weight whose digit is 0. It is
// the AND of a byte from the digits and one from the signs.
constexpr int k_digit_constant = 0xcc, k_sign_constant = 0x33;
constexpr std::uint64_t digit_map(unsigned pair) {
  BitMap map{};
  for (unsigned e = 0; e < 2; ++e) {
    const unsigned low = 1u << (4 * pair + 2 * e);
    map.from[4 * e] = static_cast<std::uint8_t>(low);
    map.from[4 * e + 1] = static_cast<std::uint8_t>(2 * low);
    map.from[4 * e + 3] = static_cast<std::uint8_t>(3 * low); // not both: neither, with the constant
  }
  return map.matrix();
}
/// From seven stored signs; the eighth is their parity.
constexpr std::uint64_t sign_map(unsigned pair) {
  BitMap map{};
  for (unsigned e = 0; e < 2; ++e) {
    const unsigned element = 2 * pair + e;
    map.from[4 * e + 2] = map.from[4 * e + 3] = static_cast<std::uint8_t>(element == 7 ? 0x7f : 1u << element);
  }
  return map.matrix();
}
/// From the nibble at bit `shift` to the code: 128 + 8 ^ what each of its bits changes.
constexpr int k_code_constant = 128 + 8;
constexpr std::uint64_t code_map(unsigned shift) {
  const unsigned change[4] = {(128 + 8) ^ (128 + 25), (128 + 8) ^ (128 + 43), (128 + 25) ^ (128 - 25),
                              (128 + 25) ^ (128 - 25) ^ (128 + 8) ^ (128 - 8)};
  BitMap map{};
  for (unsigned bit = 0; bit < 8; ++bit)
    for (unsigned b = 0; b < 4; ++b)
      map.from[bit] = static_cast<std::uint8_t>(map.from[bit] | (change[b] >> bit & 1) << (shift + b));
  return map.matrix();
}
static_assert(((128 + 43) ^ (128 - 43)) == ((128 + 25) ^ (128 - 25)), "the sign changes the same bits of both");

/// The second block is taken as zeros where there is none.
template <bool WHOLE> SCF_INLINE void unpack_pair(const std::byte* p, Group& out) {
  constexpr std::int64_t next = sizeof(blocks::IQ2_XXS);
  const Z first = load_z(p + 2), second = WHOLE ? load_z(p + next + 2) : _mm512_setzero_si512();
  const Z even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const Z odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  const Z words = _mm512_permutex2var_epi32(first, odd, second); // four times seven signs, then a scale
  const GroupBits bits = group_bits(_mm512_permutex2var_epi32(first, even, second), words);
#pragma GCC unroll 2
  for (unsigned half = 0; half < 2; ++half) {
    const Z digits = look_up(k_planes.digits[half], bits);
#pragma GCC unroll 2
    for (unsigned pair = 0; pair < 2; ++pair) {
      const Z nibbles = _mm512_and_si512(map_bits<k_digit_constant>(digits, digit_map(pair)),
                                         map_bits<k_sign_constant>(bits.signs, sign_map(2 * half + pair)));
      out.code[4 * half + 2 * pair] = map_bits<k_code_constant>(nibbles, code_map(0));
      out.code[4 * half + 2 * pair + 1] = map_bits<k_code_constant>(nibbles, code_map(4));
    }
  }

  // d * (0.5 + scale) / 4
  const F eighths = _mm512_setr_ps(0.125f, 0.375f, 0.625f, 0.875f, 1.125f, 1.375f, 1.625f, 1.875f, 2.125f, 2.375f,
                                   2.625f, 2.875f, 3.125f, 3.375f, 3.625f, 3.875f);
  __m256i d = _mm256_set1_epi32(static_cast<int>(load_u32(p)));
  d = _mm256_mask_set1_epi32(d, 0xf0, WHOLE ? static_cast<int>(load_u32(p + next)) : 0);
  out.scale = _mm512_permutexvar_ps(_mm512_srli_epi32(words, 28), eighths) * _mm512_moveldup_ps(_mm512_cvtph_ps(d));
}

/// Eight rows of eight 64-bit words, transposed.
SCF_INLINE void transpose(Z (&v)[8]) {
  Z a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const int at = 4 * (i / 2) + i % 2;
    b[at] = _mm512_shuffle_i64x2(a[at], a[at + 2], 0x88);
    b[at + 2] = _mm512_shuffle_i64x2(a[at], a[at + 2], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0x88);
    v[i + 4] = _mm512_shuffle_i64x2(b[i], b[i + 4], 0xdd);
  }
}

SCF_INLINE void lay_pair(const Row& row, std::int64_t block, bool whole, OppositeGroup& out) {
  const Z bytes = _mm512_setr_epi64(0x3830282018100800, 0x3931292119110901, 0x3a322a221a120a02, 0x3b332b231b130b03,
                                    0x3c342c241c140c04, 0x3d352d251d150d05, 0x3e362e261e160e06, 0x3f372f271f170f07);
  Z x[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    x[i] = i < 4 || whole ? _mm512_permutexvar_epi8(bytes, load_z(row.codes + 256 * block + 64 * i))
                          : _mm512_setzero_si512();
  transpose(x);
  const F second = set1(whole ? row.scales[block + 1] : 0.0f);
  store_opposite(x, _mm512_mask_blend_ps(0xff00, set1(row.scales[block]), second), out);
}

struct PairsIQ2_XXS {
  static constexpr std::int64_t bytes = 2 * sizeof(blocks::IQ2_XXS), near_rows = 4, act_block = 256;
  template <bool WHOLE> SCF_INLINE void unpack(const std::byte* p, Group& out) { unpack_pair<WHOLE>(p, out); }
  SCF_INLINE void lay_opposite(const Row& row, std::int64_t block, bool whole, OppositeGroup& out) {
    lay_pair(row, block, whole, out);
  }
};

} // namespace

void few_iq2_xxs(const GemmArgs& a) { few_groups<PairsIQ2_XXS>(a); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
