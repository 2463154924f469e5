#include "ops/cases/random_cases.hpp"

#include "ops/cases/data.hpp"

namespace seacliff::ops {
namespace {

DType random_format(Random& random) {
  const auto formats = weight_formats();
  return formats[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(formats.size())))];
}

/// Columns of a matrix: up to `largest` or one block, whole blocks.
std::int64_t random_columns(Random& random, DType format, std::int64_t largest) {
  const std::int64_t step = column_step(format);
  return step * (1 + random.below(std::max<std::int64_t>(largest / step, 1)));
}

Case random_linear_case(std::string_view op, Random& random, const std::string& name) {
  const DType format = random_format(random);
  const std::int64_t tokens = 1 + random.below(40), k = random_columns(random, format, 1024),
                     rows = 1 + random.below(90);
  const std::int64_t some = 1 + random.below(5);
  CaseBuilder b(op, fmt::format("{} {} {}x{} T={}", name, format_name(format), rows, k, tokens), tokens);
  Attrs attrs;
  if (op == "gather_rows") {
    b.weight(format, {n(rows), n(k)}, 0.05).ids({b.T()}, rows);
  } else if (op == "matmul") {
    b.activations({b.T(), n(k)}).weight(format, {n(rows), n(k)}, fan_in(k));
    attrs = {{"act8", random.below(2)}};
  } else if (op == "matmul_grouped") {
    b.activations({b.T(), n(some * k)}).weight(format, {n(some * rows), n(k)}, fan_in(k));
    attrs = {{"groups", some}, {"act8", random.below(2)}};
  } else if (op == "matmul_id") {
    const std::int64_t slots = 1 + random.below(4);
    b.activations(random.below(2) == 0 ? std::vector<Dim>{b.T(), n(k)} : std::vector<Dim>{b.T(), n(slots), n(k)});
    b.weight(format, {n(some), n(rows), n(k)}, fan_in(k)).ids({b.T(), n(slots)}, some);
    attrs = {{"act8", random.below(2)}};
  }
  Case test = b.build();
  test.attrs = std::move(attrs);
  return test;
}

Case random_out_case(Random& random, const std::string& name) {
  const DType format = random_format(random);
  const std::int64_t groups = 1 + random.below(3), low = random_columns(random, format, 128);
  const std::int64_t heads = groups * (1 + random.below(3)), width = random_columns(random, format, 192);
  const std::int64_t tokens = 1 + random.below(20), k = heads * width / groups;
  CaseBuilder b("attn_out_grouped", fmt::format("{} {} T={}", name, format_name(format), tokens), tokens,
                {{"groups", groups}, {"act8", random.below(2)}});
  return b.activations({b.T(), n(heads), n(width)})
      .weight(format, {n(groups * low), n(k)}, fan_in(k))
      .weight(format, {n(1 + random.below(90)), n(groups * low)}, fan_in(groups * low))
      .build();
}

Attrs random_rope(Random& random, std::int64_t rot) {
  Attrs attrs{{"rot", rot}, {"base", random.below(2) == 0 ? 10000.0 : 160000.0}, {"inverse", random.below(2)}};
  if (random.below(2) == 0) return attrs;
  attrs.set("yarn", std::int64_t{1});
  attrs.set("factor", 16.0);
  attrs.set("orig_ctx", 4096.0);
  attrs.set("beta_fast", 32.0);
  attrs.set("beta_slow", 1.0);
  return attrs;
}

Case random_row_case(std::string_view op, Random& random, const std::string& name) {
  const std::int64_t tokens = 1 + random.below(40), width = 1 + random.below(900), slots = 1 + random.below(7);
  CaseBuilder b(op, fmt::format("{} T={} D={}", name, tokens, width), tokens);
  Attrs attrs;
  if (op == "rms_norm") {
    b.activations({b.T(), n(width)}, 3.0).weight(DType::f32, {n(width)}, 0.2, 1.0);
    attrs = {{"eps", 1e-6}};
  } else if (op == "rope_tail") {
    const std::int64_t rot = 2 * (1 + random.below(32));
    b.activations({b.T(), n(slots), n(rot + 2 * random.below(40))}).positions({{0, random.below(5000), tokens}});
    attrs = random_rope(random, rot);
  } else if (op == "kv_round") {
    b.activations({b.T(), n(64 * (1 + random.below(8)))}, 4.0);
    attrs = {{"rot", std::int64_t{64}}, {"kv8", random.below(2)}, {"f16", random.below(2)}};
  } else if (op == "index_round") {
    b.activations({b.T(), n(std::int64_t{64} << random.below(3))});
    attrs = {{"idx4", random.below(2)}, {"f16", random.below(2)}};
  } else if (op == "add") {
    b.activations({b.T(), n(width)}).activations({b.T(), n(width)});
  } else if (op == "swiglu") {
    b.activations({b.T(), n(slots), n(width)}, 6.0).activations({b.T(), n(slots), n(width)}, 6.0);
    b.activations({b.T(), n(slots)}, 0.5);
    attrs = {{"clamp", random.below(2) == 0 ? 0.0 : 7.0}};
  } else if (op == "sum_slots") {
    b.activations({b.T(), n(slots), n(width)});
  } else if (op == "sqrt_softplus") {
    b.activations({b.T(), n(width)}, 8.0);
  }
  Case test = b.build();
  test.attrs = std::move(attrs);
  return test;
}

Case random_case(std::string_view op, Random& random, const std::string& name) {
  if (op == "attn_out_grouped") return random_out_case(random, name);
  if (auto test = random_hyper_case(op, random)) return *std::move(test);
  if (auto test = random_compress_case(op, random)) return *std::move(test);
  if (auto test = random_attention_case(op, random)) return *std::move(test);
  if (auto test = random_index_case(op, random)) return *std::move(test);
  if (auto test = random_router_moe_case(op, random, name)) return *std::move(test);
  Case test = random_linear_case(op, random, name);
  return test.inputs.empty() ? random_row_case(op, random, name) : test;
}

} // namespace

Runs random_runs(Random& random, std::int64_t slots) {
  Runs runs;
  for (std::int64_t slot = 0; slot < slots; ++slot) {
    if (random.below(3) == 0) continue;
    runs.push_back(
        {slot, random.below(8) == 0 ? 0 : random.below(300), 1 + random.below(random.below(2) == 0 ? 3 : 14)});
  }
  if (runs.empty()) runs.push_back({random.below(slots), random.below(300), 1});
  return runs;
}

std::vector<Case> random_cases(std::string_view op, std::uint64_t seed, std::int64_t count) {
  std::vector<Case> cases;
  if (find_schema(op) == nullptr) return cases;
  std::uint64_t mixed = seed * 0x9e3779b97f4a7c15U;
  for (const char c : op) mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  for (std::int64_t i = 0; i < count; ++i) {
    Random random(mixed + static_cast<std::uint64_t>(i) * 0x2545f4914f6cdd1dU);
    cases.push_back(random_case(op, random, fmt::format("random {}.{}", seed, i)));
  }
  return cases;
}

} // namespace seacliff::ops
