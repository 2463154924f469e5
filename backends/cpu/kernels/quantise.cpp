// Activations to int8.
#include "kernels/families.hpp"
#include "kernels/simd.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

/// Codes of n elements (a multiple of k_lanes) and their scale, max/127. A NaN or infinity makes the scale NaN: it must
/// not vanish in an integer.
SCF_INLINE float quantise_block(const float* x, std::int64_t n, std::byte* codes) {
  F high = zero(), poison = zero();
  for (std::int64_t i = 0; i < n; i += k_lanes) {
    const F v = load(x + i);
    high = max(high, max(v, zero() - v));
    poison = fma(v, zero(), poison);
  }
  float lanes[k_lanes];
  store(lanes, high);
  float largest = 0;
  for (float v : lanes) largest = greater(largest, v);
  const float nan = sum(poison);
  const bool usable = largest > 1e-30f && nan == 0.0f;
  const float scale = largest / 127.0f;
  const F inverse = set1(usable ? 127.0f / largest : 0.0f);
  for (std::int64_t i = 0; i < n; i += k_lanes) store_i8(codes + i, usable ? load(x + i) * inverse : zero());
  return usable ? scale : nan;
}

SCF_INLINE float sum_codes(const std::byte* codes) {
  std::int32_t total = 0;
  for (int i = 0; i < 16; ++i) total += static_cast<std::int8_t>(codes[i]);
  return static_cast<float>(total);
}

} // namespace

void quantise(Act act, const float* x, std::int64_t begin, std::int64_t n, std::int64_t k, std::byte* out) {
  const bool wide = act == Act::q8_k;
  const ActLayout layout = act_layout(act, k);
  auto* scales = reinterpret_cast<float*>(out + layout.scales);
  const std::int64_t block = wide ? 256 : 32, end = begin + n;
  for (std::int64_t i = begin; i < end; i += block)
    scales[i / block] = quantise_block(x + i - begin, lesser(block, end - i), out + i);
  if (!wide) return;
  auto* sums16 = reinterpret_cast<float*>(out + layout.sums16);
  auto* sums32 = reinterpret_cast<float*>(out + layout.sums32);
  for (std::int64_t i = begin / 32; i < end / 32; ++i) {
    sums16[2 * i] = sum_codes(out + 32 * i);
    sums16[2 * i + 1] = sum_codes(out + 32 * i + 16);
    sums32[i] = sums16[2 * i] + sums16[2 * i + 1];
  }
}

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
