// Pairs of token and slot, brought in the order of their experts, and the tiles of 64 that they make. Pairs whose id
// names no expert come last, as expert X.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"

const uint k_most = 1024, k_tile = 64;
shared uint counts[k_most], begins[k_most], first_tile[k_most];
shared uint tiles_used;

uint expert_of(uint pair, uint experts) {
  const int id = InInts(at(0)).v[pair];
  return id >= 0 && uint(id) < experts ? uint(id) : experts;
}

// at: ids, list of pairs, tiles as (expert, first, rows).
void main() {
  const uint pairs = count(0), experts = number(1), most_tiles = number(2);
  Ints order = Ints(at(1)), tiles = Ints(at(2));
  for (uint e = THREAD; e <= experts; e += THREADS) counts[e] = 0;
  barrier();
  for (uint i = THREAD; i < pairs; i += THREADS) atomicAdd(counts[expert_of(i, experts)], 1);
  barrier();
  // Sums over the experts before, tile counts beside: a subgroup goes over all of them, a piece at a time.
  if (gl_SubgroupID == 0) {
    uint begin = 0, tile = 0;
    for (uint base = 0; base <= experts; base += gl_SubgroupSize) {
      const uint e = base + gl_SubgroupInvocationID, here = e <= experts ? counts[e] : 0u;
      const uint here_tiles = (here + k_tile - 1) / k_tile;
      const uint before = subgroupExclusiveAdd(here), tiles_before = subgroupExclusiveAdd(here_tiles);
      if (e <= experts) {
        begins[e] = begin + before;
        first_tile[e] = tile + tiles_before;
      }
      begin += subgroupAdd(here);
      tile += subgroupAdd(here_tiles);
    }
    if (gl_SubgroupInvocationID == 0) tiles_used = tile;
  }
  barrier();
  for (uint e = THREAD; e <= experts; e += THREADS)
    for (uint done = 0; done < counts[e]; done += k_tile) {
      const uint tile = first_tile[e] + done / k_tile;
      tiles.v[3 * tile] = int(e);
      tiles.v[3 * tile + 1] = int(begins[e] + done);
      tiles.v[3 * tile + 2] = int(min(k_tile, counts[e] - done));
    }
  for (uint tile = tiles_used + THREAD; tile < most_tiles; tile += THREADS) tiles.v[3 * tile + 2] = 0;
  barrier();
  // The order within an expert may differ from run to run: every row of a product is summed by itself.
  for (uint i = THREAD; i < pairs; i += THREADS) order.v[atomicAdd(begins[expert_of(i, experts)], 1)] = int(i);
}
