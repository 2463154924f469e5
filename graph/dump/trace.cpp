#include "graph/dump/profile.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>

namespace seacliff::graph {
namespace {

constexpr std::uint32_t k_host = 0;                    // pid; devices follow
constexpr std::uint32_t k_process = ~std::uint32_t{0}; // among the names of tracks: the process itself

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Microseconds, exact to the nanosecond: nested spans must not stick out by rounding.
std::string micros(std::uint64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

std::string layer_name(std::string_view path) {
  if (const auto layer = layer_of(path)) return fmt::format("blk.{:02}", *layer);
  return std::string(path.substr(0, path.find('.')));
}

} // namespace

TraceWriter::TraceWriter(std::ostream& out) : out_(out) { out_ << R"({"displayTimeUnit":"ms","traceEvents":[)"; }

void TraceWriter::finish() { out_ << "\n]}\n"; }

void TraceWriter::separate() {
  out_ << (first_ ? "\n" : ",\n");
  first_ = false;
}

void TraceWriter::metadata(std::string_view what, std::uint32_t pid, std::uint32_t tid, std::string_view name) {
  separate();
  out_ << fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":{}}}}})", what, pid, tid,
                      json_text(name));
}

void TraceWriter::event(const Event& at, std::string_view category, std::string_view name, std::string_view args) {
  separate();
  const auto since = [&](std::uint64_t ns) { return ns > origin_ns_ ? ns - origin_ns_ : 0; };
  const std::uint64_t begin = since(at.begin_ns), end = std::max(begin, since(at.end_ns));
  out_ << fmt::format(R"({{"ph":"X","cat":"{}","name":{},"pid":{},"tid":{},"ts":{},"dur":{},"args":{{{}}}}})", category,
                      json_text(name), at.pid, at.tid, micros(begin), micros(end - begin), args);
}

void TraceWriter::name_tracks(const StepRecord& step) {
  if (named_.empty()) {
    named_.insert({k_host, 0});
    metadata("process_name", k_host, 0, "seacliff");
    metadata("thread_name", k_host, 0, "steps");
  }
  for (const NodeSpan& span : step.spans) {
    const std::uint32_t pid = span.device + 1;
    if (named_.insert({pid, k_process}).second) metadata("process_name", pid, 0, step.devices[span.device]);
    if (named_.insert({pid, span.worker}).second)
      metadata("thread_name", pid, span.worker, fmt::format("worker {}", span.worker));
  }
}

void TraceWriter::add(const StepRecord& step, std::string_view label) {
  if (named_.empty()) origin_ns_ = step.begin_ns;
  name_tracks(step);
  std::string args;
  for (std::size_t i = 0; i < step.symbols.size(); ++i)
    args += fmt::format(R"({}{}:{})", i == 0 ? "" : ",",
                        json_text(step.graph->symbol(static_cast<std::uint32_t>(i) + 1).name), step.symbols[i]);
  event({k_host, 0, step.begin_ns, step.end_ns}, "step", label, args);

  std::vector<NodeSpan> spans = step.spans;
  const auto place = [](const NodeSpan& span) { return std::tuple(span.device, span.worker, span.begin_ns); };
  std::stable_sort(spans.begin(), spans.end(),
                   [&](const NodeSpan& a, const NodeSpan& b) { return place(a) < place(b); });
  for (std::size_t from = 0, to = 0; from < spans.size(); from = to) {
    while (to < spans.size() && spans[to].device == spans[from].device && spans[to].worker == spans[from].worker) ++to;
    track(step, std::span(spans).subspan(from, to - from), label);
  }
}

/// One worker's part of a step: the step around its layers around its nodes.
void TraceWriter::track(const StepRecord& step, std::span<const NodeSpan> spans, std::string_view label) {
  const std::uint32_t pid = spans.front().device + 1, tid = spans.front().worker;
  const auto& nodes = step.graph->nodes();
  const auto name = [&](const NodeSpan& span) -> const std::string& { return nodes[span.nodes.front()].name; };
  event({pid, tid, spans.front().begin_ns, spans.back().end_ns}, "step", label, "");
  for (std::size_t from = 0, to = 0; from < spans.size(); from = to) {
    const std::string layer = layer_name(name(spans[from]));
    while (to < spans.size() && layer_name(name(spans[to])) == layer) ++to;
    event({pid, tid, spans[from].begin_ns, spans[to - 1].end_ns}, "layer", layer, "");
    for (const NodeSpan& span : spans.subspan(from, to - from)) {
      std::string args = fmt::format(R"("op":{})", json_text(nodes[span.nodes.front()].op));
      if (span.nodes.size() > 1) args += fmt::format(R"(,"nodes":{})", span.nodes.size());
      if (span.bytes != 0) args += fmt::format(R"(,"weight_bytes":{})", span.bytes);
      event({pid, tid, span.begin_ns, span.end_ns}, "node", name(span), args);
    }
  }
}

} // namespace seacliff::graph
