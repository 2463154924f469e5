// Order of floats as order of integers.

/// 0: never taken.
uint key_of(float score) {
  if (isnan(score) || score == -INFINITE) return 0u;
  const uint bits = score == 0.0 ? 0u : floatBitsToUint(score); // there is one zero
  return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}
