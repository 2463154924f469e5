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

namespace {

constexpr std::uint32_t k_reads = 3; // the best counts
constexpr std::chrono::seconds k_fresh(1);

std::unique_ptr<ReadBandwidth> reads_of(graph::Model& model) {
  constexpr std::uint64_t smallest = std::uint64_t{64} << 20, enough = std::uint64_t{2} << 30;
  const std::uint64_t available = memory_limit().available;
  const std::uint64_t bytes = available == 0 ? enough : std::clamp(available / 8, smallest, enough);
  return std::make_unique<ReadBandwidth>(model.runtime().team(), bytes);
}

} // namespace

Yardstick::Yardstick(graph::Model& model) {
  if (const auto device = model.far_device(); device != nullptr) {
    first_ = {plugins::measure_copies(device), true};
    all_ = {first_.gbps};
    return;
  }
  reads_ = reads_of(model);
  first_ = {gbps(), false};
}

Yardstick::~Yardstick() = default;

double Yardstick::gbps() {
  if (reads_ != nullptr && (all_.empty() || Clock::now() - measured_ > k_fresh)) {
    all_.push_back(reads_->measure(k_reads));
    measured_ = Clock::now();
  }
  return all_.back();
}

MemorySpeed Yardstick::median() const { return {tools::median(all_), first_.by_copies}; }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

} // namespace seacliff::tools
