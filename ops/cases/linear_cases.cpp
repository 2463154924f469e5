#include "ops/cases/data.hpp"

#include <tuple>

namespace seacliff::ops {
namespace {

/// Columns of a test matrix: a few blocks, an odd number of them.
std::int64_t columns(DType format) {
  return column_step(format) == 1 ? 61 : 3 * std::max<std::int64_t>(column_step(format), 32);
}

std::vector<Case> gather_rows_cases() {
  std::vector<Case> cases;
  for (const DType format : weight_formats())
    for (const std::int64_t tokens : {1, 33}) {
      CaseBuilder b("gather_rows", fmt::format("{} T={}", format_name(format), tokens), tokens);
      b.weight(format, {n(19), n(columns(format))}, 0.02).ids({b.T()}, 19);
      cases.push_back(b.build());
    }
  for (const std::int64_t tokens : {1, 5}) {
    CaseBuilder b("gather_rows", fmt::format("i32 table T={}", tokens), tokens);
    b.ids({n(40), n(6)}, 256, SCF_ROLE_WEIGHT).ids({b.T()}, 40);
    cases.push_back(b.build());
  }
  CaseBuilder streams("gather_rows", "entries of several rows", 3);
  streams.activations({streams.T(), n(4), n(40)}).i32({streams.T()}, {2, 0, 2});
  cases.push_back(streams.build());
  CaseBuilder b("gather_rows", "activations as table", 5);
  b.activations({n(7), n(64)}).i32({b.T()}, {6, 0, 0, 3, 6});
  cases.push_back(b.build());
  return cases;
}

std::vector<Case> matmul_cases() {
  std::vector<Case> cases;
  for (const DType format : weight_formats())
    for (const std::int64_t tokens : {1, 2, 5, 33})
      for (const std::int64_t act8 : {0, 1}) {
        if (act8 != 0 && (tokens == 2 || (column_step(format) == 1 && tokens != 33))) continue;
        CaseBuilder b("matmul", fmt::format("{} T={}{}", format_name(format), tokens, act8 ? " act8" : ""), tokens,
                      {{"act8", act8}});
        const std::int64_t k = columns(format);
        b.activations({b.T(), n(k)}).weight(format, {n(tokens == 5 ? 1 : 37), n(k)}, fan_in(k));
        cases.push_back(b.build());
      }
  for (const DType format : {DType::f32, DType::f16, DType::q8_0, DType::q4_k, DType::q2_k}) {
    CaseBuilder b("matmul", fmt::format("{} wide", format_name(format)), 3);
    b.activations({b.T(), n(4096)}).weight(format, {n(130), n(4096)}, fan_in(4096));
    cases.push_back(b.build());
  }
  // More rows than tiles have, and as many tiles as large devices want.
  for (const auto& [tokens, rows, k] : {std::tuple<int, int, int>{130, 150, 96}, {1030, 3650, 64}}) {
    CaseBuilder b("matmul", fmt::format("q8_0 T={} N={} act8", tokens, rows), tokens, {{"act8", std::int64_t{1}}});
    b.activations({b.T(), n(k)}).weight(DType::q8_0, {n(rows), n(k)}, fan_in(k));
    cases.push_back(b.build());
  }
  CaseBuilder streams("matmul", "rank 3", 5);
  streams.activations({streams.T(), n(4), n(96)}).weight(DType::q8_0, {n(40), n(96)}, 0.1);
  cases.push_back(streams.build());
  CaseBuilder zeros("matmul", "a row of zeros", 2, {{"act8", std::int64_t{1}}});
  zeros.activations({zeros.T(), n(256)}).weight(DType::q8_0, {n(24), n(256)}, 0.06);
  Case quiet = zeros.build();
  for (float& x : quiet.inputs[0].as<float>().first(256)) x = 0;
  cases.push_back(std::move(quiet));
  for (const DType format :
       {DType::f16, DType::bf16, DType::q8_0, DType::q4_k, DType::q2_k, DType::iq2_xxs, DType::mxfp4})
    for (const std::int64_t tokens : {1, 7, 40}) {
      CaseBuilder b("matmul", fmt::format("{} wide T={} act8", format_name(format), tokens), tokens,
                    {{"act8", std::int64_t{1}}});
      b.activations({b.T(), n(2048)}).weight(format, {n(tokens == 1 ? 300 : 33), n(2048)}, fan_in(2048));
      cases.push_back(b.build());
    }
  return cases;
}

std::vector<Case> matmul_grouped_cases() {
  std::vector<Case> cases;
  for (const DType format : weight_formats())
    for (const std::int64_t tokens : {1, 5}) {
      const std::int64_t k = columns(format), groups = tokens == 1 ? 2 : 3;
      CaseBuilder b("matmul_grouped", fmt::format("{} T={}", format_name(format), tokens), tokens,
                    {{"groups", groups}});
      b.activations({b.T(), n(groups * k)}).weight(format, {n(groups * 7), n(k)}, fan_in(k));
      cases.push_back(b.build());
    }
  for (const DType format : {DType::q8_0, DType::f16})
    for (const std::int64_t tokens : {1, 2, 33, 6}) {
      CaseBuilder b("matmul_grouped", fmt::format("{} heads T={}", format_name(format), tokens), tokens,
                    {{"groups", std::int64_t{2}}, {"act8", std::int64_t{1}}});
      b.activations({b.T(), n(8), n(128)}).weight(format, {n(64), n(512)}, fan_in(512));
      cases.push_back(b.build());
    }
  return cases;
}

std::vector<Case> matmul_id_cases() {
  std::vector<Case> cases;
  for (const DType format : weight_formats())
    for (const std::int64_t tokens : {1, 5, 33})
      for (const bool per_slot : {false, true}) {
        if (tokens == 33 && per_slot != (column_step(format) == 1)) continue; // one of both is enough
        const std::int64_t k = columns(format), slots = 3, experts = 5;
        CaseBuilder b("matmul_id", fmt::format("{} T={}{}", format_name(format), tokens, per_slot ? " per slot" : ""),
                      tokens);
        b.activations(per_slot ? std::vector<Dim>{b.T(), n(slots), n(k)} : std::vector<Dim>{b.T(), n(k)});
        b.weight(format, {n(experts), n(9), n(k)}, fan_in(k)).ids({b.T(), n(slots)}, experts - 1); // the last is unused
        cases.push_back(b.build());
      }
  return cases;
}

std::vector<Case> attn_out_grouped_cases() {
  std::vector<Case> cases;
  for (const DType format : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_k, DType::q6_k, DType::mxfp4})
    for (const std::int64_t tokens : {1, 2, 5, 33, 34}) {
      const std::int64_t heads = 4, width = 128, groups = 2, low = column_step(format) == 256 ? 128 : 48;
      CaseBuilder b("attn_out_grouped", fmt::format("{} T={}", format_name(format), tokens), tokens,
                    {{"groups", groups}, {"act8", std::int64_t{tokens == 5 || tokens == 34}}});
      b.activations({b.T(), n(heads), n(width)})
          .weight(format, {n(groups * low), n(heads * width / groups)}, fan_in(heads * width / groups))
          .weight(format, {n(70), n(groups * low)}, fan_in(groups * low));
      cases.push_back(b.build());
    }
  return cases;
}

} // namespace

std::vector<Case> linear_cases(std::string_view op) {
  if (op == "gather_rows") return gather_rows_cases();
  if (op == "matmul") return matmul_cases();
  if (op == "matmul_grouped") return matmul_grouped_cases();
  if (op == "matmul_id") return matmul_id_cases();
  if (op == "attn_out_grouped") return attn_out_grouped_cases();
  return {};
}

} // namespace seacliff::ops
