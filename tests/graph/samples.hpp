// Small graphs for the tests of this folder, written in the text form of graph/ir/ir.hpp.
#pragma once

#include "graph/ir/ir.hpp"

#include <string>

namespace seacliff::graph::samples {

/// Attributes of rotary positions with YaRN.
inline constexpr std::string_view k_rope =
    "rot=16, base=160000.0, yarn=1, factor=16.0, orig_ctx=4096.0, beta_fast=32.0, beta_slow=1.0";

/// Declarations of one layer that holds every composite but hc_head and the hash form of route: 64 channels, 4 streams,
/// 2 heads of 32, ratio 4, 4 experts.
inline std::string layer_values(int n) {
  const std::string b = fmt::format("%blk.{}.", n), s = fmt::format("%blk.{:02}.", n);
  std::string t;
  for (const char* kind : {"attn", "ffn"}) {
    t += fmt::format("weight {}hc_{}_fn.weight : f16[24,256]\n", b, kind);
    t += fmt::format("weight {}hc_{}_base.weight : f32[24]\n", b, kind);
    t += fmt::format("weight {}hc_{}_scale.weight : f32[3]\n", b, kind);
  }
  t += "weight " + b + "q_a.weight : q8_0[32,64]\n";
  t += "weight " + b + "q_b.weight : q8_0[64,32]\n";
  t += "weight " + b + "kv.weight : q8_0[32,64]\n";
  t += "weight " + b + "sinks.weight : f32[2]\n";
  t += "weight " + b + "out_a.weight : q8_0[64,32]\n";
  t += "weight " + b + "out_b.weight : q8_0[64,64]\n";
  for (const char* kind : {"comp", "index"}) {
    t += fmt::format("weight {}{}_kv.weight : f16[64,64]\n", b, kind);
    t += fmt::format("weight {}{}_gate.weight : f16[64,64]\n", b, kind);
    t += fmt::format("weight {}{}_ape.weight : f16[4,64]\n", b, kind);
    t += fmt::format("weight {}{}_norm.weight : f32[32]\n", b, kind);
    t += fmt::format("state {}{}_carry : f32[2,12,2,64]\n", s, kind);
    t += fmt::format("state {}{}_cache : f16[2,16,32]\n", s, kind);
  }
  t += "weight " + b + "index_q.weight : f16[64,32]\n";
  t += "weight " + b + "index_proj.weight : f16[2,64]\n";
  t += "state " + s + "window : f16[2,20,32]\n";
  t += "weight " + b + "gate_inp.weight : f32[4,64]\n";
  t += "weight " + b + "bias : f32[4]\n";
  t += "weight " + b + "gate_exps.weight : q8_0[4,32,64]\n";
  t += "weight " + b + "up_exps.weight : q8_0[4,32,64]\n";
  t += "weight " + b + "down_exps.weight : q8_0[4,64,32]\n";
  t += "weight " + b + "gate_shexp.weight : q8_0[32,64]\n";
  t += "weight " + b + "up_shexp.weight : q8_0[32,64]\n";
  t += "weight " + b + "down_shexp.weight : q8_0[64,32]\n";
  return t;
}

/// Nodes of that layer, reading `%from` and defining `%streams.N`.
inline std::string layer_nodes(int n, const std::string& from) {
  const std::string b = fmt::format("%blk.{}.", n), s = fmt::format("%blk.{:02}.", n),
                    a = fmt::format("@blk.{:02}.", n);
  const std::string hc = "iters=20, eps=1e-06, rms_eps=1e-06", rope(k_rope);
  const auto compress = [&](const std::string& kind, const std::string& rounding) {
    return fmt::format(
        "{0}{2}_k = matmul({0}x, {0}{2}_kv.weight) {3}{2}_kv\n"
        "{0}{2}_g = matmul({0}x, {0}{2}_gate.weight) {3}{2}_gate\n"
        "{1}{2}_carry, {1}{2}_cache = compress({0}{2}_k, {0}{2}_g, {0}{2}_ape.weight, {0}{2}_norm.weight, "
        "{1}{2}_carry, {1}{2}_cache, %pos, %seq) {{ratio=4, rms_eps=1e-06, {4}, {5}}} {3}{2}\n",
        b, s, kind, a, rope, rounding);
  };
  std::string t;
  t += b + "x, " + b + "post, " + b + "comb = hc_pre(" + from + ", " + b + "hc_attn_fn.weight, " + b +
       "hc_attn_base.weight, " + b + "hc_attn_scale.weight) {" + hc + "} " + a + "attn.hc_pre line 10\n";
  t += b + "qr = matmul(" + b + "x, " + b + "q_a.weight) {act8=1} " + a + "attn.q_a line 11\n";
  t += b + "qf = matmul(" + b + "qr, " + b + "q_b.weight) {act8=1} " + a + "attn.q_b\n";
  t += b + "q = rope_tail(" + b + "qf, %pos) {heads=2, " + rope + "} " + a + "attn.q_rope\n";
  t += b + "kf = matmul(" + b + "x, " + b + "kv.weight) {act8=1} " + a + "attn.kv\n";
  t += b + "k = kv_round(" + b + "kf) {rot=16, f16=1} " + a + "attn.kv_round\n";
  t += compress("comp", "f16=1") + compress("index", "index=1, idx4=1, f16=1");
  t += b + "sel = index_select(" + b + "qr, " + b + "x, " + b + "index_q.weight, " + b + "index_proj.weight, " + s +
       "index_cache, %pos, %seq) {heads=2, k=8, ratio=4, idx4=1, " + rope + "} " + a + "attn.select\n";
  t += b + "o, " + s + "window = attention_mixed(" + b + "q, " + b + "k, " + s + "window, " + s + "comp_cache, " + b +
       "sel, " + b + "sinks.weight, %pos, %seq) {window=16, ratio=4, scale=0.17677669529663687} " + a +
       "attn.mixed line 77\n";
  t += b + "y = attn_out_grouped(" + b + "o, " + b + "out_a.weight, " + b + "out_b.weight) {groups=2, act8=1} " + a +
       "attn.out\n";
  t += b + "mid = hc_post(" + from + ", " + b + "y, " + b + "post, " + b + "comb) " + a + "attn.hc_post\n";
  t += b + "fx, " + b + "fpost, " + b + "fcomb = hc_pre(" + b + "mid, " + b + "hc_ffn_fn.weight, " + b +
       "hc_ffn_base.weight, " + b + "hc_ffn_scale.weight) {" + hc + "} " + a + "ffn.hc_pre\n";
  t += b + "ids, " + b + "weights = route(" + b + "fx, " + b + "gate_inp.weight, " + b +
       "bias, _, _) {k=2, scale=2.5} " + a + "ffn.route\n";
  t += b + "ex = moe_experts(" + b + "fx, " + b + "ids, " + b + "weights, " + b + "gate_exps.weight, " + b +
       "up_exps.weight, " + b + "down_exps.weight) {clamp=7.0, act8=1} " + a + "ffn.experts\n";
  t += b + "sh = shared_expert(" + b + "fx, " + b + "gate_shexp.weight, " + b + "up_shexp.weight, " + b +
       "down_shexp.weight) {clamp=7.0, act8=1} " + a + "ffn.shared\n";
  t += b + "fy = add(" + b + "ex, " + b + "sh) " + a + "ffn.sum\n";
  t += fmt::format("%streams.{} = hc_post({}mid, {}fy, {}fpost, {}fcomb) {}ffn.hc_post\n", n, b, b, b, b, a);
  return t;
}

/// A whole model of `layers` such layers: all composites of the catalogue, 18 nodes a layer.
inline std::string model_text(int layers) {
  std::string t = "graph \"sample\"\nsymbol n_tokens <= 8\nsymbol n_outputs <= 2\n"
                  "input %tokens : i32[n_tokens]\ninput %pos : i32[n_tokens]\ninput %seq : i32[n_tokens,3]\n"
                  "input %out_rows : i32[n_outputs]\noutput %logits : f32[n_outputs,16]\n"
                  "weight %token_embd.weight : f16[16,64]\nweight %output.weight : q8_0[16,64]\n"
                  "weight %output_hc_fn.weight : f16[4,256]\nweight %output_hc_base.weight : f32[4]\n"
                  "weight %output_hc_scale.weight : f32[1]\n";
  for (int n = 0; n < layers; ++n) t += layer_values(n);
  t += "%embed = gather_rows(%token_embd.weight, %tokens) @embed\n%streams = repeat_streams(%embed) {n=4} @streams\n";
  for (int n = 0; n < layers; ++n) t += layer_nodes(n, n == 0 ? "%streams" : fmt::format("%streams.{}", n - 1));
  t += fmt::format("%rows = gather_rows({}, %out_rows) @head.rows\n",
                   layers == 0 ? "%streams" : fmt::format("%streams.{}", layers - 1));
  t += "%last = hc_head(%rows, %output_hc_fn.weight, %output_hc_base.weight, %output_hc_scale.weight) "
       "{eps=1e-06, rms_eps=1e-06} @head.hc\n%logits = matmul(%last, %output.weight) {act8=1} @head.output\n";
  return t;
}

inline Graph model(int layers) { return parse(model_text(layers)); }

} // namespace seacliff::graph::samples
