// Sums of four products of bytes in one instruction (SPV_KHR_integer_dot_product).
#extension GL_EXT_spirv_intrinsics : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot_of_packed(int a, int b, spirv_literal int four_signed_bytes);

int dot4(uint a, uint b) { return dot_of_packed(int(a), int(b), 0); }
int dot16(uvec4 a, uvec4 b, int sum) {
  return dot4(a.w, b.w) + (dot4(a.z, b.z) + (dot4(a.y, b.y) + (dot4(a.x, b.x) + sum)));
}

// Conversions are slow on many devices, sums of floats are not: a small whole number is the low bits of a float whose
// unit is one.
const float k_unit_one = 12582912.0; // 1.5·2^23
const int k_unit_one_bits = 0x4b400000;

/// Sum of sixteen products as a float.
float dot16_float(uvec4 a, uvec4 b) { return intBitsToFloat(dot16(a, b, k_unit_one_bits)) - k_unit_one; }
/// Whole numbers below 2^23 as floats.
float whole(uint n) { return uintBitsToFloat(n | 0x4b000000u) - 8388608.0; }
