#include "fusion.hpp"

#include <seacliff/sdk/table.hpp>

#include <algorithm>

namespace seacliff::vulkan {
namespace {

using sdk::NodeView;

/// An input of a node.
struct Reader {
  std::size_t node;
  std::uint32_t input;
};

class Finder {
public:
  Finder(std::span<const NodeView> nodes, std::size_t n_values)
      : nodes_(nodes), readers_(n_values), writer_(n_values, Fusion::k_none) {
    result_.folds.resize(nodes.size());
    result_.norm_of.assign(n_values, Fusion::k_none);
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      const scf_node& node = nodes[n].raw();
      for (std::uint32_t i = 0; i < node.n_in; ++i)
        if (node.in[i] != SCF_NONE) readers_[node.in[i]].push_back({n, i});
      for (std::uint32_t o = 0; o < node.n_out; ++o)
        if (node.out[o] != SCF_NONE) writer_[node.out[o]] = n;
    }
  }

  Fusion find() {
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const std::string_view op = nodes_[n].op();
      if (op == "rope_tail") fold_rope(n);
      if (op == "kv_round") fold_into_rows(n, "rope_tail");
      if (op == "attention_mixed") fold_query(n);
      if (op == "hc_post") fold_writer(n, 1, "add");
      if (op == "hc_pre" || op == "hc_head") fold_streams(n);
    }
    for (std::size_t n = 0; n < nodes_.size(); ++n)
      if (nodes_[n].op() == "rms_norm" && !result_.folds[n].skipped) leave_norm_to_readers(n);
    return std::move(result_);
  }

private:
  bool is_few(const NodeView& node) const { return node.in(0).dim(0) <= k_few_tokens; }

  /// The node that writes input `i` of node `n`, if it is an `op` and only its output 0, read nowhere else, goes there.
  std::size_t only_for(std::size_t n, std::uint32_t i, std::string_view op) const {
    const NodeView& node = nodes_[n];
    if (!node.in(i) || node.in(i).value->role != SCF_ROLE_TEMP) return Fusion::k_none;
    const std::uint32_t value = node.raw().in[i];
    const std::size_t from = writer_[value];
    const bool fits = from != Fusion::k_none && nodes_[from].op() == op && nodes_[from].raw().out[0] == value &&
                      readers_[value].size() == 1 && !result_.folds[from].skipped;
    return fits ? from : Fusion::k_none;
  }

  /// `from` and all that it does become part of `into`.
  void fold(std::size_t from, std::size_t into) {
    Fusion::Fold& whole = result_.folds[into];
    Fusion::Fold& part = result_.folds[from];
    whole.with.insert(whole.with.end(), part.with.begin(), part.with.end());
    whole.with.push_back(from);
    part.with.clear();
    part.skipped = true;
  }

  void fold_writer(std::size_t n, std::uint32_t input, std::string_view op) {
    const std::size_t from = only_for(n, input, op);
    if (from != Fusion::k_none) fold(from, n);
  }

  /// Behind attention, or behind a norm of the same rows.
  void fold_rope(std::size_t n) {
    if (nodes_[n].attr_int("heads") != 0) return;
    const std::size_t attention = only_for(n, 0, "attention_mixed");
    if (attention != Fusion::k_none && nodes_[n].out(0).cols() % 2 == 0)
      fold(n, attention);
    else
      fold_into_rows(n, "rms_norm");
  }

  /// Work on rows behind work on the same rows, where a row fits into shared memory.
  void fold_into_rows(std::size_t n, std::string_view op) {
    const std::size_t from = only_for(n, 0, op);
    constexpr std::int64_t longest = 1024; // as rows.glsl has it
    if (from == Fusion::k_none || nodes_[n].out(0).cols() > longest) return;
    const auto& with = result_.folds[from].with;
    const bool rows_only =
        std::all_of(with.begin(), with.end(), [&](std::size_t part) { return nodes_[part].op() == "rms_norm"; });
    if (rows_only && nodes_[from].attr_int("flatten") == 0) fold(from, n);
  }

  /// Norm and rotation of the query before attention of few tokens, which has whole heads at hand.
  void fold_query(std::size_t n) {
    const std::size_t rope = only_for(n, 0, "rope_tail");
    if (rope == Fusion::k_none || !is_few(nodes_[n]) || nodes_[n].in(0).cols() % 2 != 0) return;
    if (nodes_[rope].attr_int("inverse") == 0) fold(rope, n);
  }

  /// What a layer gives goes back into the streams as the next one begins. The streams themselves are read again.
  void fold_streams(std::size_t n) {
    const NodeView& node = nodes_[n];
    const std::uint32_t streams = node.raw().in[0];
    const std::size_t from = writer_[streams];
    constexpr std::int64_t columns = 16; // what is added is read in chunks
    if (from == Fusion::k_none || nodes_[from].op() != "hc_post" || result_.folds[from].skipped || !is_few(node))
      return;
    const bool first = std::none_of(readers_[streams].begin(), readers_[streams].end(),
                                    [&](const Reader& reader) { return reader.node < n; });
    if (first && node.in(0).cols() % columns == 0) fold(from, n);
  }

  /// Products with few rows look at all of x anyway: they can sum its squares as they go.
  void leave_norm_to_readers(std::size_t n) {
    const NodeView& node = nodes_[n];
    const std::uint32_t value = node.raw().out[0];
    if (node.out(0).value->role != SCF_ROLE_TEMP || node.attr_int("heads") != 0 || node.attr_int("flatten") != 0)
      return;
    if (node.in(0).rank() != 2 || !is_few(node)) return;
    const auto can = [&](const Reader& reader) {
      const std::string_view op = nodes_[reader.node].op();
      const bool first = op == "matmul" || op == "route" || op == "moe_experts" || op == "shared_expert";
      return first ? reader.input == 0 : op == "index_select" && reader.input <= 1;
    };
    if (!std::all_of(readers_[value].begin(), readers_[value].end(), can)) return;
    result_.folds[n].skipped = true;
    result_.norm_of[value] = n;
  }

  std::span<const NodeView> nodes_;
  std::vector<std::vector<Reader>> readers_; // by value
  std::vector<std::size_t> writer_;          // by value: the last node that writes it
  Fusion result_;
};

} // namespace

Fusion find_fusion(std::span<const NodeView> nodes, std::size_t n_values) { return Finder(nodes, n_values).find(); }

} // namespace seacliff::vulkan
