#include "tools/measuring.hpp"

#include "core/memory/memory_limit.hpp"
#include "core/model/random_blocks.hpp"
#include "core/topology/bandwidth.hpp"
#include "plugins/loader/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace seacliff::tools {

std::vector<std::int32_t> random_tokens(const graph::Model& model, std::uint64_t seed) {
  constexpr std::size_t n_tokens = 1 << 16;
  RandomWords random(seed, 0, 0);
  std::vector<std::int32_t> tokens(n_tokens);
  const auto vocab = static_cast<std::uint64_t>(model.hparams().n_vocab);
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random.below(vocab));
  return tokens;
}

std::string MemorySpeed::text() const {
  const std::string_view what = by_copies ? "copies in device memory move" : "memory reads";
  return gbps > 0 ? fmt::format("{} {:.1f} GB/s", what, gbps) : fmt::format("{} unknown", what);
}

MemorySpeed measure_memory(graph::Model& model) {
  if (const auto device = model.far_device(); device != nullptr) return {plugins::measure_copies(device), true};
  BandwidthOptions options;
  constexpr std::uint64_t smallest = std::uint64_t{64} << 20;
  if (const std::uint64_t available = memory_limit().available; available != 0)
    options.bytes = std::clamp(available / 4, smallest, options.bytes);
  return {measure_read_bandwidth(model.runtime().team(), options), false};
}

} // namespace seacliff::tools
