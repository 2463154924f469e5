// nano and its reference vectors, for tests. The GGUF files are made by ctest before the tests run (CMakeLists.txt).
#pragma once

#include "graph/run/session.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace seacliff::test {

inline constexpr std::size_t k_vocab = 4096;

/// build/test-models/nano-RECIPE.gguf
std::string nano_gguf(const std::string& recipe);

/// One prompt of models/nano/vectors.
struct Vector {
  std::string name;
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> positions;
  std::vector<float> logits; // [positions, vocab]
  std::vector<std::int32_t> greedy;
  std::vector<double> greedy_margin; // logit gap of each greedy token
};
const std::vector<Vector>& vectors();
const Vector& vector_named(const std::string& name);

/// Where tests run that hold for every backend: what the environment's SEACLIFF_TEST_BACKEND names, else "cpu".
std::string backend_under_test();

/// float32 activations, no cache round trips: how the vectors were made.
graph::ModelOptions exact_options(const std::string& backend);
std::unique_ptr<graph::Model> load(const std::string& recipe, const graph::ModelOptions& options);

/// Logits of every token, [tokens, vocab].
std::vector<float> all_logits(graph::Model& model, graph::Session& session, std::span<const std::int32_t> tokens,
                              std::int64_t chunk = 0);
std::vector<float> all_logits(graph::Model& model, std::span<const std::int32_t> tokens, std::int64_t chunk = 0);

/// Tokens of the held-out text as the vectors' windows have them: BOS and 1023 tokens each.
std::vector<std::vector<std::int32_t>> heldout_windows(std::size_t n);

/// How two sets of logit rows differ. KL in nats, of b from a.
struct Difference {
  double max_abs = 0, median_rel = 0, mean_kl = 0, top1 = 0;
  std::size_t rows = 0;
};
/// rel = RMS of the difference / standard deviation of a, per row; its median over rows.
Difference compare(std::span<const float> a, std::span<const float> b, std::size_t vocab);

} // namespace seacliff::test
