#include "graph/place/placement.hpp"

#include "core/base/bytes.hpp"
#include "graph/ir/view.hpp"
#include "graph/passes/passes.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

namespace seacliff::graph {
namespace {

struct Answer {
  std::uint32_t level = SCF_CLAIM_NO;
  std::string reason;
};

/// What one device says about every node of a graph, with the user's and the host's vetoes applied.
std::vector<Answer> answers(const Graph& graph, std::uint32_t d, const PlaceOptions& options) {
  const plugins::Device& device = *options.devices[d];
  AbiView view(graph, options.op_id);
  view.lay_out([&](const scf_value& weight) { return layout_of(options, d, weight).id; });
  std::vector<Answer> result(graph.nodes().size(), Answer{SCF_CLAIM_NO, "not claimed"});
  const auto claims = device.propose(*view.get());
  for (const plugins::ClaimInfo& claim : claims)
    if (claim.nodes.size() == 1 && claim.nodes.front() < result.size())
      result[claim.nodes.front()] = {claim.level, claim.reason};
  // A group may raise the level of its nodes, but never carry a node that the device would not take alone.
  for (const plugins::ClaimInfo& claim : claims)
    for (const std::uint32_t node : claim.nodes)
      if (claim.nodes.size() > 1 && node < result.size() && result[node].level != SCF_CLAIM_NO)
        result[node].level = std::max(result[node].level, claim.level);

  const std::string id = device.full_id();
  const std::uint64_t largest = largest_value(device);
  for (const Node& node : graph.nodes()) {
    Answer& answer = result[node.id];
    const bool denied = std::any_of(options.deny.begin(), options.deny.end(),
                                    [&](const DenyRule& rule) { return rule.matches(node.op, device); });
    if (denied) answer = {SCF_CLAIM_NO, "denied by --deny"};
    if (options.strikes.contains({node.name, id}))
      answer = {SCF_CLAIM_NO, "claimed, but failed to compile: a fault of the plugin"};
    for (const ValueId in : node.in) {
      if (in == k_none) continue;
      const Value& value = graph.value(in);
      if (value.role == Role::state && answer.level != SCF_CLAIM_NO && options.away.contains({value.name, id}))
        answer = {SCF_CLAIM_NO, fmt::format("its state {} is used by ops that run elsewhere", value.name)};
      if ((value.role == Role::state || value.role == Role::weight) && largest != 0 && answer.level != SCF_CLAIM_NO &&
          value.type.max_bytes() > largest)
        answer = {SCF_CLAIM_NO, fmt::format("{} is larger than the {} that the device binds at once", value.name,
                                            format_bytes(largest))};
    }
  }
  return result;
}

/// Decomposes the selected nodes and tells which node of `graph` each node of the result came from. Pieces stand where
/// their parent stood and are called `<parent>.<suffix>`.
struct Pieces {
  Graph graph;
  std::vector<std::uint32_t> parent;
};
Pieces split(const Graph& graph, const std::vector<bool>& selected) {
  Pieces pieces;
  pieces.graph =
      decompose(graph, [&](const Graph&, const Node& node) { return node.id != k_none && selected[node.id]; });
  const auto& made = pieces.graph.nodes();
  for (const Node& node : graph.nodes()) {
    const std::string prefix = node.name + ".";
    do pieces.parent.push_back(node.id);
    while (selected[node.id] && pieces.parent.size() < made.size() &&
           made[pieces.parent.size()].name.starts_with(prefix));
  }
  return pieces;
}

bool is_composite(const Node& node) { return ops::find_schema(node.op)->composite(); }

/// For each node of `graph`: the device that takes it whole, or that takes all pieces of its decomposition. Of several
/// the one that is gladdest, of equals the first.
class Decision {
public:
  Decision(const Graph& graph, const PlaceOptions& options) : graph_(graph), opt_(options) {
    device_.assign(graph.nodes().size(), k_undecided);
    level_.assign(graph.nodes().size(), SCF_CLAIM_NO);
    decomposed_.assign(graph.nodes().size(), false);
    for (std::uint32_t d = 0; d < opt_.devices.size(); ++d) ask(d);
    for (const Node& node : graph_.nodes())
      if (device_[node.id] == k_undecided) fail(node);
  }

  const std::vector<bool>& decomposed() const { return decomposed_; }
  std::uint32_t device(std::uint32_t node) const { return device_[node]; }
  /// Why the most preferred device does not run the node whole.
  std::string preferred_reason(std::uint32_t node) const {
    const Answer& first = whole_.front()[node];
    return first.level == SCF_CLAIM_NO ? first.reason : "another device claims it more gladly";
  }

private:
  static constexpr std::uint32_t k_undecided = 0xffffffff;

  /// A device behind the one that has a node so far gets it only when it is gladder.
  bool wins(std::uint32_t node, std::uint32_t d, std::uint32_t level) const {
    if (level == SCF_CLAIM_NO) return false;
    if (device_[node] == k_undecided) return true;
    return !opt_.devices[d]->info().last_resort() && level > level_[node];
  }

  void give(std::uint32_t node, std::uint32_t d, std::uint32_t level, bool in_pieces) {
    device_[node] = d;
    level_[node] = opt_.devices[d]->info().last_resort() ? std::uint32_t{SCF_CLAIM_SLOW} : level;
    decomposed_[node] = in_pieces;
  }

  void ask(std::uint32_t d) {
    whole_.push_back(answers(graph_, d, opt_));
    std::vector<bool> try_pieces(graph_.nodes().size(), false);
    bool any = false;
    for (const Node& node : graph_.nodes()) {
      const std::uint32_t level = whole_[d][node.id].level;
      if (wins(node.id, d, level))
        give(node.id, d, level, false);
      else if (level == SCF_CLAIM_NO && is_composite(node) && wins(node.id, d, SCF_CLAIM_PREFERRED))
        any = try_pieces[node.id] = true;
    }
    if (any) ask_pieces(d, try_pieces);
  }

  void ask_pieces(std::uint32_t d, const std::vector<bool>& selected) {
    const Pieces pieces = split(graph_, selected);
    const auto claims = answers(pieces.graph, d, opt_);
    std::vector<std::uint32_t> least(graph_.nodes().size(), SCF_CLAIM_PREFERRED);
    for (const Node& piece : pieces.graph.nodes()) {
      std::uint32_t& level = least[pieces.parent[piece.id]];
      level = std::min(level, claims[piece.id].level);
    }
    for (const Node& node : graph_.nodes())
      if (selected[node.id] && wins(node.id, d, least[node.id])) give(node.id, d, least[node.id], true);
  }

  [[noreturn]] void fail(const Node& node) const {
    std::string reasons;
    for (std::uint32_t d = 0; d < whole_.size(); ++d)
      reasons += fmt::format("{}{}: {}", d == 0 ? "" : ", ", opt_.devices[d]->full_id(), whole_[d][node.id].reason);
    throw Error(Code::unimplemented, fmt::format("no device runs {} ({}): {}", node.name, node.op, reasons),
                "add a backend that does: --backend ...,reference runs everything");
  }

  const Graph& graph_;
  const PlaceOptions& opt_;
  std::vector<std::vector<Answer>> whole_; // per device
  std::vector<std::uint32_t> device_, level_;
  std::vector<bool> decomposed_;
};

std::vector<Segment> cut(const std::vector<std::uint32_t>& device_of_node) {
  std::vector<Segment> segments;
  for (std::uint32_t node = 0; node < device_of_node.size(); ++node) {
    if (segments.empty() || segments.back().device != device_of_node[node])
      segments.push_back({device_of_node[node], {}});
    segments.back().nodes.push_back(node);
  }
  return segments;
}

std::uint64_t bytes_per_token(const Graph& graph, const Value& value) {
  std::uint64_t elems = 1;
  for (const Dim& dim : value.type.dims)
    elems *= dim.sym != 0 && graph.symbol(dim.sym).name == "n_tokens" ? 1 : static_cast<std::uint64_t>(dim.max);
  return row_bytes(value.type.dtype, elems);
}

void count_edges(Placement& placement) {
  const Graph& graph = placement.graph;
  std::vector<std::uint32_t> producer(graph.values().size(), k_none);
  std::set<std::pair<ValueId, std::uint32_t>> crossings;
  for (const Node& node : graph.nodes()) {
    const std::uint32_t device = placement.device_of_node[node.id];
    for (const ValueId in : node.in) {
      if (in == k_none || producer[in] == k_none || producer[in] == device) continue;
      if (crossings.emplace(in, device).second)
        placement.edge_bytes_per_token += bytes_per_token(graph, graph.value(in));
    }
    for (const ValueId out : node.out)
      if (graph.value(out).role != Role::state) producer[out] = device;
  }
  placement.edges = crossings.size();
}

} // namespace

DenyRule DenyRule::parse(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size())
    throw Error(Code::invalid_argument, fmt::format("--deny '{}' is not OP@DEVICE", text),
                "write for example --deny moe_experts@cpu");
  DenyRule rule{std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
  if (rule.op != "*" && ops::find_schema(rule.op) == nullptr)
    throw Error(Code::invalid_argument, fmt::format("--deny '{}': there is no op '{}'", text, rule.op),
                "`seacliff graph` shows the ops of a model");
  return rule;
}

bool DenyRule::matches(std::string_view op_name, const plugins::Device& dev) const {
  if (op != "*" && op != op_name) return false;
  return device == "*" || device == dev.full_id() || device == dev.info().id || device == dev.plugin().name();
}

plugins::LayoutInfo layout_of(const PlaceOptions& options, std::uint32_t device, const scf_value& weight) {
  if (!options.copied.contains(device)) return {};
  std::vector<plugins::LayoutInfo> candidates = options.devices[device]->layouts(weight);
  return candidates.empty() ? plugins::LayoutInfo{} : std::move(candidates.front());
}

std::uint64_t largest_value(const plugins::Device& device) {
  const std::uint64_t own = device.info().own_heap().largest_value();
  const plugins::HeapInfo* imports = device.info().unified_memory() ? device.info().import_heap() : nullptr;
  if (imports == nullptr) return own;
  return own == 0 || imports->largest_value() == 0 ? 0 : std::max(own, imports->largest_value());
}

Placement place(const Graph& graph, const PlaceOptions& options) {
  const Decision decision(graph, options);
  Pieces pieces = split(graph, decision.decomposed());

  Placement placement;
  placement.graph = std::move(pieces.graph);
  for (const auto& device : options.devices) placement.devices.push_back(device->full_id());
  for (const Node& node : placement.graph.nodes())
    placement.device_of_node.push_back(decision.device(pieces.parent[node.id]));
  placement.segments = cut(placement.device_of_node);
  for (const Node& node : graph.nodes()) {
    const std::uint32_t device = decision.device(node.id);
    if (device == 0 && !decision.decomposed()[node.id]) continue;
    placement.fallbacks.push_back({node.op, node.name, placement.devices[device], decision.preferred_reason(node.id),
                                   decision.decomposed()[node.id]});
  }
  count_edges(placement);
  return placement;
}

std::string Placement::summary() const {
  std::vector<std::size_t> nodes(devices.size(), 0);
  for (const std::uint32_t device : device_of_node) ++nodes[device];
  // One line per op and reason, not per node.
  std::map<std::tuple<std::string, std::string, std::string, bool>, std::size_t> why;
  for (const Fallback& f : fallbacks) ++why[{f.device, f.op, f.reason, f.decomposed}];

  std::string text = "placement:";
  bool first = true;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    if (nodes[d] == 0) continue;
    text += fmt::format("{} {} nodes {}", first ? "" : ",", nodes[d], devices[d]);
    first = false;
    std::string reasons;
    for (const auto& [key, count] : why) {
      const auto& [device, op, reason, split] = key;
      if (device != devices[d]) continue;
      reasons +=
          fmt::format("{}{} {}{}: {}", reasons.empty() ? "" : "; ", count, op, split ? " decomposed" : "", reason);
    }
    if (!reasons.empty()) text += fmt::format(" ({})", reasons);
  }
  return text + fmt::format(", {} edges, {:.1f} kB/token", edges, static_cast<double>(edge_bytes_per_token) / 1e3);
}

} // namespace seacliff::graph
