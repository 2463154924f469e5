// Activations to int8.
#include "kernels/families.hpp"
#include "kernels/formats.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// Codes of n elements (a multiple of k_lanes) and their scale, max/127. A NaN or infinity makes the scale NaN: it must
/// not vanish in an integer.
SCF_INLINE float quantise_block(const float* x, std::int64_t n, std::byte* codes) {
  std::uint32_t bits = 0; // of the largest magnitude, which are ordered as the numbers are, infinity and NaN last
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint32_t v;
    __builtin_memcpy(&v, x + i, sizeof v);
    bits = greater(bits, v & 0x7fffffffu);
  }
  float largest;
  __builtin_memcpy(&largest, &bits, sizeof largest);
  const float nan = bits < 0x7f800000u ? 0.0f : __builtin_nanf("");
  const bool usable = largest > 1e-30f && bits < 0x7f800000u;
  const float scale = largest / 127.0f;
  const F inverse = set1(usable ? 127.0f / largest : 0.0f);
  for (std::int64_t i = 0; i < n; i += k_lanes) store_i8(codes + i, usable ? load(x + i) * inverse : zero());
  return usable ? scale : nan;
}

/// Sums of neighbouring pairs of both: a's and b's lower halves, then their upper ones.
SCF_INLINE I8 add_pairs(I8 a, I8 b) {
  return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
         __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
}
SCF_INLINE I8 fours(const std::byte* codes) {
  B ones;
  __builtin_memset(&ones, 1, sizeof ones);
  return dot_u8(ones, load_b(codes));
}
/// Sums of 16 and of 32 of 128 codes.
SCF_INLINE void sum_codes(const std::byte* codes, float* sums16, float* sums32) {
  const I8 halves =
      add_pairs(add_pairs(fours(codes), fours(codes + 32)), add_pairs(fours(codes + 64), fours(codes + 96)));
  store8(sums16, to_f8(__builtin_shufflevector(halves, halves, 0, 4, 1, 5, 2, 6, 3, 7)));
  alignas(32) float both[8];
  store8(both, to_f8(halves + __builtin_shufflevector(halves, halves, 4, 5, 6, 7, 0, 1, 2, 3)));
  __builtin_memcpy(sums32, both, 16);
}
/// Of 32 codes.
SCF_INLINE void sum_few_codes(const std::byte* codes, float* sums16, float* sums32) {
  const I8 sums = fours(codes);
  sums16[0] = static_cast<float>(sums[0] + sums[1] + sums[2] + sums[3]);
  sums16[1] = static_cast<float>(sums[4] + sums[5] + sums[6] + sums[7]);
  *sums32 = sums16[0] + sums16[1];
}

} // namespace

void quantise(Act act, const float* x, std::int64_t begin, std::int64_t n, std::int64_t k, std::byte* out, bool sums) {
  const bool wide = act == Act::q8_k;
  const ActLayout layout = act_layout(act, k);
  auto* scales = reinterpret_cast<float*>(out + layout.scales);
  const std::int64_t block = wide ? 256 : 32, end = begin + n;
  std::int64_t i = begin;
  for (; wide && i + 256 <= end; i += 256) scales[i / 256] = quantise_block(x + i - begin, 256, out + i);
  for (; i < end; i += block) scales[i / block] = quantise_block(x + i - begin, lesser(block, end - i), out + i);
  if (!wide || !sums) return;
  auto* sums16 = reinterpret_cast<float*>(out + layout.sums16);
  auto* sums32 = reinterpret_cast<float*>(out + layout.sums32);
  i = begin / 32;
  for (; i + 4 <= end / 32; i += 4) sum_codes(out + 32 * i, sums16 + 2 * i, sums32 + i);
  for (; i < end / 32; ++i) sum_few_codes(out + 32 * i, sums16 + 2 * i, sums32 + i);
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
