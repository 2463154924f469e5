// Rows of a table, decoded. An entry of the table may be several rows. Without ids: all of them.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;
layout(constant_id = 2) const bool ALIGNED = false;

// at: table[V,inner,K], ids[T], out[T,inner,K], grid.
void main() {
  const uint k = number(0), inner = number(1), rows = count(2), entries = number(3), chunks = (k + 15u) / 16u;
  const uint64_t table = at(0), out_rows = at(2), stride = row_bytes(FORMAT, k);
  const uint64_t ids = at(1);
  for (uint row = gl_WorkGroupID.x; row < rows; row += gl_NumWorkGroups.x) {
    const int id = ids != 0UL ? InInts(ids).v[row / inner] : int(row / inner);
    const bool known = id >= 0 && uint(id) < entries;
    const uint64_t from = table + (uint64_t(known ? id : 0) * inner + row % inner) * stride;
    const uint64_t to = floats(out_rows, uint64_t(row) * k);
    for (uint c = THREAD; c < chunks; c += THREADS) {
      // Integers are bits that must not pass through a float.
      if (FORMAT == k_i32) {
        for (uint i = c * 16u; i < min(c * 16u + 16u, k); ++i) Ints(to).v[i] = known ? InInts(from).v[i] : 0;
        continue;
      }
      const Chunk chunk = weight_chunk(FORMAT, ALIGNED, from, c, k, at(3));
      for (uint i = 0; i < min(16u, k - c * 16u); ++i)
        Floats(to).v[c * 16u + i] = known ? chunk.v[i / 4][i % 4] : 0.0;
    }
  }
}
