#include "ops/cases/data.hpp"

#include <cmath>

namespace seacliff::ops {
namespace {

std::vector<Case> rms_norm_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const std::int64_t width : {1, 7, 128, 4096}) {
      CaseBuilder b("rms_norm", fmt::format("T={} D={}", tokens, width), tokens, {{"eps", 1e-6}});
      b.activations({b.T(), n(width)}, 3.0);
      if (width == 7)
        b.absent();
      else
        b.weight(DType::f32, {n(width)}, 0.2, 1.0);
      cases.push_back(b.build());
    }
  for (const std::int64_t tokens : k_token_counts) {
    CaseBuilder heads("rms_norm", fmt::format("T={} heads", tokens), tokens,
                      {{"eps", 1e-6}, {"heads", std::int64_t{6}}});
    heads.activations({heads.T(), n(6 * 64)}).absent();
    cases.push_back(heads.build());
    CaseBuilder flat("rms_norm", fmt::format("T={} flatten", tokens), tokens,
                     {{"eps", 1e-6}, {"flatten", std::int64_t{1}}});
    flat.activations({flat.T(), n(4), n(100)}).absent();
    cases.push_back(flat.build());
    CaseBuilder rank3("rms_norm", fmt::format("T={} rank 3", tokens), tokens, {{"eps", 1e-6}});
    rank3.activations({rank3.T(), n(4), n(96)}).weight(DType::f32, {n(96)}, 0.2, 1.0);
    cases.push_back(rank3.build());
  }
  CaseBuilder tiny("rms_norm", "tiny values", 2, {{"eps", 1e-6}});
  tiny.activations({tiny.T(), n(64)}, 1e-5).absent();
  cases.push_back(tiny.build());
  return cases;
}

Attrs rope(std::int64_t rot, bool yarn) {
  if (!yarn) return {{"rot", rot}, {"base", 10000.0}};
  return {{"rot", rot},          {"base", 160000.0},  {"yarn", std::int64_t{1}}, {"factor", 16.0},
          {"orig_ctx", 65536.0}, {"beta_fast", 32.0}, {"beta_slow", 1.0}};
}

std::vector<Case> rope_tail_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const bool yarn : {false, true})
      for (const std::int64_t inverse : {0, 1}) {
        Attrs attrs = rope(64, yarn);
        attrs.set("inverse", inverse);
        CaseBuilder b("rope_tail", fmt::format("T={} {}{}", tokens, yarn ? "yarn" : "plain", inverse ? " inverse" : ""),
                      tokens, attrs);
        b.activations({b.T(), n(3), n(128)}).positions({{0, 0, 1}, {1, 4095, tokens - 1}});
        cases.push_back(b.build());
      }
  for (const std::int64_t shift : {-3, -127}) { // the first of these positions lie below zero
    Attrs attrs = rope(32, true);
    attrs.set("shift", shift);
    CaseBuilder b("rope_tail", fmt::format("shift {}", shift), 9, attrs);
    b.activations({b.T(), n(32)}).positions({{0, 0, 5}, {1, 126, 4}});
    cases.push_back(b.build());
  }
  Attrs heads = rope(16, false);
  heads.set("heads", std::int64_t{5});
  CaseBuilder b("rope_tail", "heads", 5, heads);
  b.activations({b.T(), n(5 * 48)}).positions({{0, 60, 5}});
  cases.push_back(b.build());
  CaseBuilder far("rope_tail", "far positions", 3, rope(64, true));
  far.activations({far.T(), n(64)}).i32({far.T()}, {12345, 100000, 1048575});
  cases.push_back(far.build());
  return cases;
}

std::vector<Case> kv_round_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const std::int64_t kv8 : {0, 1})
      for (const std::int64_t f16 : {0, 1}) {
        CaseBuilder b("kv_round", fmt::format("T={} kv8={} f16={}", tokens, kv8, f16), tokens,
                      {{"rot", std::int64_t{64}}, {"kv8", kv8}, {"f16", f16}});
        b.activations({b.T(), n(tokens == 2 ? 512 : 192)}, tokens == 5 ? 30.0 : 1.0);
        cases.push_back(b.build());
      }
  CaseBuilder edges("kv_round", "edges", 3, {{"rot", std::int64_t{0}}, {"kv8", std::int64_t{1}}});
  std::vector<float> x(3 * 64, 0.0f); // zeros; values about 448·2^k and half steps; values under the least scale
  for (int i = 0; i < 64; ++i) {
    const auto step = static_cast<float>(i);
    x[64 + static_cast<std::size_t>(i)] = i == 0 ? 448.0f : (i % 2 ? -1.0f : 1.0f) * (16.0f + step * 0.5f);
    x[128 + static_cast<std::size_t>(i)] = step * 1e-6f;
  }
  edges.f32({edges.T(), n(64)}, x);
  cases.push_back(edges.build());
  return cases;
}

std::vector<Case> index_round_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const std::int64_t idx4 : {0, 1})
      for (const std::int64_t f16 : {0, 1}) {
        CaseBuilder b("index_round", fmt::format("T={} idx4={} f16={}", tokens, idx4, f16), tokens,
                      {{"idx4", idx4}, {"f16", f16}});
        if (tokens == 5)
          b.activations({b.T(), n(3), n(64)});
        else
          b.activations({b.T(), n(128)});
        cases.push_back(b.build());
      }
  CaseBuilder zeros("index_round", "zeros", 1, {{"idx4", std::int64_t{1}}});
  zeros.activations({zeros.T(), n(128)}, 0.0);
  cases.push_back(zeros.build());
  return cases;
}

std::vector<Case> elementwise(std::string_view op) {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts) {
    CaseBuilder b(op, fmt::format("T={}", tokens), tokens);
    if (op == "add")
      b.activations({b.T(), n(77)}).activations({b.T(), n(77)});
    else
      b.activations({b.T(), n(77)}, 4.0);
    cases.push_back(b.build());
  }
  if (op == "add") {
    CaseBuilder b(op, "rank 3", 5);
    b.activations({b.T(), n(4), n(40)}).activations({b.T(), n(4), n(40)});
    cases.push_back(b.build());
  } else {
    CaseBuilder b(op, "extremes", 1);
    b.f32({b.T(), n(10)}, {-100.0f, -30.0f, -20.0f, -5.0f, 0.0f, 1.0f, 5.0f, 20.5f, 25.0f, 200.0f});
    cases.push_back(b.build());
  }
  return cases;
}

std::vector<Case> swiglu_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const double clamp : {0.0, 10.0}) {
      CaseBuilder plain("swiglu", fmt::format("T={} clamp={}", tokens, clamp), tokens, {{"clamp", clamp}});
      plain.activations({plain.T(), n(93)}, 6.0).activations({plain.T(), n(93)}, 6.0).absent();
      cases.push_back(plain.build());
      CaseBuilder slots("swiglu", fmt::format("T={} clamp={} weighted", tokens, clamp), tokens, {{"clamp", clamp}});
      slots.activations({slots.T(), n(3), n(64)}, 6.0).activations({slots.T(), n(3), n(64)}, 6.0);
      slots.activations({slots.T(), n(3)}, 0.5);
      cases.push_back(slots.build());
    }
  return cases;
}

std::vector<Case> sum_slots_cases() {
  std::vector<Case> cases;
  for (const std::int64_t tokens : k_token_counts)
    for (const std::int64_t slots : {1, 4, 6}) {
      CaseBuilder b("sum_slots", fmt::format("T={} S={}", tokens, slots), tokens);
      b.activations({b.T(), n(slots), n(65)});
      cases.push_back(b.build());
    }
  return cases;
}

} // namespace

std::vector<Case> row_cases(std::string_view op) {
  if (op == "rms_norm") return rms_norm_cases();
  if (op == "rope_tail") return rope_tail_cases();
  if (op == "kv_round") return kv_round_cases();
  if (op == "index_round") return index_round_cases();
  if (op == "swiglu") return swiglu_cases();
  if (op == "sum_slots") return sum_slots_cases();
  if (op == "add" || op == "sqrt_softplus") return elementwise(op);
  return {};
}

} // namespace seacliff::ops
