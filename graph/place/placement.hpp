// Which node runs on which device, and why. Claims come from the plugins; the decision is made here and explains
// itself.
#pragma once

#include "graph/ir/ir.hpp"
#include "plugins/loader/plugin.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::graph {

/// `OP@DEVICE` of --deny: that op never runs on that device. DEVICE is a full id ("cpu:0"), a plugin name ("cpu") or
/// "*".
struct DenyRule {
  std::string op, device;

  /// Throws Error(invalid_argument) when the text is no OP@DEVICE or the op does not exist.
  static DenyRule parse(std::string_view text);
  bool matches(std::string_view op_name, const plugins::Device& dev) const;
};

/// A device that took a node and then would not compile it.
struct Strike {
  std::string node; // path name
  std::string device;
  bool operator<(const Strike& other) const { return std::tie(node, device) < std::tie(other.node, other.device); }
};

/// A state that lies elsewhere: the device runs no node that uses it.
struct Away {
  std::string state;
  std::string device;
  bool operator<(const Away& other) const { return std::tie(state, device) < std::tie(other.state, other.device); }
};

struct PlaceOptions {
  std::vector<std::shared_ptr<plugins::Device>> devices; // in order of preference, the last resorts at the end
  std::vector<DenyRule> deny;
  std::set<Strike> strikes;
  std::set<Away> away;
  std::set<std::uint32_t> copied; // devices that weights are copied to, each in the layout that the device likes best
  std::function<std::uint32_t(std::string_view op)> op_id;
};

/// Neighbouring nodes on one device: compiled and submitted as one program.
struct Segment {
  std::uint32_t device = 0;         // index into PlaceOptions::devices
  std::vector<std::uint32_t> nodes; // ids, in program order
};

/// Something that is not as the most preferred device would have it.
struct Fallback {
  std::string op, node;
  std::string device; // where it went; the preferred device itself when `decomposed`
  std::string reason; // why the preferred device did not take the node whole, in its own words
  bool decomposed = false;
};

struct Placement {
  Graph graph;                      // with the composites decomposed that no device took whole
  std::vector<std::string> devices; // full ids
  std::vector<std::uint32_t> device_of_node;
  std::vector<Segment> segments;
  std::vector<Fallback> fallbacks;
  std::uint64_t edges = 0;                // values that change device
  std::uint64_t edge_bytes_per_token = 0; // of those

  /// "placement: 190 nodes cpu:0, 21 reference:0 (...), 42 edges, 1.4 MB/token"
  std::string summary() const;
};

/// Of the devices that take a node, the one that claims it most gladly runs it (PREFERRED, OK, SLOW); among equals the
/// first, and each sooner whole than in pieces. A last resort counts as slow, and behind all others.
/// Throws Error(unimplemented) naming the node and every device's reason when no device takes it.
Placement place(const Graph& graph, const PlaceOptions& options);

/// The layout of a weight on a device: the device's first choice when it gets a copy, else the file's (id 0).
plugins::LayoutInfo layout_of(const PlaceOptions& options, std::uint32_t device, const scf_value& weight);

/// Bytes of the largest value that a device can be given; 0: no limit.
std::uint64_t largest_value(const plugins::Device& device);

} // namespace seacliff::graph
