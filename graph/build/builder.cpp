#include "graph/build/builder.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace seacliff::graph {
namespace {

/// One forward pass, section by section; each section returns its result value.
class Builder {
public:
  Builder(const HParams& hp, const TensorDirectory& tensors, const BuildOptions& options)
      : hp_(hp), tensors_(tensors), opt_(options) {}

  Graph build() {
    graph_.name = fmt::format("deepseek4 {} layers, step <= {} tokens, {} slots of {}", hp_.n_layers, opt_.max_tokens,
                              opt_.n_slots, opt_.max_ctx);
    n_tokens_ = {opt_.max_tokens, graph_.add_symbol("n_tokens", opt_.max_tokens)};
    n_outputs_ = {opt_.max_outputs, graph_.add_symbol("n_outputs", opt_.max_outputs)};
    tokens_ = graph_.add_value(Role::input, {DType::i32, {n_tokens_}}, "tokens");
    pos_ = graph_.add_value(Role::input, {DType::i32, {n_tokens_}}, "pos");
    seq_ = graph_.add_value(Role::input, {DType::i32, {n_tokens_, {3}}}, "seq");
    out_rows_ = graph_.add_value(Role::input, {DType::i32, {n_outputs_}}, "out_rows");

    const ValueId embedding = node("gather_rows", {global("token_embd.weight"), tokens_}, {}, "embed");
    ValueId streams = node("repeat_streams", {embedding}, {{"n", hp_.n_streams}}, "streams");
    for (layer_ = 0; layer_ < hp_.n_layers; ++layer_) {
      streams = hyper_connected(streams, "attn", [this](ValueId x) { return attention(x); });
      streams = hyper_connected(streams, "ffn", [this](ValueId x) { return feed_forward(x); });
    }
    head(streams);
    return std::move(graph_);
  }

private:
  using Operands = std::vector<ValueId>;

  // ---- values -----------------------------------------------------------------------------------------------------
  ValueId weight_of(const GgufTensor& tensor, const std::string& name) {
    ValueType type{tensor.dtype, {}};
    for (const std::int64_t d : tensor.dims) type.dims.push_back({d});
    return graph_.add_value(Role::weight, std::move(type), name);
  }
  ValueId global(const std::string& name) { return weight_of(tensors_.global(name), name); }
  ValueId weight(std::string_view name) {
    return weight_of(tensors_.layer(layer_, name), fmt::format("blk.{}.{}", layer_, name));
  }
  ValueId state(std::string_view name, DType dtype, std::vector<Dim> dims) {
    dims.insert(dims.begin(), Dim{opt_.n_slots});
    return graph_.add_value(Role::state, {dtype, std::move(dims)}, fmt::format("blk.{:02}.{}", layer_, name));
  }

  // ---- nodes ------------------------------------------------------------------------------------------------------
  std::vector<ValueId> nodes(std::string_view op, Operands in, Attrs attrs, std::string_view path,
                             std::source_location where = std::source_location::current()) {
    const std::string name =
        layer_ < hp_.n_layers && in_layer_ ? fmt::format("blk.{:02}.{}", layer_, path) : std::string(path);
    return graph_.add_node(op, std::move(in), std::move(attrs), name, where);
  }
  ValueId node(std::string_view op, Operands in, Attrs attrs, std::string_view path,
               std::source_location where = std::source_location::current()) {
    return nodes(op, std::move(in), std::move(attrs), path, where).front();
  }
  ValueId rms_norm(ValueId x, ValueId w, std::string_view path, std::int64_t heads = 0) {
    Attrs attrs{{"eps", hp_.rms_eps}};
    if (heads != 0) attrs.set("heads", heads);
    return node("rms_norm", {x, w}, std::move(attrs), path);
  }
  ValueId project(ValueId x, std::string_view weight_name, std::string_view path) {
    return node("matmul", {x, weight(weight_name)}, {{"act8", flag(opt_.act8)}}, path);
  }
  /// For what caches are made of: activations may be rounded each by itself, not to bytes of one scale.
  ValueId project_to_cache(ValueId x, std::string_view weight_name, std::string_view path) {
    const ValueId w = weight(weight_name);
    const bool plain = dtype_info(graph_.values()[static_cast<std::size_t>(w)].type.dtype).block_elems == 1;
    return node("matmul", {x, w}, {{"act8", flag(opt_.act8 && plain)}}, path);
  }

  static std::int64_t flag(bool on) { return on ? 1 : 0; }
  std::int64_t ratio() const { return hp_.ratios[static_cast<std::size_t>(layer_)]; }
  std::int64_t f16_cache() const { return flag(opt_.cache_dtype == DType::f16); }

  /// Plain layers rotate without YaRN; compressed layers always with it.
  Attrs rope_attrs() const {
    Attrs attrs{{"rot", hp_.rope_dim}, {"base", ratio() == 0 ? hp_.rope_base : hp_.compress_rope_base}};
    if (ratio() != 0) {
      attrs.set("yarn", std::int64_t{1});
      attrs.set("factor", hp_.yarn_factor);
      attrs.set("orig_ctx", hp_.yarn_orig_ctx);
      attrs.set("beta_fast", hp_.yarn_beta_fast);
      attrs.set("beta_slow", hp_.yarn_beta_slow);
    }
    return attrs;
  }

  // ---- sections ---------------------------------------------------------------------------------------------------
  /// streams' = hc_post(streams, sublayer(norm(x)), ...) with x, post, comb = hc_pre(streams).
  template <typename Sublayer> ValueId hyper_connected(ValueId streams, const std::string& kind, Sublayer&& sublayer) {
    in_layer_ = true;
    const std::string fn = "hc_" + kind;
    const auto pre =
        nodes("hc_pre", {streams, weight(fn + "_fn.weight"), weight(fn + "_base.weight"), weight(fn + "_scale.weight")},
              {{"iters", hp_.sinkhorn_iters}, {"eps", hp_.hc_eps}, {"rms_eps", hp_.rms_eps}}, kind + ".hc_pre");
    const ValueId x = rms_norm(pre[0], weight(kind + "_norm.weight"), kind + ".norm");
    Operands post{streams, sublayer(x), pre[1], pre[2]};
    if (kind == "attn" && narrows()) {
      post[0] = wanted(post[0], "attn.streams_rows");
      post[2] = wanted(post[2], "attn.post_rows");
      post[3] = wanted(post[3], "attn.comb_rows");
    }
    const ValueId out = node("hc_post", std::move(post), {}, kind + ".hc_post");
    in_layer_ = false;
    return out;
  }

  /// Whether this layer, behind its attention, computes the wanted rows alone: behind the last one nobody asks for
  /// others. A hash-routed layer asks for all tokens.
  bool narrows() const { return layer_ == hp_.n_layers - 1 && !hp_.hash_routed(layer_); }
  /// The rows of x whose logits are wanted.
  ValueId wanted(ValueId x, std::string_view path) { return node("gather_rows", {x, out_rows_}, {}, path); }

  ValueId attention(ValueId x) {
    const ValueId q_low =
        rms_norm(project(x, "attn_q_a.weight", "attn.q_a"), weight("attn_q_a_norm.weight"), "attn.q_a_norm");
    ValueId k = rms_norm(project(x, "attn_kv.weight", "attn.kv"), weight("attn_kv_a_norm.weight"), "attn.kv_norm");
    k = node("rope_tail", {k, pos_}, rope_attrs(), "attn.kv_rope");
    k = node("kv_round", {k}, {{"rot", hp_.rope_dim}, {"kv8", flag(opt_.kv8)}, {"f16", f16_cache()}}, "attn.kv_round");

    ValueId cache = k_none, selected = k_none;
    if (ratio() != 0) cache = compressed_rows(x, "attn_compressor", "", hp_.head_dim);
    if (ratio() == 4) selected = indexer(x, q_low);

    // Behind the indexer: a backend may choose rows while it multiplies.
    ValueId q = rms_norm(project(q_low, "attn_q_b.weight", "attn.q_b"), k_none, "attn.q_norm", hp_.n_heads);
    q = node("rope_tail", {q, pos_}, rope_attrs(), "attn.q_rope");

    const ValueId window = state("window", opt_.cache_dtype, {{hp_.window + opt_.rewind_rows}, {hp_.head_dim}});
    Attrs attrs{{"window", hp_.window},
                {"ratio", ratio()},
                {"scale", 1.0 / std::sqrt(static_cast<double>(hp_.head_dim))},
                {"act8", flag(opt_.act8)}};
    ValueId o = node("attention_mixed", {q, k, window, cache, selected, weight("attn_sinks.weight"), pos_, seq_},
                     std::move(attrs), "attn.mixed");
    Attrs inverse = rope_attrs();
    inverse.set("inverse", std::int64_t{1});
    o = node("rope_tail", {o, pos_}, std::move(inverse), "attn.o_rope");
    if (narrows()) o = wanted(o, "attn.o_rows");
    return node("attn_out_grouped", {o, weight("attn_output_a.weight"), weight("attn_output_b.weight")},
                {{"groups", hp_.o_groups}, {"act8", flag(opt_.act8)}}, "attn.out");
  }

  /// Compressed rows of this layer: of the attention (prefix "") or of the indexer (prefix "index_").
  ValueId compressed_rows(ValueId x, const std::string& stem, const std::string& prefix, std::int64_t width) {
    const bool index = !prefix.empty();
    const std::int64_t overlap = ratio() == 4 ? 2 : 1;
    const std::string path = index ? "index" : "attn";
    const ValueId kv = project_to_cache(x, stem + "_kv.weight", path + ".compress_kv");
    const ValueId gate = project_to_cache(x, stem + "_gate.weight", path + ".compress_gate");
    const ValueId carry =
        state(prefix + "carry", DType::f32, {{overlap * ratio() + opt_.rewind_rows}, {2}, {overlap * width}});
    const ValueId cache =
        state(prefix + "cache", opt_.cache_dtype, {{std::max<std::int64_t>(1, opt_.max_ctx / ratio())}, {width}});
    Attrs attrs = rope_attrs();
    attrs.set("ratio", ratio());
    attrs.set("rms_eps", hp_.rms_eps);
    attrs.set("f16", f16_cache());
    attrs.set("index", flag(index));
    attrs.set(index ? "idx4" : "kv8", flag(index ? opt_.idx4 : opt_.kv8));
    nodes("compress", {kv, gate, weight(stem + "_ape.weight"), weight(stem + "_norm.weight"), carry, cache, pos_, seq_},
          std::move(attrs), path + ".compress");
    return cache;
  }

  ValueId indexer(ValueId x, ValueId q_low) {
    const ValueId cache = compressed_rows(x, "indexer_compressor", "index_", hp_.index_dim);
    Attrs attrs = rope_attrs();
    attrs.set("heads", hp_.index_heads);
    attrs.set("k", hp_.index_top_k);
    attrs.set("ratio", ratio());
    attrs.set("idx4", flag(opt_.idx4));
    return node("index_select",
                {q_low, x, weight("indexer.attn_q_b.weight"), weight("indexer.proj.weight"), cache, pos_, seq_},
                std::move(attrs), "index.select");
  }

  ValueId feed_forward(ValueId x) {
    const bool hash = hp_.hash_routed(layer_);
    Operands operands{x, weight("ffn_gate_inp.weight"), k_none, k_none, k_none};
    if (hash) {
      operands[3] = weight("ffn_gate_tid2eid.weight");
      operands[4] = tokens_;
    } else {
      operands[2] = weight("exp_probs_b.bias");
    }
    const auto routed =
        nodes("route", std::move(operands), {{"k", hp_.n_experts_used}, {"scale", hp_.expert_scale}}, "ffn.route");

    const auto at = static_cast<std::size_t>(layer_);
    const ValueId shared =
        node("shared_expert",
             {x, weight("ffn_gate_shexp.weight"), weight("ffn_up_shexp.weight"), weight("ffn_down_shexp.weight")},
             {{"clamp", hp_.clamp_shared[at]}, {"act8", flag(opt_.act8)}}, "ffn.shared");
    const ValueId experts = node("moe_experts",
                                 {x, routed[0], routed[1], weight("ffn_gate_exps.weight"), weight("ffn_up_exps.weight"),
                                  weight("ffn_down_exps.weight")},
                                 {{"clamp", hp_.clamp_exp[at]}, {"act8", flag(opt_.act8)}}, "ffn.experts");
    return node("add", {experts, shared}, {}, "ffn.sum");
  }

  /// Only the rows whose logits are wanted go through the head.
  void head(ValueId streams) {
    const Dim tokens = graph_.value(streams).type.dims.front();
    const ValueId rows = tokens == n_outputs_ ? streams : wanted(streams, "head.rows");
    const ValueId mixed =
        node("hc_head",
             {rows, global("output_hc_fn.weight"), global("output_hc_base.weight"), global("output_hc_scale.weight")},
             {{"eps", hp_.hc_eps}, {"rms_eps", hp_.rms_eps}}, "head.hc");
    const ValueId normed = rms_norm(mixed, global("output_norm.weight"), "head.norm");
    const ValueId logits =
        node("matmul", {normed, global("output.weight")}, {{"act8", flag(opt_.act8)}}, "head.output");
    graph_.set_role(logits, Role::output);
    graph_.rename(logits, "logits");
  }

  const HParams& hp_;
  const TensorDirectory& tensors_;
  const BuildOptions& opt_;
  Graph graph_;
  Dim n_tokens_, n_outputs_;
  ValueId tokens_ = k_none, pos_ = k_none, seq_ = k_none, out_rows_ = k_none;
  std::int64_t layer_ = 0;
  bool in_layer_ = false;
};

} // namespace

Graph build_deepseek4(const HParams& hp, const TensorDirectory& tensors, const BuildOptions& options) {
  Graph graph = Builder(hp, tensors, options).build();
  verify(graph);
  return graph;
}

} // namespace seacliff::graph
