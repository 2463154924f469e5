// What a measured step consists of: sums by op, layer or node, tables of them, and a trace to look at.
#pragma once

#include "graph/ir/ir.hpp"
#include "graph/run/profile.hpp"

#include <cstdint>
#include <iosfwd>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace seacliff::graph {

/// Work of one node in a step with these values of the symbols (by symbol id - 1), of which a token sees `visible`
/// positions on average. Weights that are read by id count with the expected number of different ids, were they chosen
/// evenly and independently: of n experts n (1 - (1 - k/n)^tokens). Zero when the node has no rows to compute, and for
/// an index_select that can take every row there is.
ops::Cost step_cost(const Graph& graph, const Node& node, std::span<const std::int64_t> symbols, double visible);

/// What lines of a table stand for.
enum class ProfileBy {
  op,      // "moe_experts"
  layer,   // "blk.07"; what belongs to no layer by the first word of its name: "head"
  section, // the path without the layer: "ffn.experts"
  node,    // "blk.07.ffn.experts"
};
std::string_view profile_by_name(ProfileBy by);

/// One line. Times, bytes and operations are those of one step, on average.
struct ProfileRow {
  std::string name, op; // op: of a node
  std::uint64_t nodes = 0;
  double seconds = 0; // from the begin of the node to the begin of the next one, mean over the workers
  double wait = 0;    // the part of it that was spent at the barrier behind the node
  double bytes = 0;   // of weights
  double flops = 0;
};

/// Averages over steps of one kind. A step that took more than `k_disturbed` times the median of its size is left out:
/// the machine did something else, too. A graph must outlive the profile.
class PhaseProfile {
public:
  static constexpr double k_disturbed = 1.5;

  void add(const StepRecord& step);
  /// A step of the same work that was measured as a whole: the yardstick of what measuring costs.
  void add_plain(const StepRecord& step);

  std::uint64_t steps() const { return seconds_.size(); }
  std::uint64_t disturbed() const; // of them, left out of all rows
  double seconds() const;          // of a step, as the host sees it; median of all
  double plain_seconds() const;    // the same without measuring the nodes; 0: not known
  double overhead() const { return plain_seconds() > 0 ? seconds() / plain_seconds() - 1 : 0; }
  double launches() const; // per step
  double barriers() const; // per step
  std::uint64_t lost() const { return lost_; }

  /// By layer in the order of the graph, else the longest first.
  std::vector<ProfileRow> rows(ProfileBy by) const;
  /// Mean over the steps; its name is "total". `outside` gets the seconds of a step that no node accounts for: the
  /// launch, the wait for the last worker, work of the host between segments.
  ProfileRow total(double* outside = nullptr) const;

private:
  struct NodeTimes {
    double ns = 0, wait_ns = 0, bytes = 0;
    std::span<const std::uint32_t> fused; // the nodes whose time is in this one, when there are several
  };
  struct Step {
    double wall_ns = 0, covered_ns = 0, visible = 0;
    std::vector<NodeTimes> nodes;
  };
  /// Graph and symbols: steps of one size.
  using Shape = std::pair<const Graph*, std::vector<std::int64_t>>;

  /// The steps of a size that count.
  static std::vector<const Step*> undisturbed(const std::vector<Step>& steps);
  std::uint64_t counted() const { return steps() - disturbed(); }
  std::vector<ProfileRow> node_rows() const;

  std::map<Shape, std::vector<Step>> shapes_;
  std::uint64_t launches_ = 0, barriers_ = 0, lost_ = 0;
  std::vector<double> seconds_, plain_seconds_;
};

/// A phase with its name, for output.
struct NamedProfile {
  std::string phase; // "prefill", "decode"
  std::int64_t tokens = 0, depth = 0;
  const PhaseProfile* profile = nullptr;
};

/// For people: one block per phase with a table for each of `by`. `read_gbps` is what the memory delivers, 0: unknown.
std::string to_text(const NamedProfile& named, std::span<const ProfileBy> by, double read_gbps);

/// {"phase","tokens","depth","steps","disturbed_steps","ms_per_step","ms_per_step_unprofiled","overhead_percent","launches_per_step",
///  "barriers_per_step","lost_records","outside_ms","outside_share","total":ROW,"by_op":[ROW],...}; a ROW is
///  {"name","nodes","ms","share",
/// "wait_share","weight_bytes","gbps","bandwidth_share","flops","gflops"}, by node with "op". Shares are of 1.
std::string to_json(const NamedProfile& named, std::span<const ProfileBy> by, double read_gbps);

/// Chrome's trace format, as Perfetto and chrome://tracing read it. Process 0 is the host with the steps; each device
/// is a process, each of its workers a thread, on which step, layer and node lie within each other.
class TraceWriter {
public:
  /// Writes to `out`, which the caller checks and closes after finish().
  explicit TraceWriter(std::ostream& out);
  void add(const StepRecord& step, std::string_view label);
  void finish();

private:
  struct Event {
    std::uint32_t pid, tid;
    std::uint64_t begin_ns, end_ns;
  };

  void name_tracks(const StepRecord& step);
  void metadata(std::string_view what, std::uint32_t pid, std::uint32_t tid, std::string_view name);
  void track(const StepRecord& step, std::span<const NodeSpan> spans, std::string_view label);
  void event(const Event& at, std::string_view category, std::string_view name, std::string_view args);
  void separate();

  std::ostream& out_;
  bool first_ = true;
  std::uint64_t origin_ns_ = 0; // begin of the first step
  std::set<std::pair<std::uint32_t, std::uint32_t>> named_;
};

} // namespace seacliff::graph
