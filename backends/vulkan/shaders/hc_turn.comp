// Out of one layer and into the next, for few tokens: what the layer gives goes back into the streams, and while a part of
// the columns is at hand, it is multiplied with the rows of fn and its squares are summed, as hc_dots.comp does it.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "weights.glsl"

layout(constant_id = 1) const uint FORMAT = 0;

const uint k_most_columns = 1024; // of a part
shared float columns[k_most_columns];

// at: s[T,n,E], y[T,E], more[T,E] or none, post[T,n], comb[T,n,n], new s, fn[J,n·E], sums[T,parts,J+1], grid.
void main() {
  const uint k = number(0), rows = number(1), parts = number(2), width = number(3), streams = number(4);
  const uint t = gl_WorkGroupID.z, part = gl_WorkGroupID.x, each = (k / 16u + parts - 1u) / parts * 16u;
  const uint begin = part * each, end = min(begin + each, k);
  InFloats s = InFloats(floats(at(0), uint64_t(t) * k)), y = InFloats(floats(at(1), uint64_t(t) * width));
  const uint64_t more = at(2);
  InFloats second = InFloats(floats(more, uint64_t(t) * width));
  InFloats post = InFloats(floats(at(3), t * streams)), comb = InFloats(floats(at(4), t * streams * streams));
  Floats fresh = Floats(floats(at(5), uint64_t(t) * k));
  for (uint i = begin + THREAD; i < end; i += THREADS) {
    const uint c = i / width, e = i % width;
    float sum = post.v[c] * (more != 0UL ? y.v[e] + second.v[e] : y.v[e]);
    for (uint r = 0; r < streams; ++r) sum += comb.v[r * streams + c] * s.v[r * width + e];
    columns[i - begin] = sum;
    if (gl_WorkGroupID.y == 0) fresh.v[i] = sum;
  }
  barrier();

  const uint j = gl_WorkGroupID.y * gl_NumSubgroups + gl_SubgroupID;
  if (j > rows) return;
  const uint64_t w = at(6) + uint64_t(min(j, rows - 1u)) * row_bytes(FORMAT, k), grid = at(8);
  float sum = 0.0;
  for (uint c = begin / 16u + gl_SubgroupInvocationID; c < end / 16u; c += gl_SubgroupSize) {
    const uint at_column = c * 16u - begin;
    Chunk xs;
    [[unroll]] for (uint i = 0; i < 16; ++i) xs.v[i / 4][i % 4] = columns[at_column + i];
    if (j == rows)
      sum += chunk_dot(xs, xs);
    else
      sum += chunk_dot(weight_chunk(FORMAT, true, w, c, k, grid), xs);
  }
  sum = subgroupAdd(sum);
  if (gl_SubgroupInvocationID == 0) Floats(floats(at(7), (uint64_t(t) * parts + part) * (rows + 1u))).v[j] = sum;
}
