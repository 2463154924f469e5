#include "graph/run/made_up.hpp"

#include "core/model/random_blocks.hpp"

#include <algorithm>
#include <cstring>

namespace seacliff::graph {
namespace {

constexpr float k_values[16] = {0.0f,  0.125f,  0.25f,  0.375f,  0.5f,  0.75f,  1.0f,  1.5f,
                                -0.0f, -0.125f, -0.25f, -0.375f, -0.5f, -0.75f, -1.0f, -1.5f};
constexpr std::uint16_t k_halves[16] = {0x0000, 0x3000, 0x3400, 0x3600, 0x3800, 0x3a00, 0x3c00, 0x3e00,
                                        0x8000, 0xb000, 0xb400, 0xb600, 0xb800, 0xba00, 0xbc00, 0xbe00};

/// Sixteen elements to a random word.
template <class T> void fill(std::span<std::byte> bytes, const T (&values)[16], RandomWords random) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    word = i % 16 == 0 ? random.word() : word >> 4;
    std::memcpy(bytes.data() + i * sizeof(T), &values[word & 15u], sizeof(T));
  }
}

} // namespace

Snapshot made_up_snapshot(const Model& model, std::span<const std::int32_t> tokens, std::uint64_t seed) {
  const auto position = static_cast<std::int64_t>(tokens.size());
  if (position > model.options().max_ctx)
    throw Error(Code::out_of_range,
                fmt::format("{} tokens do not fit into the context of {}", position, model.options().max_ctx),
                "raise --ctx");
  Snapshot snapshot;
  snapshot.tokens.assign(tokens.begin(), tokens.end());
  snapshot.oldest = std::max<std::int64_t>(0, position - model.options().rewind_rows);
  std::uint64_t stream = 0;
  for (const StateTensor& state : model.states()) {
    Snapshot::Part part{state.name, state.dtype, state.filled_rows(position), {}};
    part.data.resize(static_cast<std::size_t>(part.rows) * state.row_bytes);
    const RandomWords random(seed, stream++, 0);
    if (state.dtype == DType::f16)
      fill(part.data, k_halves, random);
    else if (state.dtype == DType::f32)
      fill(part.data, k_values, random);
    else
      throw Error(Code::unimplemented,
                  fmt::format("no made-up rows for {} in {}", state.name, dtype_info(state.dtype).name));
    snapshot.parts.push_back(std::move(part));
  }
  return snapshot;
}

} // namespace seacliff::graph
