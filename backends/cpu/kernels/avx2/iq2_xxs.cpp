// IQ2_XXS by AVX2: magnitudes from the grid. With one token their signs are put on the activations; with more, weights
// are made positive, and what that adds is subtracted by the activations' sums.
#include "kernels/avx2/blocks256.hpp"
#include "kernels/avx2/products.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

using Block = blocks::IQ2_XXS;

/// Four indices, signs and scale of each of the eight groups of 32 weights.
SCF_INLINE const std::byte* groups_of(const Block& b) { return reinterpret_cast<const std::byte*>(&b) + 2; }

SCF_INLINE Y in_both_halves(std::uint64_t first, std::uint64_t second) {
  const auto a = static_cast<long long>(first), b = static_cast<long long>(second);
  return _mm256_setr_epi64x(a, b, a, b);
}

/// What the groups share in making, as dwords of groups 0, 1, 4, 5 and, in the upper half, 2, 3, 6, 7: so one shuffle
/// brings them from a block.
struct Head {
  Y signs;  // bits
  Y scales; // in units of an eighth of the block's
};
SCF_INLINE Head head_of(const Block& b) {
  const Y words = (Y)_mm256_shuffle_ps((__m256)load_y(groups_of(b)), (__m256)load_y(groups_of(b) + 32), 0xdd);
  const Y pairs = _mm256_blend_epi16(words, _mm256_slli_epi32(words, 2), 0xaa) & _mm256_set1_epi16(0x3fff);
  const Y seven = _mm256_add_epi16(pairs, pairs & _mm256_set1_epi16(0x3f80)); // of each byte's bits
  const Y nibble = (seven ^ _mm256_srli_epi16(seven, 4)) & _mm256_set1_epi8(15);
  const Y is_odd = in_both_halves(0x8000008000808000, 0x0080800080000080); // bit 7, by nibble
  return {seven | _mm256_shuffle_epi8(is_odd, nibble), _mm256_srli_epi32(words, 27) | _mm256_set1_epi32(1)};
}
/// Bit i of each eight bytes made the sign of the i-th: below zero where it is set, above elsewhere.
SCF_INLINE Y sign_of(Y bytes) {
  const Y bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  const Y rest = _mm256_set1_epi64x(0x01406070787c7e7f); // 128 - bit; 1 where that is none, for 0 would be no sign
  return _mm256_add_epi8(bytes & bit, rest);
}

/// The grid with `k_around` entries more on both sides, for reads of 32 bytes around each.
constexpr int k_around = 3;
alignas(64) constexpr auto k_grid = [] {
  std::array<std::uint64_t, k_around + 256 + k_around> grid{};
  for (unsigned i = 0; i < 256; ++i) grid[k_around + i] = blocks::iq2xxs_grid[i];
  return grid;
}();

/// Magnitudes of four times eight weights, whose indices are STEP bytes apart. Each is read where it will be: that
/// takes no shuffle.
template <int STEP> SCF_INLINE Y magnitudes(const std::byte* indices) {
  const auto read = [&](int i) {
    return load_y(k_grid.data() + k_around - i + static_cast<std::uint32_t>(indices[STEP * i]));
  };
  const Y low = _mm256_blend_epi32(read(0), read(1), 0x0c);
  return _mm256_blend_epi32(_mm256_blend_epi32(low, read(2), 0x30), read(3), 0xc0);
}

struct FormIQ2_XXS : ScaledForm<FormIQ2_XXS> {
  using Block = cpu::SCF_ISA_NAMESPACE::Block;
  static constexpr int blocks = 1;
  SCF_INLINE void unpack(const Block* b, std::int64_t, Codes& out) {
    constexpr auto most = static_cast<char>(FormatIQ2_XXS::top);
    const Head head = head_of(*b);
    const Y scales = _mm256_permute4x64_epi64(head.scales, 0xd8);
    _mm256_store_si256(reinterpret_cast<Y*>(out.scale), twice(scales));
    out.unit = half_to_float(b->d) * 0.125f;
    out.min = to_f8((I8)scales) * set8(out.unit * most);
    const Y signs[2] = {_mm256_permute4x64_epi64(head.signs, 0x44), _mm256_permute4x64_epi64(head.signs, 0xee)};
    const Y spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
#pragma GCC unroll 8
    for (int g = 0; g < k_parts; ++g) {
      const Y at = _mm256_add_epi8(spread, _mm256_set1_epi8(static_cast<char>(4 * (g % 2 + g / 4 * 2))));
      const Y sign = sign_of(_mm256_shuffle_epi8(signs[g / 2 % 2], at));
      const Y code = _mm256_sign_epi8(magnitudes<1>(groups_of(*b) + 8 * g), sign);
      out.code[g] = _mm256_add_epi8(code, _mm256_set1_epi8(most));
    }
  }
};

/// A token's elements in the order in which `one_token` multiplies them: of four groups the first eight of each, then
/// the second eight, ...
struct Across {
  static constexpr std::int64_t most = 32; // blocks
  Y codes[most][2][4];
  float scale[most]; // times an eighth
  Across(const Row& x, std::int64_t from, std::int64_t blocks) {
    for (std::int64_t i = 0; i < blocks; ++i) {
      scale[i] = x.scales[from + i] * 0.125f;
      for (int h = 0; h < 2; ++h)
        for (int j = 0; j < 4; ++j) codes[i][h][j] = pick(x.codes + 256 * (from + i) + 128 * h + 8 * j);
    }
  }
  SCF_INLINE Y pick(const std::byte* p) {
    const auto eight = [&](int group) { return static_cast<long long>(load_u64(p + 32 * group)); };
    return _mm256_setr_epi64x(eight(0), eight(1), eight(2), eight(3));
  }
};

/// The block's weights times 256 elements, in eight lanes. A register has weights of four groups, each in its own
/// quarter: their scales are one register, and multiply two products' sums at once.
SCF_INLINE Y product(const Block& block, const Y (&x)[2][4]) {
  const Head head = head_of(block);
  Y sum = _mm256_setzero_si256();
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const auto in_half = [h](Y at) { return _mm256_add_epi8(at, _mm256_set1_epi8(static_cast<char>(8 * h))); };
    const Y scales = _mm256_shuffle_epi8(head.scales, in_half(in_both_halves(0x0100010001000100, 0x0504050405040504)));
    const auto pairs = [&](int j) { // each 2 * 43 * 127 at most: two are words still
      const Y at = in_half(in_both_halves(0x0101010101010101 * j, 0x0101010101010101 * (j + 4)));
      const Y codes = _mm256_sign_epi8(x[h][j], sign_of(_mm256_shuffle_epi8(head.signs, at)));
      return products(magnitudes<8>(groups_of(block) + 32 * h + j), codes);
    };
    for (int j = 0; j < 4; j += 2)
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(pairs(j), pairs(j + 1)), scales));
  }
  return sum;
}

void one_token(const GemmArgs& a) {
  for (std::int64_t from = 0; from < groups(a); from += Across::most) {
    const std::int64_t blocks = lesser(Across::most, groups(a) - from);
    const Across x(row_at(a, 0, 256), from, blocks);
    for (std::int64_t row = 0; row < a.rows; ++row) {
      const Ahead ahead = ahead_of(rows_of(a), row, 1, 1);
      const Block* block = blocks_at<FormIQ2_XXS>(a, row, from);
      F8 acc = {};
      for (std::int64_t i = 0; i < blocks; ++i, ++block) {
        // Near enough: what computes for so long is not kept waiting by the second level.
        __builtin_prefetch(reinterpret_cast<const std::byte*>(block) + ahead.far, 0, 2);
        acc = fma8(to_f8((I8)product(*block, x.codes[i])), set8(half_to_float(block->d) * x.scale[i]), acc);
      }
      float& y = out_at(a, 0)[row];
      y = sum8(acc) + (from == 0 ? 0.0f : y);
    }
  }
}

} // namespace

void few_iq2_xxs(const GemmArgs& a) { a.tokens == 1 ? one_token(a) : multiply_few<FormIQ2_XXS>(a); }
void many_iq2_xxs(const GemmArgs& a) { multiply_many<FormIQ2_XXS>(a); }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
