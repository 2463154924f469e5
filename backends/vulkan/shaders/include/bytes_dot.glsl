// Sums of four products of bytes in one instruction (SPV_KHR_integer_dot_product).
#extension GL_EXT_spirv_intrinsics : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot_of_packed(int a, int b, spirv_literal int four_signed_bytes);

int dot4(uint a, uint b) { return dot_of_packed(int(a), int(b), 0); }
int dot16(uvec4 a, uvec4 b) { return dot4(a.x, b.x) + dot4(a.y, b.y) + dot4(a.z, b.z) + dot4(a.w, b.w); }
