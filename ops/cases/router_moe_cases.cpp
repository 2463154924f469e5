#include "ops/cases/data.hpp"

#include <cmath>
#include <utility>

namespace seacliff::ops {
namespace {

/// K different experts per token, below `experts`; the tokens share some of them.
void add_experts(CaseBuilder& b, std::int64_t tokens, std::int64_t slots, std::int64_t experts) {
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::int64_t id = b.random().below(experts);
    for (std::int64_t s = 0; s < slots; ++s) {
      ids.push_back(static_cast<std::int32_t>(id));
      id = (id + 1 + b.random().below(std::max<std::int64_t>(experts / slots - 1, 1))) % experts;
    }
  }
  b.i32({b.T(), n(slots)}, ids);
}

std::vector<Case> top_k_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const bool bias : {false, true}) {
      CaseBuilder b("top_k", fmt::format("T={}{}", tokens, bias ? " bias" : ""), tokens, {{"k", std::int64_t{6}}});
      b.activations({b.T(), n(67)});
      if (bias)
        b.weight(DType::f32, {n(67)}, 0.5);
      else
        b.absent();
      cases.push_back(b.build());
    }
  CaseBuilder ties("top_k", "ties", 2, {{"k", std::int64_t{4}}});
  ties.f32({ties.T(), n(6)}, {1, 2, 2, 2, 1, 2, 0, 0, 0, 0, 0, 0}).absent();
  cases.push_back(ties.build());
  CaseBuilder every("top_k", "k = X", 3, {{"k", std::int64_t{5}}});
  every.activations({every.T(), n(5)}).absent();
  cases.push_back(every.build());
  return cases;
}

std::vector<Case> route_weights_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts) {
    CaseBuilder b("route_weights", fmt::format("T={}", tokens), tokens, {{"scale", 1.5}});
    b.activations({b.T(), n(32)});
    add_experts(b, tokens, 6, 32);
    Case test = b.build();
    for (float& x : test.inputs[0].as<float>()) x = std::fabs(x); // probabilities of routing are positive
    cases.push_back(std::move(test));
  }
  CaseBuilder tiny("route_weights", "a sum below the floor", 1, {{"scale", 2.5}});
  tiny.f32({tiny.T(), n(4)}, {1e-6f, 2e-6f, 1.0f, 0.0f}).i32({tiny.T(), n(2)}, {1, 0});
  cases.push_back(tiny.build());
  return cases;
}

std::vector<Case> route_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const DType format : {DType::f32, DType::f16, DType::bf16, DType::q8_0})
      for (const int kind : {0, 1, 2}) { // bias, no bias, table
        if (kind != 0 && format == DType::bf16) continue;
        const std::int64_t width = 192, experts = 32, slots = kind == 1 ? 4 : 6;
        const char* names[] = {"bias", "plain", "table"};
        CaseBuilder b("route", fmt::format("{} T={} {}", format_name(format), tokens, names[kind]), tokens,
                      {{"k", slots}, {"scale", 1.5}});
        b.activations({b.T(), n(width)}).weight(format, {n(experts), n(width)}, fan_in(width));
        if (kind == 0)
          b.weight(DType::f32, {n(experts)}, 0.3);
        else
          b.absent();
        if (kind == 2) {
          std::vector<std::int32_t> table;
          for (std::int64_t token = 0; token < 50; ++token)
            for (std::int64_t s = 0; s < slots; ++s)
              table.push_back(static_cast<std::int32_t>((token * 7 + s * 5) % experts));
          b.i32({n(50), n(slots)}, table).ids({b.T()}, 50);
        } else {
          b.absent().absent();
        }
        Case test = b.build();
        if (kind == 2) test.inputs[3].role = SCF_ROLE_WEIGHT;
        cases.push_back(std::move(test));
      }
  return cases;
}

/// Formats of gate and up, and of down.
struct Formats {
  DType in, down;
};

std::vector<Formats> expert_formats() {
  std::vector<Formats> pairs;
  for (const DType format : weight_formats()) pairs.push_back({format, format});
  pairs.push_back({DType::iq2_xxs, DType::q2_k});
  pairs.push_back({DType::q4_k, DType::q6_k});
  return pairs;
}

std::string name_of(const Formats& formats) {
  if (formats.in == formats.down) return std::string(format_name(formats.in));
  return fmt::format("{}/{}", format_name(formats.in), format_name(formats.down));
}

Case of_experts(const Formats& formats, std::int64_t tokens, double clamp, bool act8) {
  const std::int64_t width = column_step(formats.in) == 256 ? 256 : 96,
                     hidden = column_step(formats.down) == 256 ? 256 : 64, experts = 7, slots = 4;
  CaseBuilder b("moe_experts", fmt::format("{} T={}", name_of(formats), tokens), tokens,
                {{"clamp", clamp}, {"act8", std::int64_t{act8}}});
  b.activations({b.T(), n(width)});
  add_experts(b, tokens, slots, experts - 1); // the last is never used
  b.activations({b.T(), n(slots)}, 0.4);
  b.weight(formats.in, {n(experts), n(hidden), n(width)}, 2 * fan_in(width));
  b.weight(formats.in, {n(experts), n(hidden), n(width)}, 2 * fan_in(width));
  b.weight(formats.down, {n(experts), n(width), n(hidden)}, fan_in(hidden));
  return b.build();
}

std::vector<Case> moe_experts_cases() {
  std::vector<Case> cases;
  for (const Formats& formats : expert_formats())
    for (const std::int64_t tokens : k_token_counts)
      if (tokens != 2 || column_step(formats.in) != 256)
        cases.push_back(of_experts(formats, tokens, tokens == 5 ? 0.0 : 10.0, tokens == 5));
  // Many tokens of each expert, and only one side quantised.
  for (const Formats& formats : {Formats{DType::q8_0, DType::q8_0},
                                 {DType::q4_k, DType::q4_k},
                                 {DType::iq2_xxs, DType::q2_k},
                                 {DType::mxfp4, DType::mxfp4},
                                 {DType::f16, DType::q8_0},
                                 {DType::bf16, DType::q4_k},
                                 {DType::q8_0, DType::f16}})
    cases.push_back(of_experts(formats, 40, 10.0, true));
  CaseBuilder same("moe_experts", "one expert for all", 5, {{"clamp", 10.0}});
  same.activations({same.T(), n(64)}).i32({same.T(), n(1)}, {2, 2, 2, 2, 2}).activations({same.T(), n(1)});
  same.weight(DType::q8_0, {n(3), n(32), n(64)}, 0.2).weight(DType::q8_0, {n(3), n(32), n(64)}, 0.2);
  same.weight(DType::q8_0, {n(3), n(64), n(32)}, 0.2);
  cases.push_back(same.build());
  for (const std::int64_t act8 : {0, 1}) { // more pairs of an expert than tokens
    CaseBuilder often("moe_experts", act8 != 0 ? "one expert for all slots, act8" : "one expert for all slots", 24,
                      {{"clamp", 10.0}, {"act8", act8}});
    often.activations({often.T(), n(64)}).i32({often.T(), n(4)}, std::vector<std::int32_t>(24 * 4, 2));
    often.activations({often.T(), n(4)});
    often.weight(DType::q8_0, {n(3), n(32), n(64)}, 0.2).weight(DType::q8_0, {n(3), n(32), n(64)}, 0.2);
    cases.push_back(often.weight(DType::q8_0, {n(3), n(64), n(32)}, 0.2).build());
  }
  for (const std::int64_t tokens : {1, 3}) {
    const std::int64_t width = 2048, hidden = 1024, experts = 5, slots = 3;
    CaseBuilder b("moe_experts", fmt::format("wide T={}", tokens), tokens,
                  {{"clamp", 10.0}, {"act8", std::int64_t{tokens == 1}}});
    b.activations({b.T(), n(width)});
    add_experts(b, tokens, slots, experts - 1);
    b.activations({b.T(), n(slots)}, 0.4);
    b.weight(DType::iq2_xxs, {n(experts), n(hidden), n(width)}, 2 * fan_in(width));
    b.weight(DType::iq2_xxs, {n(experts), n(hidden), n(width)}, 2 * fan_in(width));
    cases.push_back(b.weight(DType::q2_k, {n(experts), n(width), n(hidden)}, fan_in(hidden)).build());
  }
  return cases;
}

std::vector<Case> shared_expert_cases() {
  std::vector<Case> cases;
  for (const Formats& formats : expert_formats())
    for (const std::int64_t tokens : k_token_counts) {
      const bool blocks = column_step(formats.in) == 256;
      if (tokens == 2 && blocks) continue;
      const std::int64_t width = blocks ? 256 : 160, hidden = column_step(formats.down) == 256 ? 256 : 96;
      CaseBuilder b("shared_expert", fmt::format("{} T={}", name_of(formats), tokens), tokens,
                    {{"clamp", tokens == 5 ? 0.0 : 10.0}, {"act8", std::int64_t{tokens == 5}}});
      b.activations({b.T(), n(width)});
      b.weight(formats.in, {n(hidden), n(width)}, 2 * fan_in(width));
      b.weight(formats.in, {n(hidden), n(width)}, 2 * fan_in(width));
      b.weight(formats.down, {n(width), n(hidden)}, fan_in(hidden));
      cases.push_back(b.build());
    }
  for (const auto& [format, tokens] :
       {std::pair{DType::q8_0, 1}, {DType::q8_0, 3}, {DType::q8_0, 6}, {DType::f16, 33}}) {
    const std::int64_t width = 512, hidden = 256;
    CaseBuilder b("shared_expert", fmt::format("{} wide T={}", format_name(format), tokens), tokens,
                  {{"clamp", 10.0}, {"act8", std::int64_t{tokens != 3}}});
    b.activations({b.T(), n(width)}).weight(format, {n(hidden), n(width)}, 2 * fan_in(width));
    b.weight(format, {n(hidden), n(width)}, 2 * fan_in(width));
    cases.push_back(b.weight(format, {n(width), n(hidden)}, fan_in(hidden)).build());
  }
  return cases;
}

} // namespace

std::vector<Case> router_moe_cases(std::string_view op) {
  if (op == "top_k") return top_k_cases();
  if (op == "route_weights") return route_weights_cases();
  if (op == "route") return route_cases();
  if (op == "moe_experts") return moe_experts_cases();
  if (op == "shared_expert") return shared_expert_cases();
  return {};
}

namespace {

Case random_route_case(Random& random, const std::string& name) {
  const std::int64_t tokens = 1 + random.below(20), experts = 8 + random.below(120), slots = 1 + random.below(8);
  const std::int64_t width = 32 * (1 + random.below(12));
  const DType formats[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0};
  CaseBuilder b("route", name, tokens, {{"k", slots}, {"scale", 1.5}});
  b.activations({b.T(), n(width)}).weight(formats[random.below(4)], {n(experts), n(width)}, fan_in(width));
  if (random.below(2) == 0)
    b.weight(DType::f32, {n(experts)}, 0.3);
  else
    b.absent();
  return b.absent().absent().build();
}

Case random_experts_case(bool shared, Random& random, const std::string& name) {
  const std::vector<Formats> pairs = expert_formats();
  const Formats formats = pairs[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(pairs.size())))];
  const auto whole = [&](DType format) {
    const std::int64_t step = std::max<std::int64_t>(column_step(format), 32);
    return step * (1 + random.below(step == 256 ? 2 : 6));
  };
  // width is a row of gate and up, hidden a row of down
  const std::int64_t width = whole(formats.in), hidden = whole(formats.down), tokens = 1 + random.below(20);
  const std::int64_t experts = 4 + random.below(6), slots = 1 + random.below(4);
  CaseBuilder b(shared ? "shared_expert" : "moe_experts",
                fmt::format("{} {} T={} {}x{}", name, name_of(formats), tokens, hidden, width), tokens,
                {{"clamp", random.below(2) == 0 ? 0.0 : 10.0}, {"act8", random.below(2)}});
  b.activations({b.T(), n(width)});
  std::vector<Dim> in{n(hidden), n(width)}, down{n(width), n(hidden)};
  if (!shared) {
    add_experts(b, tokens, slots, experts);
    b.activations({b.T(), n(slots)}, 0.4);
    in.insert(in.begin(), n(experts));
    down.insert(down.begin(), n(experts));
  }
  return b.weight(formats.in, in, 2 * fan_in(width))
      .weight(formats.in, in, 2 * fan_in(width))
      .weight(formats.down, down, fan_in(hidden))
      .build();
}

} // namespace

std::optional<Case> random_router_moe_case(std::string_view op, Random& random, const std::string& name) {
  if (op == "route") return random_route_case(random, name);
  if (op == "moe_experts" || op == "shared_expert") return random_experts_case(op == "shared_expert", random, name);
  const std::int64_t tokens = 1 + random.below(30), experts = 8 + random.below(300), slots = 1 + random.below(8);
  CaseBuilder b(op, fmt::format("{} T={} X={} k={}", name, tokens, experts, slots), tokens);
  if (op == "top_k") {
    b.activations({b.T(), n(experts)}).absent();
    Case test = b.build();
    test.attrs.set("k", slots);
    return test;
  }
  if (op != "route_weights") return std::nullopt;
  b.activations({b.T(), n(experts)});
  add_experts(b, tokens, slots, experts);
  Case test = b.build();
  test.attrs.set("scale", 1.5);
  for (float& x : test.inputs[0].as<float>()) x = std::fabs(x);
  return test;
}

} // namespace seacliff::ops
