#include "ops/cases/data.hpp"

#include <algorithm>
#include <cmath>

namespace seacliff::ops {
namespace {

Attrs sinkhorn() { return {{"iters", std::int64_t{20}}, {"eps", 1e-6}}; }

Case one(std::string_view op, std::int64_t tokens, std::int64_t n_streams, std::int64_t width, DType format) {
  const std::int64_t rows = n_streams * n_streams + 2 * n_streams, flat = n_streams * width;
  const double fan_in = 1.0 / std::sqrt(static_cast<double>(flat));
  Attrs attrs;
  if (op == "hc_split" || op == "hc_pre") attrs = sinkhorn();
  if (op == "hc_gate" || op == "hc_head") attrs.set("eps", 1e-6);
  if (op == "hc_pre" || op == "hc_head") attrs.set("rms_eps", 1e-6);
  if (op == "repeat_streams") attrs.set("n", n_streams);
  CaseBuilder b(op, fmt::format("{} T={} n={} E={}", format_name(format), tokens, n_streams, width), tokens, attrs);
  const auto streams = [&] { b.activations({b.T(), n(n_streams), n(width)}, 2.0); };
  const auto gates = [&](std::int64_t count) {
    b.weight(DType::f32, {n(count)}, 1.0).weight(DType::f32, {n(count == rows ? 3 : 1)}, 0.3, 1.0);
  };
  if (op == "repeat_streams")
    b.activations({b.T(), n(width)});
  else if (op == "hc_split")
    b.activations({b.T(), n(rows)}), gates(rows);
  else if (op == "hc_gate")
    b.activations({b.T(), n(n_streams)}), gates(n_streams);
  else if (op == "stream_mix")
    streams(), b.activations({b.T(), n(n_streams), n(n_streams + 1)});
  else if (op == "stream_add")
    streams(), b.activations({b.T(), n(width)}).activations({b.T(), n(n_streams)});
  else if (op == "hc_pre")
    streams(), b.weight(format, {n(rows), n(flat)}, fan_in), gates(rows);
  else if (op == "hc_post")
    streams(), b.activations({b.T(), n(width)})
                   .activations({b.T(), n(n_streams)})
                   .activations({b.T(), n(n_streams), n(n_streams)}, 0.3);
  else if (op == "hc_head")
    streams(), b.weight(format, {n(n_streams), n(flat)}, fan_in), gates(n_streams);
  return b.build();
}

bool is_hyper(std::string_view op) {
  const std::string_view known[] = {"repeat_streams", "hc_split", "hc_gate", "stream_mix",
                                    "stream_add",     "hc_pre",   "hc_post", "hc_head"};
  return std::ranges::find(known, op) != std::end(known);
}

} // namespace

std::vector<Case> hyper_cases(std::string_view op) {
  if (!is_hyper(op)) return {};
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts) {
    cases.push_back(one(op, tokens, 4, 256, DType::f16));
    cases.push_back(one(op, tokens, 4, 64, DType::f32));
    cases.push_back(one(op, tokens, 2, 96, DType::bf16));
    cases.push_back(one(op, tokens, 3, 160, DType::q8_0));
  }
  cases.push_back(one(op, 2, 4, 4096, DType::f16));
  if (op == "stream_mix")
    for (const std::int64_t tokens : k_token_counts) {
      CaseBuilder b(op, fmt::format("to one T={}", tokens), tokens);
      b.activations({b.T(), n(4), n(100)}).activations({b.T(), n(4)});
      cases.push_back(b.build());
    }
  return cases;
}

std::optional<Case> random_hyper_case(std::string_view op, Random& random) {
  if (!is_hyper(op)) return std::nullopt;
  const DType formats[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0};
  const std::int64_t tokens = 1 + random.below(40), streams = 2 + random.below(4);
  return one(op, tokens, streams, 32 * (1 + random.below(20)), formats[random.below(4)]);
}

} // namespace seacliff::ops
