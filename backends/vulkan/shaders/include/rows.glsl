// One row in shared memory: norm, rotary positions, round trips through narrow formats. The whole workgroup works on
// it; every function begins and ends with all threads at the same place and the row whole.
#include "numeric.glsl"

const uint k_longest_row = 1024;
shared float row_of_group[k_longest_row];

#define FOR_ROW(i, n) for (uint i = THREAD; i < (n); i += THREADS)

void row_norm(uint n, float eps, uint64_t weight) {
  float sum = 0.0;
  FOR_ROW(i, n) sum += row_of_group[i] * row_of_group[i];
  const float scale = 1.0 / sqrt(group_sum(sum) / float(n) + eps);
  FOR_ROW(i, n) row_of_group[i] = row_of_group[i] * scale * (weight != 0UL ? InFloats(weight).v[i] : 1.0);
  barrier();
}

/// Cosine and sine of a turn in units of 2^-64: exact reduction to an eighth, then polynomials.
vec2 cos_sin(uint64_t turn) {
  const uint high = uint(turn >> 32);
  const uint quarter = (high + 0x20000000u) >> 30; // the nearest one
  const int rest = int(high - (quarter << 30));    // in units of 2^-32 turns, at most an eighth either way
  const float x = float(rest) * 1.4629180792671596e-9; // 2·pi / 2^32
  const float x2 = x * x;
  const float s = x + x * x2 * (-0.16666667 + x2 * (0.008333333 + x2 * (-1.9841270e-4 + x2 * 2.7557319e-6)));
  const float c = 1.0 + x2 * (-0.5 + x2 * (0.041666668 + x2 * (-1.3888889e-3 + x2 * 2.4801587e-5)));
  // (c, s), (-s, c), (-c, -s), (s, -c)
  const float a = (quarter & 1u) != 0u ? s : c, b = (quarter & 1u) != 0u ? c : s;
  return vec2((quarter + 1u & 2u) != 0u ? -a : a, (quarter & 2u) != 0u ? -b : b);
}

/// Turns adjacent pairs of the last 2·pairs elements by position times frequency; `frequencies`: turns per position in
/// units of 2^-64.
void row_rope(uint n, uint pairs, int position, uint64_t frequencies, bool inverse) {
  const uint first = n - 2u * pairs;
  FOR_ROW(i, pairs) {
    const vec2 cs = cos_sin(uint64_t(uint(max(position, 0))) * InLongs(frequencies).v[i]);
    const float s = inverse ? -cs.y : cs.y;
    const float a = row_of_group[first + 2u * i], b = row_of_group[first + 2u * i + 1u];
    row_of_group[first + 2u * i] = a * cs.x - b * s;
    row_of_group[first + 2u * i + 1u] = a * s + b * cs.x;
  }
  barrier();
}

/// E4M3 round trip of the first n elements in blocks of 64.
void row_kv8(uint n) {
  for (uint base = 64u * gl_SubgroupID; base < n; base += 64u * gl_NumSubgroups) {
    float most = 1e-4;
    for (uint i = gl_SubgroupInvocationID; i < 64u; i += gl_SubgroupSize)
      most = max(most, abs(row_of_group[base + i]));
    const float scale = pow2_at_least(subgroupMax(most) / 448.0);
    for (uint i = gl_SubgroupInvocationID; i < 64u; i += gl_SubgroupSize)
      row_of_group[base + i] = round_e4m3(row_of_group[base + i] / scale) * scale;
  }
  barrier();
}

/// Walsh-Hadamard rotation of n elements, a power of two, and their E2M1 round trip in blocks of 32.
void row_idx4(uint n) {
  for (uint stride = 1u; stride < n; stride *= 2u) {
    FOR_ROW(i, n / 2u) {
      const uint low = i / stride * 2u * stride + i % stride;
      const float a = row_of_group[low], b = row_of_group[low + stride];
      row_of_group[low] = a + b;
      row_of_group[low + stride] = a - b;
    }
    barrier();
  }
  const uint k = uint(findMSB(n));
  const float scale = uintBitsToFloat((127u - k / 2u) << 23) * ((k & 1u) != 0u ? 0.70710678118654752 : 1.0);
  for (uint base = 32u * gl_SubgroupID; base < n; base += 32u * gl_NumSubgroups) {
    float most = 7.052966104933725e-38; // 6·2^-126
    for (uint i = gl_SubgroupInvocationID; i < 32u; i += gl_SubgroupSize)
      most = max(most, abs(row_of_group[base + i] * scale));
    const float unit = pow2_at_least(subgroupMax(most) / 6.0);
    for (uint i = gl_SubgroupInvocationID; i < 32u; i += gl_SubgroupSize)
      row_of_group[base + i] = round_e2m1(row_of_group[base + i] * scale / unit) * unit;
  }
  barrier();
}

void row_f16(uint n) {
  FOR_ROW(i, n) row_of_group[i] = half_to_float(float_to_half(row_of_group[i]));
  barrier();
}
