#include "graph/dump/profile.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace seacliff::graph {
namespace {

std::vector<ValueType> types_of(const Graph& graph, const std::vector<ValueId>& ids,
                                std::span<const std::int64_t> symbols) {
  std::vector<ValueType> types;
  for (const ValueId id : ids) {
    ValueType type = id == k_none ? ValueType{} : graph.value(id).type;
    for (Dim& dim : type.dims)
      if (dim.sym != 0 && dim.sym <= symbols.size()) dim.max = symbols[dim.sym - 1];
    types.push_back(std::move(type));
  }
  return types;
}

bool empty(const ValueType& type) { return type.max_elems() == 0; }

/// Rows that are not there yet are not read: neither of the window nor of a cache.
void limit_to_visible(const Graph& graph, const Node& node, double visible, std::vector<ValueType>& in,
                      std::vector<ValueType>& out, Attrs& attrs) {
  const std::int64_t ratio = attrs.get_int("ratio");
  const bool sees = node.op == "attention_mixed" || node.op == "index_select" || node.op == "index_score";
  if (!sees) return;
  const auto rows = [&](std::int64_t per_row) {
    return std::max<std::int64_t>(1, std::llround(visible / static_cast<double>(std::max<std::int64_t>(1, per_row))));
  };
  if (attrs.items().contains("window")) attrs.set("window", std::min(attrs.get_int("window"), rows(1)));
  if (ratio == 0) return;
  for (std::size_t i = 0; i < node.in.size(); ++i)
    if (node.in[i] != k_none && graph.value(node.in[i]).role == Role::state)
      in[i].dims[1].max = std::min(in[i].dims[1].max, rows(ratio));
  if (node.op == "attention_mixed" && node.in.size() > 4 && node.in[4] != k_none)
    in[4].dims[1].max = std::min(in[4].dims[1].max, rows(ratio));
  if (node.op != "attention_mixed") out[0].dims[1].max = std::min(out[0].dims[1].max, rows(ratio));
}

/// Whether every row there is gets selected, so that nothing needs a score.
bool takes_all(const Node& node, double visible) {
  const auto ratio = static_cast<double>(std::max<std::int64_t>(1, node.attrs.get_int("ratio")));
  return node.op == "index_select" && visible / ratio <= static_cast<double>(node.attrs.get_int("k"));
}

/// Expected share of the matrices that `tokens` tokens read when each chooses `used` of `n`.
double expected_share(double used, double n, double tokens) {
  return 1 - std::pow(1 - std::min(1.0, used / n), tokens);
}

} // namespace

ops::Cost step_cost(const Graph& graph, const Node& node, std::span<const std::int64_t> symbols, double visible) {
  const ops::Schema* schema = ops::find_schema(node.op);
  if (schema == nullptr || schema->cost == nullptr) return {};
  std::vector<ValueType> in = types_of(graph, node.in, symbols), out = types_of(graph, node.out, symbols);
  if (out.empty() || std::any_of(out.begin(), out.end(), empty) || takes_all(node, visible)) return {};
  Attrs attrs = node.attrs;
  limit_to_visible(graph, node, visible, in, out, attrs);
  std::vector<const ValueType*> in_types, out_types;
  for (std::size_t i = 0; i < in.size(); ++i) in_types.push_back(node.in[i] == k_none ? nullptr : &in[i]);
  for (const ValueType& type : out) out_types.push_back(&type);
  ops::Cost cost = schema->cost(in_types, out_types, attrs);
  const std::size_t ids = node.op == "moe_experts" ? 1 : node.op == "matmul_id" ? 2 : 0;
  if (ids == 0) return cost;
  double bytes = 0, experts = 1;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (node.in[i] == k_none || graph.value(node.in[i]).role != Role::weight) continue;
    bytes += static_cast<double>(in[i].max_bytes());
    experts = static_cast<double>(in[i].dims[0].max);
  }
  cost.bytes_weights = bytes * expected_share(static_cast<double>(in[ids].dims[1].max), experts,
                                              static_cast<double>(in[ids].dims[0].max));
  return cost;
}

std::string_view profile_by_name(ProfileBy by) {
  switch (by) {
  case ProfileBy::op: return "op";
  case ProfileBy::layer: return "layer";
  case ProfileBy::section: return "section";
  case ProfileBy::node: return "node";
  }
  return {};
}

// ---- adding up ------------------------------------------------------------------------------------------------------

namespace {

double as_seconds(const StepRecord& step) { return static_cast<double>(step.end_ns - step.begin_ns) * 1e-9; }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double at_least_1(std::uint64_t n) { return static_cast<double>(std::max<std::uint64_t>(1, n)); }

double distance(std::uint64_t from, std::uint64_t to) { return to > from ? static_cast<double>(to - from) : 0; }

/// Spans of one segment on one worker, in order of time.
using Track = std::vector<const NodeSpan*>;

/// By segment, then by worker.
std::map<std::uint32_t, std::map<std::uint32_t, Track>> tracks_of(const StepRecord& step) {
  std::map<std::uint32_t, std::map<std::uint32_t, Track>> segments;
  for (const NodeSpan& span : step.spans) segments[span.segment][span.worker].push_back(&span);
  for (auto& [segment, workers] : segments)
    for (auto& [worker, track] : workers)
      std::stable_sort(track.begin(), track.end(),
                       [](const NodeSpan* a, const NodeSpan* b) { return a->begin_ns < b->begin_ns; });
  return segments;
}

} // namespace

void PhaseProfile::add(const StepRecord& step) {
  Step& sum = shapes_[{step.graph, step.symbols}].emplace_back();
  sum.wall_ns = distance(step.begin_ns, step.end_ns);
  sum.visible = step.visible;
  sum.nodes.resize(step.graph->nodes().size());
  seconds_.push_back(as_seconds(step));
  launches_ += step.launches;
  barriers_ += step.barriers;
  lost_ += step.lost;
  for (const auto& [segment, workers] : tracks_of(step)) {
    std::uint64_t segment_end = 0;
    for (const auto& [worker, track] : workers) segment_end = std::max(segment_end, track.back()->end_ns);
    const double share = 1.0 / static_cast<double>(workers.size());
    for (const auto& [worker, track] : workers) {
      for (std::size_t i = 0; i < track.size(); ++i) {
        const NodeSpan& span = *track[i];
        const std::uint64_t next = i + 1 < track.size() ? track[i + 1]->begin_ns : segment_end;
        NodeTimes& times = sum.nodes[span.nodes.front()];
        const double all = distance(span.begin_ns, next);
        times.ns += share * all;
        times.wait_ns += share * distance(span.end_ns, next);
        times.bytes += static_cast<double>(span.bytes);
        if (span.nodes.size() > 1) times.fused = span.nodes;
        sum.covered_ns += share * all;
      }
    }
  }
}

void PhaseProfile::add_plain(const StepRecord& step) { plain_seconds_.push_back(as_seconds(step)); }

double PhaseProfile::seconds() const { return median(seconds_); }
double PhaseProfile::plain_seconds() const { return median(plain_seconds_); }
double PhaseProfile::launches() const { return static_cast<double>(launches_) / at_least_1(steps()); }
double PhaseProfile::barriers() const { return static_cast<double>(barriers_) / at_least_1(steps()); }

std::vector<const PhaseProfile::Step*> PhaseProfile::undisturbed(const std::vector<Step>& steps) {
  std::vector<double> walls;
  for (const Step& step : steps) walls.push_back(step.wall_ns);
  const double limit = k_disturbed * median(walls);
  std::vector<const Step*> counted;
  for (const Step& step : steps)
    if (step.wall_ns <= limit) counted.push_back(&step);
  return counted;
}

std::uint64_t PhaseProfile::disturbed() const {
  std::uint64_t n = 0;
  for (const auto& [shape, steps] : shapes_) n += steps.size() - undisturbed(steps).size();
  return n;
}

/// In the order of the graphs; nodes that were not seen are left out.
std::vector<ProfileRow> PhaseProfile::node_rows() const {
  std::vector<ProfileRow> rows;
  std::map<std::string_view, std::size_t> at;
  const double per_step = 1 / at_least_1(counted());
  for (const auto& [shape, all] : shapes_) {
    const Graph& graph = *shape.first;
    const std::vector<const Step*> steps = undisturbed(all);
    const auto count = static_cast<double>(steps.size());
    double visible = 0;
    for (const Step* step : steps) visible += step->visible / count;
    for (const Node& node : graph.nodes()) {
      NodeTimes times;
      for (const Step* step : steps) {
        const NodeTimes& more = step->nodes[node.id];
        times.ns += more.ns;
        times.wait_ns += more.wait_ns;
        times.bytes += more.bytes;
        if (!more.fused.empty()) times.fused = more.fused;
      }
      if (times.ns == 0) continue;
      const auto [it, fresh] = at.emplace(node.name, rows.size());
      if (fresh) rows.push_back({node.name, node.op, 1, 0, 0, 0, 0});
      ProfileRow& row = rows[it->second];
      const std::span<const std::uint32_t> nodes = times.fused.empty() ? std::span(&node.id, 1) : times.fused;
      ops::Cost cost;
      for (const std::uint32_t id : nodes) {
        const ops::Cost more = step_cost(graph, graph.nodes()[id], shape.second, visible);
        cost.flops += more.flops;
        cost.bytes_weights += more.bytes_weights;
      }
      row.nodes = std::max<std::uint64_t>(row.nodes, nodes.size());
      row.seconds += times.ns * 1e-9 * per_step;
      row.wait += times.wait_ns * 1e-9 * per_step;
      row.bytes += (times.bytes > 0 ? times.bytes : cost.bytes_weights * count) * per_step;
      row.flops += cost.flops * count * per_step;
    }
  }
  return rows;
}

namespace {

std::string group_of(const ProfileRow& node, ProfileBy by) {
  const std::string& path = node.name;
  const bool in_layer = layer_of(path).has_value();
  const std::size_t dot = path.find('.');
  const std::size_t layer_end = in_layer ? path.find('.', dot + 1) : dot;
  switch (by) {
  case ProfileBy::op: return node.op;
  case ProfileBy::layer: return path.substr(0, layer_end);
  case ProfileBy::section: return in_layer && layer_end != std::string::npos ? path.substr(layer_end + 1) : path;
  case ProfileBy::node: return path;
  }
  return path;
}

void merge(ProfileRow& into, const ProfileRow& row) {
  into.nodes += row.nodes;
  into.seconds += row.seconds;
  into.wait += row.wait;
  into.bytes += row.bytes;
  into.flops += row.flops;
}

} // namespace

std::vector<ProfileRow> PhaseProfile::rows(ProfileBy by) const {
  std::vector<ProfileRow> out;
  std::map<std::string, std::size_t> at;
  for (const ProfileRow& node : node_rows()) {
    std::string name = group_of(node, by);
    const auto [it, fresh] = at.emplace(name, out.size());
    if (fresh) out.push_back({std::move(name), by == ProfileBy::node ? node.op : std::string(), 0, 0, 0, 0, 0});
    merge(out[it->second], node);
  }
  if (by != ProfileBy::layer)
    std::stable_sort(out.begin(), out.end(),
                     [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  return out;
}

ProfileRow PhaseProfile::total(double* outside) const {
  ProfileRow sum{"total", {}, 0, 0, 0, 0, 0};
  for (const ProfileRow& node : node_rows()) merge(sum, node);
  double wall_ns = 0, covered_ns = 0;
  for (const auto& [shape, steps] : shapes_)
    for (const Step* step : undisturbed(steps)) {
      wall_ns += step->wall_ns;
      covered_ns += step->covered_ns;
    }
  const double per_step = 1e-9 / at_least_1(counted());
  sum.seconds = wall_ns * per_step;
  if (outside != nullptr) *outside = std::max(0.0, wall_ns - covered_ns) * per_step;
  return sum;
}

} // namespace seacliff::graph
